// The texts of a calibration file. Owns the three file forms; knows nothing of tokens.
//
// * .jsonl: one JSON object a line; its text is the first of the members `inputs_pretokenized`,
//   `prompt`, `text` that it has; an object with none of them stands for its own raw line, newline
//   included, as in msModelSlim (facts: algorithms.md 7.1). Blank lines are skipped.
// * .json: an array of strings.
// * anything else: plain text. Paragraphs are what blank lines separate; each is one sample.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

struct CalibrationSample {
  std::string text;
  uint64_t line;  // of its first byte, from 1; in a .json file the index of the element from 1
};

// `path` decides the form by its extension and appears in errors. Samples of white space only are
// left out. Errors: CALIB-empty (nothing in the file, or every sample empty), CALIB-utf8 and
// CALIB-json (the message names the line), CALIB-type (a member or element that is no string).
Result<std::vector<CalibrationSample>> ParseCalibrationFile(std::string_view content,
                                                            std::string_view path);

}  // namespace slim
