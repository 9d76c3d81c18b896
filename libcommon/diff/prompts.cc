#include "diff/prompts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "os/file.h"
#include "text/calibration_file.h"

namespace slim {
namespace {

constexpr uint64_t kMaxBytes = 256ULL << 20;
constexpr uint64_t kMinTokens = 2;

Status CheckUtf8(std::string_view text, std::string_view source) {
  if (IsUtf8(text)) return {};
  const std::vector<std::string> lines = Split(text, '\n');
  const auto bad =
      std::find_if_not(lines.begin(), lines.end(), [](const auto& line) { return IsUtf8(line); });
  return InputError("DIFF-prompts-utf8",
                    fmt::format("line {} is not UTF-8", bad - lines.begin() + 1),
                    "convert it with iconv")
      .WithPath(source);
}

Result<std::string> ReadText(const std::string& path) {
  return path == "-" ? ReadStandardInput(kMaxBytes) : ReadWholeFile(path, kMaxBytes);
}

}  // namespace

Result<Prompts> ReadPrompts(const std::string& path) {
  Prompts prompts;
  prompts.source = path == "-" ? "standard input" : path;
  SLIM_ASSIGN(std::string text, ReadText(path));
  const std::string lower = ToLower(path);
  if (lower.ends_with(".jsonl") || lower.ends_with(".json")) {
    SLIM_ASSIGN(auto samples, ParseCalibrationFile(text, path));
    for (auto& sample : samples) prompts.texts.push_back(std::move(sample.text));
    return prompts;
  }
  if (text.empty())
    return InputError("DIFF-prompts-empty", "is empty", "give a text of a few hundred words")
        .WithPath(prompts.source);
  SLIM_TRY(CheckUtf8(text, prompts.source));
  prompts.texts.push_back(std::move(text));
  return prompts;
}

Result<std::vector<std::vector<int32_t>>> CutPrompts(std::span<const std::vector<int32_t>> texts,
                                                     const WindowOptions& options,
                                                     std::string_view source) {
  std::vector<std::vector<int32_t>> windows;
  for (const std::vector<int32_t>& text : texts) {
    for (size_t begin = 0; begin + kMinTokens <= text.size(); begin += options.tokens) {
      if (options.max_windows != 0 && windows.size() == options.max_windows) return windows;
      const size_t count = std::min<size_t>(options.tokens, text.size() - begin);
      const auto from = text.begin() + static_cast<ptrdiff_t>(begin);
      windows.emplace_back(from, from + static_cast<ptrdiff_t>(count));
    }
  }
  if (windows.empty())
    return InputError("DIFF-prompts-empty", "has fewer than two tokens: nothing can be compared",
                      "give a text of a few hundred words")
        .WithPath(source);
  return windows;
}

}  // namespace slim
