// Result<T>: a T or an Error, never neither. Result<void> for work that only succeeds or fails. An
// unread result is a compiler error. Exceptions do not cross a layer; a library that throws is
// wrapped where it is called.
#pragma once

#include <cassert>
#include <utility>
#include <variant>

#include "base/error.h"

namespace slim {

template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return state_.index() == 0; }
  const T& value() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  T& value() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  const Error& error() const& {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    assert(!ok());
    return std::move(*std::get_if<1>(&state_));
  }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error)
      : error_(std::move(error)), ok_(false) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return ok_; }
  const Error& error() const& { return error_; }
  Error&& error() && { return std::move(error_); }

 private:
  Error error_;
  bool ok_ = true;
};

using Status = Result<void>;

#define SLIM_CONCAT_INNER(a, b) a##b
#define SLIM_CONCAT(a, b) SLIM_CONCAT_INNER(a, b)

// SLIM_TRY(DoIt()): return the error of a Status to the caller.
#define SLIM_TRY(expression)                                  \
  do {                                                        \
    if (auto slim_status = (expression); !slim_status.ok()) { \
      return std::move(slim_status).error();                  \
    }                                                         \
  } while (false)

// SLIM_ASSIGN(auto header, ReadHeader(file)): declare or assign the value, or return the error.
#define SLIM_ASSIGN(declaration, expression) \
  SLIM_ASSIGN_IMPL(SLIM_CONCAT(slim_result_, __LINE__), declaration, expression)
#define SLIM_ASSIGN_IMPL(name, declaration, expression) \
  auto name = (expression);                             \
  if (!name.ok()) return std::move(name).error();       \
  declaration = std::move(name).value()

}  // namespace slim
