// JSON values of side files and reports. Parsing is strict and bounded, because the bytes come from
// strangers: UTF-8, no BOM, no NUL, no duplicate keys, limited size, depth and number of values.
// Objects keep their order; numbers keep their text. Large headers (safetensors, shard index) go
// through json/scanner.h instead.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace slim {

class Json {
 public:
  enum class Kind : uint8_t { kNull, kBool, kInteger, kReal, kString, kArray, kObject };
  using Member = std::pair<std::string, Json>;

  Json() = default;
  Json(bool value) : kind_(Kind::kBool), bool_(value) {}      // NOLINT(google-explicit-constructor)
  Json(std::string value);                                    // NOLINT(google-explicit-constructor)
  Json(std::string_view value) : Json(std::string(value)) {}  // NOLINT(google-explicit-constructor)
  Json(const char* value) : Json(std::string(value)) {}       // NOLINT(google-explicit-constructor)
  template <class T>
  requires(std::integral<T> && !std::same_as<T, bool>) Json(T value)
      : kind_(Kind::kInteger), text_(std::to_string(value)) {}  // NOLINT
  // Shortest text that reads back as the same double; NaN and infinities become strings ("nan",
  // "inf", "-inf").
  static Json Real(double value);
  static Json Array() { return Json(Kind::kArray); }
  static Json Object() { return Json(Kind::kObject); }

  Kind kind() const { return kind_; }
  std::string_view KindName() const;
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_object() const { return kind_ == Kind::kObject; }
  bool is_array() const { return kind_ == Kind::kArray; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_number() const { return kind_ == Kind::kInteger || kind_ == Kind::kReal; }

  // Empty when the value is of another kind or does not fit. AsDouble takes both kinds of number.
  std::optional<bool> AsBool() const;
  std::optional<int64_t> AsInteger() const;
  std::optional<double> AsDouble() const;
  std::optional<std::string_view> AsString() const;
  // The text of a string or a number as it was read.
  const std::string& text() const { return text_; }

  const std::vector<Json>& items() const { return items_; }
  const std::vector<Member>& members() const { return members_; }
  // The member of an object, or null. Linear: for small objects.
  const Json* Find(std::string_view key) const;

  Json& Push(Json value);
  // Replaces in place, or appends.
  Json& Set(std::string_view key, Json value);
  bool Remove(std::string_view key);

  bool operator==(const Json& other) const;

 private:
  friend class JsonBuilder;
  explicit Json(Kind kind) : kind_(kind) {}

  Kind kind_ = Kind::kNull;
  bool bool_ = false;
  std::string text_;
  std::vector<Json> items_;
  std::vector<Member> members_;
};

struct JsonLimits {
  uint64_t max_bytes = 64ULL << 20;
  int max_depth = 64;
  uint64_t max_values =
      4'000'000;  // a tokenizer with 256 000 tokens and as many merges has about a million
};

// Errors carry rule JSON-… and the byte offset.
Result<Json> ParseJson(std::string_view text, const JsonLimits& limits = {});

struct JsonStyle {
  int indent = -1;           // -1: one line; else spaces a level, as Python's json.dumps(indent=)
  bool ensure_ascii = true;  // escape everything outside ASCII as \uXXXX, as Python does by default
  bool spaces = true;        // one line: ", " and ": " as Python; false: "," and ":"
};

std::string DumpJson(const Json& value, const JsonStyle& style = {});
void AppendJsonString(std::string& out, std::string_view text, bool ensure_ascii = true);

}  // namespace slim
