#include "cli/console.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>

#include "base/text.h"

namespace slim {
namespace {

constexpr size_t kBufferBytes = 1 << 16;
constexpr int64_t kProgressIntervalMs = 100;

std::string_view EscapeCode(Style style) {
  switch (style) {
    case Style::kPlain:
      return "";
    case Style::kBold:
      return "\x1b[1m";
    case Style::kRed:
      return "\x1b[1;31m";
    case Style::kYellow:
      return "\x1b[1;33m";
    case Style::kGreen:
      return "\x1b[32m";
  }
  return "";
}

int64_t NowMs() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

bool IsSet(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

// Talk that cannot be printed has nobody to be told about it.
void Talk(const std::string& text) {
  [[maybe_unused]] Status ignored = WriteStream(Stream::kErr, text);
}

}  // namespace

Console::Console(std::string_view tool_name) : tool_(tool_name) {}

Console::~Console() { ClearProgress(); }

Status Console::Print(std::string_view text) {
  if (!failure_.ok()) return failure_;
  buffer_ += text;
  if (buffer_.size() >= kBufferBytes) return Flush();
  return {};
}

Status Console::Flush() {
  if (!failure_.ok() || buffer_.empty()) return failure_;
  ClearProgress();
  failure_ = WriteStream(Stream::kOut, buffer_);
  buffer_.clear();
  return failure_;
}

void Console::Note(std::string_view text) {
  if (level_ >= LogLevel::kInfo) Say("", Style::kPlain, text);
}

void Console::Detail(std::string_view text) {
  if (level_ >= LogLevel::kDebug) Say("", Style::kPlain, text);
}

void Console::Warning(std::string_view text) {
  if (level_ >= LogLevel::kWarning) Say("warning: ", Style::kYellow, text);
}

void Console::Fail(const Error& error) {
  std::string text = error.ToString();
  if (error.code == ErrorCode::kUsage) text += fmt::format(" (see {} --help)", tool_);
  Say("error: ", Style::kRed, text);
}

void Console::Progress(std::string_view what, uint64_t done, uint64_t total) {
  if (level_ < LogLevel::kInfo || total == 0 || !IsTerminal(Stream::kErr)) return;
  if (done >= total) {
    ClearProgress();
    return;
  }
  const int64_t now = NowMs();
  if (progress_columns_ > 0 && now - last_progress_ms_ < kProgressIntervalMs) return;
  last_progress_ms_ = now;
  ClearProgress();
  const double percent = 100.0 * static_cast<double>(done) / static_cast<double>(total);
  std::string line = fmt::format("{:3.0f}% {}", percent, Escape(what));
  // A line that wraps could not be taken back.
  const auto columns = static_cast<size_t>(TerminalColumns());
  if (line.size() >= columns) line.resize(columns - 1);
  progress_columns_ = line.size();
  Talk(line);
}

std::string Console::Paint(std::string_view text, Style style, Stream stream) const {
  if (style == Style::kPlain || !Colored(stream)) return std::string(text);
  return fmt::format("{}{}\x1b[0m", EscapeCode(style), text);
}

bool Console::Colored(Stream stream) const {
  if (color_ != Color::kAuto) return color_ == Color::kAlways;
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  return !dumb && !IsSet("NO_COLOR") && IsTerminal(stream);
}

void Console::Say(std::string_view label, Style style, std::string_view text) {
  ClearProgress();
  // Data printed so far comes first where both streams end in one place.
  [[maybe_unused]] Status flushed = Flush();
  Talk(fmt::format("{}: {}{}\n", tool_, Paint(label, style, Stream::kErr), text));
}

void Console::ClearProgress() {
  if (progress_columns_ == 0) return;
  Talk(fmt::format("\r{:{}}\r", "", progress_columns_));
  progress_columns_ = 0;
}

}  // namespace slim
