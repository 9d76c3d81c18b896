// Where prompts come from when they are not on the command line: a file or standard input, as one
// text or as one JSON object a line. Lines are taken as they arrive, so that a program may write
// one and wait for its answer.
#pragma once

#include <cstdint>
#include <istream>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "json/json.h"

namespace slim {

// One request of a batch.
struct Request {
  std::string prompt;
  std::optional<Json> messages;  // of {"messages": […]}: a chat
};

class PromptInput {
 public:
  // "-" is standard input. Errors of opening carry the path.
  static Result<PromptInput> Open(const std::string& path);

  // How errors name it: the path, or "standard input".
  const std::string& name() const { return name_; }
  // True when the first line that is not blank is a JSON object with `prompt` or `messages`.
  Result<bool> IsBatch();
  // All of it, without one newline at its end.
  Result<std::string> Text();
  // The next request, or nothing at the end. RUN-batch names the line.
  Result<std::optional<Request>> Next();
  // The next line that is not blank, or nothing.
  Result<std::optional<std::string>> NextLine();

 private:
  Result<Request> ParseRequest(const std::string& line) const;
  // Nothing at the end.
  Result<std::optional<std::string>> ReadLine();

  std::string name_;
  std::unique_ptr<std::istream> owned_;
  std::istream* stream_ = nullptr;
  std::string skipped_;                // blank lines before the first one
  std::optional<std::string> peeked_;  // the first line that is not blank
  uint64_t line_ = 0;
};

}  // namespace slim
