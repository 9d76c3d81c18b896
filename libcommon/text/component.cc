#include "text/component.h"

#include <fmt/format.h>

#include "base/text.h"
#include "text/unicode.h"

namespace slim {

Result<Component> Component::Open(const Json& json, std::string_view kind) {
  if (!json.is_object()) {
    return InputError("TOK-field",
                      fmt::format("{} must be an object, it is {}", kind, json.KindName()));
  }
  const Json* type = json.Find("type");
  if (type == nullptr || !type->is_string()) {
    return InputError("TOK-field", fmt::format("{} has no \"type\"", kind));
  }
  return Component(&json, kind, type->text());
}

const Json* Component::Find(std::string_view field) const {
  const Json* value = json_->Find(field);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<bool> Component::Bool(std::string_view field, std::optional<bool> fallback) const {
  const Json* value = Find(field);
  if (value == nullptr && fallback) return *fallback;
  const std::optional<bool> found = value == nullptr ? std::nullopt : value->AsBool();
  if (!found) return Bad(fmt::format("\"{}\" must be true or false", field));
  return *found;
}

Result<std::string> Component::String(std::string_view field,
                                      std::optional<std::string_view> fallback) const {
  const Json* value = Find(field);
  if (value == nullptr && fallback) return std::string(*fallback);
  if (value == nullptr || !value->is_string()) {
    return Bad(fmt::format("\"{}\" must be a string", field));
  }
  return value->text();
}

Result<char32_t> Component::Character(std::string_view field) const {
  SLIM_ASSIGN(const std::string text, String(field));
  if (text.empty() || DecodeAt(text, 0).bytes != text.size()) {
    return Bad(fmt::format("\"{}\" must be one character, it is {}", field, Quote(text)));
  }
  return DecodeAt(text, 0).value;
}

Result<uint64_t> Component::Unsigned(std::string_view field, uint64_t max) const {
  const Json* value = Find(field);
  const std::optional<int64_t> found = value == nullptr ? std::nullopt : value->AsInteger();
  if (!found || *found < 0 || static_cast<uint64_t>(*found) > max) {
    return Bad(fmt::format("\"{}\" must be an integer from 0 to {}", field, max));
  }
  return static_cast<uint64_t>(*found);
}

Result<const Json*> Component::Parts(std::string_view field) const {
  const Json* value = Find(field);
  if (value == nullptr || !value->is_array()) {
    return Bad(fmt::format("\"{}\" must be an array", field));
  }
  return value;
}

Error Component::Bad(std::string message) const {
  return InputError("TOK-field", fmt::format("{} {}: {}", kind_, Escape(type_), message));
}

Error Component::Unsupported() const {
  return InputError("TOK-unsupported", fmt::format("{} {} is not supported", kind_, Quote(type_)));
}

Error GrowthError(std::string_view stage) {
  return InputError("TOK-growth",
                    fmt::format("{} makes the text more than {} times as long as it was", stage,
                                kMaxGrowthFactor));
}

}  // namespace slim
