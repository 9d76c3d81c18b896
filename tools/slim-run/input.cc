#include "input.h"

#include <fmt/format.h>

#include <cerrno>
#include <iostream>
#include <sstream>
#include <utility>

#include "base/text.h"
#include "os/file.h"
#include "os/interrupt.h"

namespace slim {

Result<PromptInput> PromptInput::Open(const std::string& path) {
  PromptInput input;
  if (path == "-") {
    input.name_ = "standard input";
    input.stream_ = &std::cin;
    return input;
  }
  input.name_ = path;
  SLIM_ASSIGN(std::string content, ReadWholeFile(path));
  input.owned_ = std::make_unique<std::istringstream>(std::move(content));
  input.stream_ = input.owned_.get();
  return input;
}

Result<std::optional<std::string>> PromptInput::ReadLine() {
  std::string line;
  const bool found = static_cast<bool>(std::getline(*stream_, line));
  SLIM_TRY(CheckInterrupt());
  if (stream_->bad()) return SystemError(name_, "cannot be read", errno);
  if (!found) return std::optional<std::string>();
  ++line_;
  if (!stream_->eof()) line += '\n';
  return std::optional<std::string>(std::move(line));
}

Result<std::optional<std::string>> PromptInput::NextLine() {
  if (peeked_) return std::exchange(peeked_, std::nullopt);
  while (true) {
    SLIM_ASSIGN(std::optional<std::string> line, ReadLine());
    if (!line || !Trim(*line).empty()) return line;
    skipped_ += *line;
  }
}

Result<bool> PromptInput::IsBatch() {
  SLIM_ASSIGN(peeked_, NextLine());
  if (!peeked_ || !Trim(*peeked_).starts_with('{')) return false;
  const auto json = ParseJson(Trim(*peeked_));
  return json.ok() && (json->Find("prompt") != nullptr || json->Find("messages") != nullptr);
}

Result<std::string> PromptInput::Text() {
  std::string text =
      std::exchange(skipped_, {}) + std::exchange(peeked_, std::nullopt).value_or("");
  while (true) {
    SLIM_ASSIGN(std::optional<std::string> line, ReadLine());
    if (!line) break;
    text += *line;
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

Result<Request> PromptInput::ParseRequest(const std::string& line) const {
  const auto wrong = [&](std::string_view what) {
    return InputError("RUN-batch", fmt::format("line {}: {}", line_, what),
                      "every line is a JSON object with 'prompt' (text) or 'messages' (a list)")
        .WithPath(name_);
  };
  auto json = ParseJson(Trim(line));
  if (!json.ok()) return wrong(json.error().message);
  Request request;
  const Json* messages = json->Find("messages");
  if (messages != nullptr && messages->is_array()) {
    request.messages = *messages;
    return request;
  }
  const Json* prompt = json->is_object() ? json->Find("prompt") : nullptr;
  if (prompt == nullptr || !prompt->is_string()) return wrong("no text 'prompt'");
  request.prompt = prompt->text();
  return request;
}

Result<std::optional<Request>> PromptInput::Next() {
  SLIM_ASSIGN(const std::optional<std::string> line, NextLine());
  if (!line) return std::optional<Request>();
  SLIM_ASSIGN(Request request, ParseRequest(*line));
  return std::optional<Request>(std::move(request));
}

}  // namespace slim
