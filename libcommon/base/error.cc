#include "base/error.h"

#include <fmt/format.h>

#include <cstring>

#include "base/text.h"

namespace slim {

std::string Error::ToString() const {
  std::string out;
  if (!path.empty()) out += fmt::format("{}: ", Escape(path));
  if (!tensor.empty()) out += fmt::format("tensor {}: ", Quote(tensor));
  out += message;
  if (offset) out += fmt::format(" (at byte {})", *offset);
  if (system_errno != 0) out += fmt::format(": {}", std::strerror(system_errno));
  if (!rule.empty()) out += fmt::format(" [{}]", rule);
  if (!hint.empty()) out += fmt::format("; {}", hint);
  return out;
}

Error&& Error::WithPath(std::string_view p) && {
  if (path.empty()) path = p;
  return std::move(*this);
}

Error&& Error::WithTensor(std::string_view t) && {
  if (tensor.empty()) tensor = t;
  return std::move(*this);
}

Error&& Error::WithHint(std::string_view h) && {
  if (hint.empty()) hint = h;
  return std::move(*this);
}

Error UsageError(std::string message, std::string hint) {
  Error error;
  error.code = ErrorCode::kUsage;
  error.message = std::move(message);
  error.hint = std::move(hint);
  return error;
}

Error InputError(std::string rule, std::string message, std::string hint) {
  Error error;
  error.code = ErrorCode::kInput;
  error.rule = std::move(rule);
  error.message = std::move(message);
  error.hint = std::move(hint);
  return error;
}

Error SystemError(std::string_view path, std::string message, int err) {
  Error error;
  error.code = ErrorCode::kSystem;
  error.path = path;
  error.message = std::move(message);
  error.system_errno = err;
  return error;
}

Error InternalError(std::string message) {
  Error error;
  error.message = std::move(message);
  error.hint = "this is a bug in slim, please report it";
  return error;
}

}  // namespace slim
