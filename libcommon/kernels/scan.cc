#include "kernels/scan.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>

#include "kernels/dispatch.h"
#include "kernels/exp_constants.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/scan.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/simd.inc"

HWY_BEFORE_NAMESPACE();
namespace slim {
namespace HWY_NAMESPACE {
namespace {

using Bytes = hn::CappedTag<uint8_t, 64>;
using Sums = hn::Repartition<uint64_t, Bytes>;

// Codes plus 128, so that unsigned minima, maxima and byte sums serve.
CodeScan ScanBytes(const int8_t* codes, uint64_t count) {
  const Bytes d;
  constexpr size_t kBytes = hn::MaxLanes(d);
  const auto flip = hn::Set(d, uint8_t{0x80});
  const auto one = hn::Set(d, uint8_t{1});
  const auto two = hn::Set(d, uint8_t{2});
  auto sum = hn::Zero(Sums());
  auto min = hn::Set(d, uint8_t{0xFF});
  auto max = hn::Zero(d);
  CodeScan scan;
  uint64_t i = 0;
  for (; i + kBytes <= count; i += kBytes) {
    const auto v = hn::Xor(hn::LoadU(d, reinterpret_cast<const uint8_t*>(codes) + i), flip);
    sum = hn::Add(sum, hn::SumsOf8(v));
    min = hn::Min(min, v);
    max = hn::Max(max, v);
    // 255, 0 and 1 become 0, 1 and 2.
    const auto rotated = hn::Add(v, one);
    scan.at_ends += hn::CountTrue(d, hn::Eq(hn::Min(rotated, two), rotated));
    scan.minus_128 += hn::CountTrue(d, hn::Eq(v, hn::Zero(d)));
  }
  alignas(64) uint64_t sums[8];
  alignas(64) uint8_t lows[64];
  alignas(64) uint8_t highs[64];
  hn::Store(sum, Sums(), sums);
  hn::Store(min, d, lows);
  hn::Store(max, d, highs);
  if (i > 0) {
    for (size_t lane = 0; lane < kBytes / 8; ++lane) scan.sum += static_cast<int64_t>(sums[lane]);
    scan.sum -= 128 * static_cast<int64_t>(i);
    scan.min = static_cast<int8_t>(*std::min_element(lows, lows + kBytes) - 128);
    scan.max = static_cast<int8_t>(*std::max_element(highs, highs + kBytes) - 128);
  }
  for (; i < count; ++i) {
    const int8_t code = codes[i];
    scan.sum += code;
    scan.min = std::min(scan.min, code);
    scan.max = std::max(scan.max, code);
    scan.at_ends += code == 127 || code <= -127 ? 1 : 0;
    scan.minus_128 += code == -128 ? 1 : 0;
  }
  return scan;
}

template <class Word>
HWY_INLINE uint64_t CountMasked(const void* words, uint64_t count, Word mask) {
  const hn::CappedTag<Word, 64 / sizeof(Word)> d;
  constexpr size_t kWords = hn::MaxLanes(d);
  const auto wanted = hn::Set(d, mask);
  const auto* from = static_cast<const uint8_t*>(words);
  uint64_t found = 0;
  uint64_t i = 0;
  for (; i + kWords <= count; i += kWords) {
    const auto bytes = hn::LoadU(hn::Repartition<uint8_t, decltype(d)>(), from + i * sizeof(Word));
    found += hn::CountTrue(d, hn::Eq(hn::And(hn::BitCast(d, bytes), wanted), wanted));
  }
  for (; i < count; ++i) {
    Word word;
    memcpy(&word, from + i * sizeof(Word), sizeof(Word));
    found += (word & mask) == mask ? 1 : 0;
  }
  return found;
}

uint64_t CountMaskedWords16(const void* words, uint64_t count, uint16_t mask) {
  return CountMasked<uint16_t>(words, count, mask);
}
uint64_t CountMaskedWords32(const void* words, uint64_t count, uint32_t mask) {
  return CountMasked<uint32_t>(words, count, mask);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace slim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace slim {

HWY_EXPORT(ScanBytes);
HWY_EXPORT(CountMaskedWords16);
HWY_EXPORT(CountMaskedWords32);

CodeScan ScanCodes8(const int8_t* codes, uint64_t count) {
  return SLIM_DISPATCH(ScanBytes)(codes, count);
}

uint64_t CountMasked16(const void* words, uint64_t count, uint16_t mask) {
  return SLIM_DISPATCH(CountMaskedWords16)(words, count, mask);
}

uint64_t CountMasked32(const void* words, uint64_t count, uint32_t mask) {
  return SLIM_DISPATCH(CountMaskedWords32)(words, count, mask);
}

bool AllFinite(DType dtype, const std::byte* values, uint64_t count) {
  switch (dtype) {
    case DType::kF32:
      return CountMasked32(values, count, 0x7F800000U) == 0;
    case DType::kBF16:
      return CountMasked16(values, count, 0x7F80) == 0;
    case DType::kF16:
      return CountMasked16(values, count, 0x7C00) == 0;
    default:
      assert(dtype == DType::kF8E4M3);
      return std::none_of(values, values + count, [](std::byte value) {
        return (value & std::byte{0x7F}) == std::byte{0x7F};
      });
  }
}

}  // namespace slim
#endif  // HWY_ONCE
