// Arithmetic on sizes that come from files: overflow is an empty optional, never a wrapped number.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>

namespace slim {

inline std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<uint64_t> CheckedMul(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// The value in a narrower type, or nothing when it does not fit.
template <std::integral To, std::integral From>
std::optional<To> Narrow(From value) {
  To result = 0;
  if (__builtin_add_overflow(value, From{0}, &result)) return std::nullopt;
  return result;
}

inline uint64_t CeilDiv(uint64_t a, uint64_t b) { return a / b + (a % b != 0 ? 1 : 0); }

}  // namespace slim
