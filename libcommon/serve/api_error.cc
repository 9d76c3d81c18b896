#include "serve/api_error.h"

#include <fmt/format.h>

#include <utility>

namespace slim {
namespace {

struct RuleStatus {
  std::string_view rule;
  int status;
  std::string_view type;
  std::string_view code;
};

constexpr RuleStatus kRules[] = {
    {"API-key", 401, "authentication_error", "invalid_api_key"},
    {"API-model", 404, "invalid_request_error", "model_not_found"},
    {"API-context", 400, "invalid_request_error", "context_length_exceeded"},
    {"API-busy", 429, "rate_limit_error", "rate_limit_exceeded"},
    {"API-shutdown", 503, "server_error", "shutting_down"},
    {"API-unknown-member", 400, "invalid_request_error", "unknown_parameter"},
    {"API-unsupported", 400, "invalid_request_error", "unsupported_parameter"},
    {"RUN-not-finite", 500, "server_error", "not_finite"},
};

struct StatusText {
  int status;
  std::string_view message;
};

constexpr StatusText kStatusTexts[] = {
    {400, "the request is no valid HTTP, or its body was cut"},
    {404,
     "there is nothing at this path: GET /v1/models, POST /v1/completions, "
     "POST /v1/chat/completions, GET /health, GET /metrics"},
    {405, "this path does not take this method"},
    {413, "the body is larger than the server takes"},
    {414, "the path is too long"},
    {415, "the body's encoding is not supported: send it as it is"},
};

Json OrNull(const std::string& text) { return text.empty() ? Json() : Json(text); }

}  // namespace

Json ApiError::ToJson() const {
  Json error = Json::Object();
  error.Set("message", message);
  error.Set("type", type);
  error.Set("param", OrNull(param));
  error.Set("code", OrNull(code));
  Json json = Json::Object();
  json.Set("error", std::move(error));
  return json;
}

ApiError ToApiError(const Error& error) {
  ApiError api;
  const bool ours = error.rule.starts_with("API-");
  if (ours) api.param = error.path;
  api.message = error.message;
  if (!error.hint.empty()) api.message += "; " + error.hint;
  for (const RuleStatus& row : kRules) {
    if (error.rule != row.rule) continue;
    api.status = row.status;
    api.type = row.type;
    api.code = row.code;
    return api;
  }
  if (error.code == ErrorCode::kInput || error.code == ErrorCode::kUsage) return api;
  api.status = error.code == ErrorCode::kCancelled ? 503 : 500;
  api.type = "server_error";
  return api;
}

ApiError HttpError(int status) {
  ApiError api;
  api.status = status;
  api.message = fmt::format("HTTP status {}", status);
  for (const StatusText& row : kStatusTexts) {
    if (row.status == status) api.message = row.message;
  }
  if (status >= 500) api.type = "server_error";
  return api;
}

Error MemberError(std::string rule, std::string_view param, std::string message, std::string hint) {
  return InputError(std::move(rule), std::move(message), std::move(hint)).WithPath(param);
}

}  // namespace slim
