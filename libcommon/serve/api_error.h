// How an error becomes an answer of the OpenAI API: a status of HTTP and the object that clients
// expect. One table of rules decides.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "json/json.h"

namespace slim {

struct ApiError {
  int status = 400;
  std::string type = "invalid_request_error";
  std::string code;   // empty: null
  std::string param;  // the member of the request; empty: null
  std::string message;

  // {"error": {"message", "type", "param", "code"}}
  Json ToJson() const;
};

// `path` of an error with an API- rule is the member of the request that it is about.
ApiError ToApiError(const Error& error);
// An error that only HTTP knows: 404 of a path, 405, 413, …
ApiError HttpError(int status);

// An error of the request's member `param`; `rule` begins with API-.
Error MemberError(std::string rule, std::string_view param, std::string message,
                  std::string hint = "");

}  // namespace slim
