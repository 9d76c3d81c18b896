// The standard streams of a tool: data to stdout through one checked writer, talk to stderr as
// lines that begin with the tool's name, progress on stderr only where it is a terminal. Colours
// only where the stream is a terminal, unless --color says otherwise.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/listener.h"
#include "base/result.h"
#include "os/terminal.h"

namespace slim {

enum class Color : uint8_t { kAuto, kAlways, kNever };
enum class LogLevel : uint8_t { kError, kWarning, kInfo, kDebug };
enum class Style : uint8_t { kPlain, kBold, kRed, kYellow, kGreen };

class Console : public Listener {
 public:
  explicit Console(std::string_view tool_name);
  ~Console() override;

  // Data. Buffered; Flush() or the end of RunTool() writes it and notices a full disk.
  Status Print(std::string_view text);
  Status Flush();

  // Talk, one line each: "slim-quant: text". Note is silent under --quiet and Detail without
  // --verbose; warnings under --quiet.
  void Note(std::string_view text) override;
  void Detail(std::string_view text);
  void Warning(std::string_view text) override;
  // "slim-quant: error: path: message [rule]; hint", whatever the level.
  void Fail(const Error& error);
  // Bytes or items done of `what`; one line that redraws itself, at most ten times a second.
  void Progress(std::string_view what, uint64_t done, uint64_t total) override;
  // Takes the line of Progress() off the terminal.
  void ClearProgress();

  // The text in a style, if that stream gets colours; else the text.
  std::string Paint(std::string_view text, Style style, Stream stream = Stream::kOut) const;

  bool json() const { return json_; }
  LogLevel level() const { return level_; }
  void set_json(bool json) { json_ = json; }
  void set_level(LogLevel level) { level_ = level; }
  void set_color(Color color) { color_ = color; }

 private:
  bool Colored(Stream stream) const;
  void Say(std::string_view label, Style style, std::string_view text);

  std::string tool_;
  std::string buffer_;
  Status failure_;  // of an earlier Print: later ones repeat it
  bool json_ = false;
  LogLevel level_ = LogLevel::kInfo;
  Color color_ = Color::kAuto;
  size_t progress_columns_ = 0;  // of the line on the terminal
  int64_t last_progress_ms_ = 0;
};

}  // namespace slim
