// Any text as what slim-verify is given beside checkpoints; the first byte chooses: a manifest, a
// list of sha256sum, a baseline, severities. A manifest that is accepted is written and read again.
#include "verify/manifest.h"

#include "fuzz.h"
#include "verify/baseline.h"
#include "verify/severities.h"
#include "verify/sha256_list.h"

namespace {

template <class T>
bool Accepted(const slim::Result<T>& result) {
  if (!result.ok()) FUZZ_CHECK(result.error().ToString().find('\n') == std::string::npos);
  return result.ok();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slim::InputReader input(data, size);
  const size_t kind = input.Choice(4);
  const std::string_view text = input.Rest();
  if (kind == 1) return Accepted(slim::ParseSha256List(text)), 0;
  if (kind == 2) return Accepted(slim::Baseline::Parse(text)), 0;
  if (kind == 3) return Accepted(slim::Severities::Parse(text, "fuzz")), 0;
  const auto manifest = slim::ParseManifest(text);
  // A list of sha256sum is never written, and may name what JSON cannot.
  if (!Accepted(manifest) || manifest->is_list) return 0;
  const std::string written = slim::ManifestText(*manifest);
  const auto again = slim::ParseManifest(written);
  FUZZ_CHECK(again.ok() && slim::ManifestText(*again) == written);
  return 0;
}
