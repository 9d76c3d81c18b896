#include "convert/dtype_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/bytes.h"
#include "dtype/scalar_convert.h"
#include "kernels/convert.h"
#include "kernels/rounding_error.h"

namespace slim {
namespace {

constexpr uint64_t kChunk = 4096;

void Account(std::span<const float> before, std::span<const float> after, RoundingLoss& loss) {
  // With room for the rounding of the product that stands for a quotient.
  const auto bound = static_cast<float>(loss.worst_relative_error * 0.999);
  const RoundingGlance glance = GlanceAtRounding(before.data(), after.data(), before.size(), bound);
  if (!glance.stands_out) {
    loss.changed += glance.changed;
    return;
  }
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i] == after[i] || std::isnan(before[i])) continue;
    ++loss.changed;
    if (after[i] == 0.0F) ++loss.to_zero;
    if (std::isinf(after[i])) {
      ++loss.overflowed;
      continue;
    }
    const double error = std::abs((static_cast<double>(after[i]) - before[i]) / before[i]);
    loss.worst_relative_error = std::max(loss.worst_relative_error, error);
  }
}

Error WrongDType(DType dtype, std::string_view wanted) {
  return InputError("CV-dtype",
                    fmt::format("has dtype {}, --dtype converts {}", DTypeName(dtype), wanted));
}

}  // namespace

Result<RoundingLoss> ChangeDType(const TensorView& tensor, DType to, std::span<std::byte> out,
                                 double known_error) {
  const DType from = tensor.dtype;
  if (!CanConvertFromFloat(from) || !CanConvertFromFloat(to))
    return WrongDType(from, "F32, F16 and BF16");
  RoundingLoss loss;
  if (from == to) {
    if (!out.empty()) std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
    return loss;
  }
  loss.worst_relative_error = known_error;
  const uint64_t from_size = DTypeBits(from) / 8;
  const uint64_t to_size = DTypeBits(to) / 8;
  std::array<float, kChunk> before;
  std::array<float, kChunk> after;
  const uint64_t elements = tensor.elements();
  for (uint64_t begin = 0; begin < elements; begin += kChunk) {
    const uint64_t count = std::min(kChunk, elements - begin);
    ToFloat(from, tensor.bytes.data() + begin * from_size, before.data(), count);
    std::copy_n(before.data(), count, after.data());
    RoundToDType(to, after.data(), count);
    Account({before.data(), count}, {after.data(), count}, loss);
    if (!out.empty()) FromFloat(to, after.data(), out.data() + begin * to_size, count);
  }
  return loss;
}

Status ChangeDeqScale(const TensorView& tensor, DType to, std::span<std::byte> out) {
  for (const DType dtype : {tensor.dtype, to}) {
    if (dtype != DType::kF32 && dtype != DType::kI64)
      return WrongDType(dtype, "a deq_scale of F32 or I64");
  }
  if (tensor.dtype == to) {
    std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
    return {};
  }
  const uint64_t elements = tensor.elements();
  for (uint64_t i = 0; i < elements; ++i) {
    if (to == DType::kI64) {
      StoreLe(out.data() + i * 8, FloatToDeqBits(LoadLe<float>(tensor.bytes.data() + i * 4)));
      continue;
    }
    const auto bits = LoadLe<int64_t>(tensor.bytes.data() + i * 8);
    if (bits != static_cast<int64_t>(static_cast<int32_t>(bits))) {
      return InputError("CV-deq-bits",
                        fmt::format("element {} is {}, which is no float32 bits", i, bits));
    }
    StoreLe(out.data() + i * 4, DeqBitsToFloat(bits));
  }
  return {};
}

}  // namespace slim
