// Any bytes as a selector: the first line is the pattern, the rest a name. A pattern always matches
// itself, and sizes and spellings are read without a crash.
#include "base/glob.h"

#include "base/text.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Matching is polynomial in both lengths; names of tensors are short.
  const std::string_view text = slim::InputText(data, std::min<size_t>(size, 200));
  const size_t line = std::min(text.find('\n'), text.size());
  const std::string_view pattern = text.substr(0, line);
  const std::string_view name = text.substr(std::min(line + 1, text.size()));
  slim::ParseSize(pattern);
  slim::NearestSpelling(pattern, {std::string(name), "output"});
  FUZZ_CHECK(!(slim::NaturalLess(pattern, name) && slim::NaturalLess(name, pattern)));
  FUZZ_CHECK(slim::IsUtf8(slim::Escape(text)));
  const auto glob = slim::Glob::Compile(pattern);
  if (!glob.ok()) return 0;
  FUZZ_CHECK(glob->Matches(pattern));
  glob->Matches(name);
  return 0;
}
