#include "text/calibration_file.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/text.h"
#include "json/json.h"
#include "text/unicode.h"

namespace slim {
namespace {

constexpr std::array<std::string_view, 3> kTextFields = {"inputs_pretokenized", "prompt", "text"};
constexpr std::string_view kHint =
    "use .jsonl (one object a line), .json (an array of strings) or plain text";
constexpr uint64_t kMaxBytes = 1ULL << 30;

using Samples = std::vector<CalibrationSample>;

bool IsBlank(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const CodePoint point = DecodeAt(text, i);
    if (!IsWhiteSpace(point.value)) return false;
    i += point.bytes;
  }
  return true;
}

// Calls visit(line, number, ended) for every line without its "\n" or "\r\n"; `ended`: it had one.
template <class Visit>
Status ForEachLine(std::string_view content, Visit visit) {
  uint64_t number = 1;
  for (size_t begin = 0; begin < content.size(); ++number) {
    const size_t newline = content.find('\n', begin);
    const bool ended = newline != std::string_view::npos;
    const size_t end = ended ? newline : content.size();
    std::string_view line = content.substr(begin, end - begin);
    if (ended && line.ends_with('\r')) line.remove_suffix(1);
    SLIM_TRY(visit(line, number, ended));
    begin = end + 1;
  }
  return {};
}

Status CheckUtf8(std::string_view content) {
  if (IsUtf8(content)) return {};
  return ForEachLine(content, [](std::string_view line, uint64_t number, bool) -> Status {
    if (IsUtf8(line)) return {};
    return InputError("CALIB-utf8", fmt::format("line {} is not UTF-8", number));
  });
}

Status AddJsonLine(std::string_view line, uint64_t number, bool ended, Samples& samples) {
  if (IsBlank(line)) return {};
  const Result<Json> json = ParseJson(line, {.max_bytes = kMaxBytes});
  if (!json.ok()) {
    return InputError("CALIB-json", fmt::format("line {}: {}", number, json.error().message),
                      std::string(kHint));
  }
  if (!json->is_object()) {
    return InputError("CALIB-json",
                      fmt::format("line {} is {}, not an object", number, json->KindName()),
                      std::string(kHint));
  }
  for (const std::string_view field : kTextFields) {
    const Json* text = json->Find(field);
    if (text == nullptr) continue;
    if (!text->is_string()) {
      return InputError("CALIB-type", fmt::format("line {}: \"{}\" is {}, not a string", number,
                                                  field, text->KindName()));
    }
    samples.push_back({text->text(), number});
    return {};
  }
  samples.push_back({std::string(line) + (ended ? "\n" : ""), number});
  return {};
}

Result<Samples> ParseLines(std::string_view content) {
  Samples samples;
  SLIM_TRY(ForEachLine(content, [&](std::string_view line, uint64_t number, bool ended) {
    return AddJsonLine(line, number, ended, samples);
  }));
  return samples;
}

Result<Samples> ParseArray(std::string_view content) {
  const Result<Json> json = ParseJson(content, {.max_bytes = kMaxBytes});
  if (!json.ok()) {
    return InputError("CALIB-json", json.error().message, std::string(kHint));
  }
  if (!json->is_array()) {
    return InputError("CALIB-json",
                      fmt::format("the file is {}, not an array of strings", json->KindName()),
                      std::string(kHint));
  }
  Samples samples;
  for (const Json& item : json->items()) {
    const uint64_t number = samples.size() + 1;
    if (!item.is_string()) {
      return InputError("CALIB-type",
                        fmt::format("element {} is {}, not a string", number, item.KindName()));
    }
    samples.push_back({item.text(), number});
  }
  return samples;
}

Result<Samples> ParseParagraphs(std::string_view content) {
  Samples samples;
  bool open = false;
  SLIM_TRY(ForEachLine(content, [&](std::string_view line, uint64_t number, bool) -> Status {
    if (IsBlank(line)) {
      open = false;
    } else if (open) {
      samples.back().text += '\n';
      samples.back().text += line;
    } else {
      samples.push_back({std::string(line), number});
      open = true;
    }
    return {};
  }));
  return samples;
}

Result<Samples> Parse(std::string_view content, std::string_view path) {
  if (content.starts_with("\xEF\xBB\xBF")) content.remove_prefix(3);
  if (content.empty()) return InputError("CALIB-empty", "the file is empty", std::string(kHint));
  SLIM_TRY(CheckUtf8(content));
  const std::string lower = ToLower(path);
  const auto parse = lower.ends_with(".jsonl")  ? ParseLines
                     : lower.ends_with(".json") ? ParseArray
                                                : ParseParagraphs;
  SLIM_ASSIGN(Samples samples, parse(content));
  std::erase_if(samples, [](const CalibrationSample& sample) { return IsBlank(sample.text); });
  if (samples.empty()) {
    return InputError("CALIB-empty", "no sample has any text", std::string(kHint));
  }
  return samples;
}

}  // namespace

Result<std::vector<CalibrationSample>> ParseCalibrationFile(std::string_view content,
                                                            std::string_view path) {
  Result<Samples> samples = Parse(content, path);
  if (!samples.ok()) return std::move(samples).error().WithPath(path);
  return samples;
}

}  // namespace slim
