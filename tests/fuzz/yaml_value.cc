// Any bytes as YAML. What is accepted stays within the limits, aliases counted as what they stand
// for, and every value names a line of the text; what is refused says so in one line.
#include "json/yaml.h"

#include <algorithm>

#include "fuzz.h"

namespace {

uint64_t CheckValue(const slim::Yaml& value, uint64_t lines, int depth,
                    const slim::YamlLimits& limits) {
  FUZZ_CHECK(depth <= limits.max_depth);
  FUZZ_CHECK(value.line() >= 1 && value.line() <= lines);
  FUZZ_CHECK(!value.AsInteger() || value.AsReal());
  uint64_t values = 1;
  for (const slim::Yaml& item : value.items()) values += CheckValue(item, lines, depth + 1, limits);
  for (const auto& [key, member] : value.members()) {
    FUZZ_CHECK(value.Find(key.text()) != nullptr);
    values += 1 + CheckValue(member, lines, depth + 1, limits);
  }
  return values;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = slim::InputText(data, size);
  const slim::YamlLimits limits{
      .max_bytes = 1 << 16, .max_depth = 8, .max_values = 1000, .max_keys = 50};
  const auto value = slim::ParseYaml(text, "fuzz", limits);
  if (!value.ok()) {
    FUZZ_CHECK(value.error().ToString().find('\n') == std::string::npos);
    return 0;
  }
  const auto lines = static_cast<uint64_t>(std::count_if(
                         text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; })) +
                     1;
  FUZZ_CHECK(CheckValue(*value, lines, 0, limits) <= 2 * limits.max_values);
  return 0;
}
