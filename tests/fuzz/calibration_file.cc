// Any bytes as a calibration file of each form. What is accepted has at least one sample, and every
// sample is UTF-8 that is not blank.
#include "text/calibration_file.h"

#include "base/text.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view content = slim::InputText(data, size);
  for (const std::string_view path : {"c.jsonl", "c.json", "c.txt"}) {
    const auto samples = slim::ParseCalibrationFile(content, path);
    if (!samples.ok()) {
      FUZZ_CHECK(samples.error().ToString().find('\n') == std::string::npos);
      continue;
    }
    FUZZ_CHECK(!samples->empty());
    for (const slim::CalibrationSample& sample : *samples) {
      FUZZ_CHECK(slim::IsUtf8(sample.text) && !slim::Trim(sample.text).empty());
      FUZZ_CHECK(sample.line >= 1);
    }
  }
  return 0;
}
