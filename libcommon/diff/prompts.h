// The texts a comparison runs on, and their cutting into windows of tokens. Knows no model.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

struct Prompts {
  std::string source;  // path, or "standard input"
  std::vector<std::string> texts;
};

// `path` is a file, or "-" for standard input. A name that ends in .jsonl or .json is read as a
// calibration file (text/calibration_file.h), each sample a text of its own; anything else is one
// plain text, taken byte for byte. Errors: IN-missing, DIFF-prompts-empty, DIFF-prompts-utf8 (names
// the line), those of ParseCalibrationFile.
Result<Prompts> ReadPrompts(const std::string& path);

struct WindowOptions {
  uint64_t tokens = 256;     // of a window, at least 2
  uint64_t max_windows = 0;  // 0: all
};

// Every text's tokens in consecutive windows that do not overlap and never span two texts; a
// shorter last window counts when it has two tokens, since one alone predicts nothing that can be
// scored. DIFF-prompts-empty when no window is left.
Result<std::vector<std::vector<int32_t>>> CutPrompts(std::span<const std::vector<int32_t>> texts,
                                                     const WindowOptions& options,
                                                     std::string_view source);

}  // namespace slim
