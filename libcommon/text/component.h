// Reading the parts of tokenizer.json: a part is an object with a "type"; its fields are required
// or have the default of the tokenizers library. Every error is TOK-field or TOK-unsupported and
// names the part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "json/json.h"

namespace slim {

// One part, e.g. the object {"type": "Split", …} under "pre_tokenizer". `kind` is that key.
class Component {
 public:
  static Result<Component> Open(const Json& json, std::string_view kind);

  const std::string& type() const { return type_; }
  const Json& json() const { return *json_; }
  std::string_view kind() const { return kind_; }
  const Json* Find(std::string_view field) const;  // null members count as absent

  Result<bool> Bool(std::string_view field, std::optional<bool> fallback = std::nullopt) const;
  Result<std::string> String(std::string_view field,
                             std::optional<std::string_view> fallback = std::nullopt) const;
  // A string of exactly one character, as its code point.
  Result<char32_t> Character(std::string_view field) const;
  Result<uint64_t> Unsigned(std::string_view field, uint64_t max) const;
  // The array of parts of a Sequence.
  Result<const Json*> Parts(std::string_view field) const;

  // "pre_tokenizer Split: <message>".
  Error Bad(std::string message) const;
  Error Unsupported() const;

 private:
  Component(const Json* json, std::string_view kind, std::string type)
      : json_(json), kind_(kind), type_(std::move(type)) {}

  const Json* json_;
  std::string_view kind_;
  std::string type_;
};

// Text of a stage may grow by this much before it is taken for an attack: canonical decomposition
// grows at most 11 times, byte-level spelling 2 times.
inline constexpr size_t kMaxGrowthFactor = 64;
inline constexpr size_t kMaxGrowthBytes = 1 << 20;
inline bool GrewTooMuch(size_t before, size_t after) {
  return after > kMaxGrowthBytes && (after - kMaxGrowthBytes) / kMaxGrowthFactor > before;
}
Error GrowthError(std::string_view stage);

}  // namespace slim
