#include "model/config_keys.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace slim {

Error MissingConfigKey(std::string_view key) {
  return InputError("CF-missing-key", fmt::format("config.json has no '{}'", key));
}

Error BadConfigValue(std::string_view key, const Json& value, std::string_view wanted) {
  const std::string found =
      value.is_number() || value.is_string() ? Quote(value.text()) : std::string(value.KindName());
  return InputError("CF-bad-value",
                    fmt::format("config.json '{}' is {}, wanted {}", key, found, wanted));
}

const Json* FindConfigValue(const Json& object, std::string_view key) {
  const Json* value = object.Find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Status ReadDimension(const Json& config, std::string_view key, std::optional<uint64_t> fallback,
                     uint64_t& out) {
  const Json* value = FindConfigValue(config, key);
  if (value == nullptr) {
    if (!fallback) return MissingConfigKey(key);
    out = *fallback;
    return {};
  }
  const auto number = value->AsInteger();
  if (!number || *number <= 0 || static_cast<uint64_t>(*number) > kLargestDimension) {
    return BadConfigValue(key, *value, "a positive integer");
  }
  out = static_cast<uint64_t>(*number);
  return {};
}

Status ReadCount(const Json& config, std::string_view key, uint64_t largest, uint64_t& out) {
  const Json* value = FindConfigValue(config, key);
  if (value == nullptr) return {};
  const auto number = value->AsInteger();
  if (!number || *number < 0 || static_cast<uint64_t>(*number) > largest) {
    return BadConfigValue(key, *value, fmt::format("an integer from 0 to {}", largest));
  }
  out = static_cast<uint64_t>(*number);
  return {};
}

Status ReadPositive(const Json& config, std::string_view key, double& out) {
  const Json* value = FindConfigValue(config, key);
  if (value == nullptr) return {};
  const auto number = value->AsDouble();
  if (!number || !std::isfinite(*number) || *number <= 0)
    return BadConfigValue(key, *value, "a positive number");
  out = *number;
  return {};
}

Status ReadPositive(const Json& config, std::string_view key, std::optional<double>& out) {
  double number = 0;
  SLIM_TRY(ReadPositive(config, key, number));
  if (number > 0) out = number;
  return {};
}

Status ReadFlag(const Json& config, std::string_view key, bool& out) {
  const Json* value = FindConfigValue(config, key);
  if (value == nullptr) return {};
  const auto flag = value->AsBool();
  if (!flag) return BadConfigValue(key, *value, "true or false");
  out = *flag;
  return {};
}

Status ReadText(const Json& config, std::string_view key, std::string_view& out) {
  const Json* value = FindConfigValue(config, key);
  if (value == nullptr) return {};
  if (!value->is_string()) return BadConfigValue(key, *value, "a string");
  out = value->text();
  return {};
}

Result<std::vector<int64_t>> ReadTokenIds(const Json& config, std::string_view key) {
  std::vector<int64_t> ids;
  const Json* value = FindConfigValue(config, key);
  if (value == nullptr) return ids;
  const auto add = [&](const Json& item) {
    const auto id = item.AsInteger();
    if (!id || *id < 0 || *id > INT32_MAX) return false;
    ids.push_back(*id);
    return true;
  };
  bool ok = true;
  if (value->is_array()) {
    for (const Json& item : value->items()) ok = ok && add(item);
  } else {
    ok = add(*value);
  }
  if (!ok) return BadConfigValue(key, *value, "a token id or a list of them");
  return ids;
}

}  // namespace slim
