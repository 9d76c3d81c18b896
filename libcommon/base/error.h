// What went wrong, in one value: a class that decides the exit code, a stable rule id that tests
// and machines match on, a message for people, and where it happened. Owns no policy about
// printing: cli does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slim {

// One enumerator an exit code (man pages, EXIT STATUS).
enum class ErrorCode {
  kUsage = 2,     // the command line contradicts itself or asks for what does not exist
  kInput = 3,     // an input that is needed is missing, malformed or unsupported
  kSystem = 4,    // the operating system said no: open, read, write, rename, no space, exists
  kInternal = 5,  // our own bug, or out of memory
  kCancelled = 6  // a signal asked us to stop; cli turns it into death by that signal
};

// A message has a lower-case first letter and no full stop; it names the thing, what was found and
// what was wanted. `hint` says what to do. Inner code fills what it knows; the opener of a file
// adds `path`.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string rule;     // e.g. "ST-size-mismatch"; empty where no rule is meant
  std::string message;  // may quote names from files only through Quote()
  std::string hint;
  std::string path;
  std::string tensor;
  std::optional<uint64_t> offset;  // byte offset in `path`
  int system_errno = 0;

  // "path: tensor 'x': message (at byte N): errno text [rule]; hint"; always one line.
  std::string ToString() const;

  Error&& WithPath(std::string_view p) &&;
  Error&& WithTensor(std::string_view t) &&;
  Error&& WithHint(std::string_view h) &&;
};

Error UsageError(std::string message, std::string hint = "");
Error InputError(std::string rule, std::string message, std::string hint = "");
// `err` is an errno value; its text is appended by ToString().
Error SystemError(std::string_view path, std::string message, int err);
Error InternalError(std::string message);

}  // namespace slim
