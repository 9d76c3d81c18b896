// Reading single keys of config.json with errors that name the key, what was found and what was
// wanted. Knows no architecture.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace slim {

// Larger than any model there is, small enough that products of two stay far from 2^64.
inline constexpr uint64_t kLargestDimension = 1ULL << 28;

Error MissingConfigKey(std::string_view key);  // CF-missing-key
Error BadConfigValue(std::string_view key, const Json& value, std::string_view wanted);
// CF-bad-value

// The member of an object; a null counts as absent.
const Json* FindConfigValue(const Json& object, std::string_view key);

// A positive integer up to kLargestDimension. Absent: the fallback, or CF-missing-key without one.
Status ReadDimension(const Json& config, std::string_view key, std::optional<uint64_t> fallback,
                     uint64_t& out);
// A count, 0 allowed, at most `largest`. Absent: `out` stays.
Status ReadCount(const Json& config, std::string_view key, uint64_t largest, uint64_t& out);
// A positive finite number, true or false, a string. Absent: `out` stays.
Status ReadPositive(const Json& config, std::string_view key, double& out);
Status ReadPositive(const Json& config, std::string_view key, std::optional<double>& out);
Status ReadFlag(const Json& config, std::string_view key, bool& out);
Status ReadText(const Json& config, std::string_view key, std::string_view& out);
// Token ids: a number or a list of them. Absent: empty.
Result<std::vector<int64_t>> ReadTokenIds(const Json& config, std::string_view key);

}  // namespace slim
