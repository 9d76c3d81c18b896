#include "linear/w8a8.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <utility>

#include "kernels/convert.h"
#include "kernels/reduce.h"

namespace slim {
namespace {

int32_t RoundToInt32(double value, uint64_t* saturated) {
  const double rounded = std::nearbyint(value);
  constexpr double kLow = std::numeric_limits<int32_t>::min();
  constexpr double kHigh = std::numeric_limits<int32_t>::max();
  if (!(rounded >= kLow && rounded <= kHigh)) {
    if (saturated != nullptr) ++*saturated;
    if (std::isnan(rounded)) return 0;
  }
  return static_cast<int32_t>(std::clamp(rounded, kLow, kHigh));
}

}  // namespace

StaticFold FoldStaticW8A8(std::span<const int8_t> codes, uint64_t n, uint64_t k,
                          std::span<const float> weight_scale, const QuantizationRange& input,
                          std::span<const float> bias, DType compute, FoldRounding rounding,
                          uint64_t* saturated) {
  StaticFold fold;
  fold.deq_scale.resize(n);
  fold.quant_bias.resize(n);
  for (uint64_t i = 0; i < n; ++i) {
    const float deq = Rounded(input.scale * weight_scale[i], compute);
    fold.deq_scale[i] = deq;
    const auto code_sum = static_cast<double>(SumInt8(codes.data() + i * k, k));
    if (rounding == FoldRounding::kOnce) {
      const double quotient =
          bias.empty() ? 0.0 : static_cast<double>(bias[i]) / static_cast<double>(deq);
      fold.quant_bias[i] =
          RoundToInt32(quotient - code_sum * static_cast<double>(input.offset), saturated);
      continue;
    }
    const float correction = static_cast<float>(code_sum) * input.offset;
    const float quotient = bias.empty() ? 0.0F : Rounded(bias[i] / deq, compute);
    fold.quant_bias[i] = RoundToInt32(quotient - correction, saturated);
  }
  return fold;
}

void CompleteStatic(LinearRecord& record, DType compute) {
  if (!record.Has(Role::kInputOffset))
    record[Role::kInputOffset] = Tensor::FromFloats({1}, std::vector<float>{0.0F});
  if (record.Has(Role::kDeqScale) && record.Has(Role::kQuantBias)) return;
  const std::vector<float> scales = PartAsFloats(record, Role::kWeightScale);
  QuantizationRange input;
  input.scale = PartAsFloats(record, Role::kInputScale)[0];
  input.offset = PartAsFloats(record, Role::kInputOffset)[0];
  const std::vector<float> bias =
      record.Has(Role::kBias) ? PartAsFloats(record, Role::kBias) : std::vector<float>();
  const StaticFold fold =
      FoldStaticW8A8(std::as_const(record)[Role::kWeight].as<int8_t>(), record.n(), record.k(),
                     scales, input, bias, compute, FoldRounding::kAsWritten, nullptr);
  record[Role::kDeqScale] = Tensor::FromFloats({record.n()}, fold.deq_scale);
  record[Role::kQuantBias] = Tensor(DType::kI32, {record.n()});
  std::ranges::copy(fold.quant_bias, record[Role::kQuantBias].as<int32_t>().begin());
}

int64_t RecomputeQuantBias(LinearRecord& record) {
  const auto stored = record[Role::kQuantBias].as<int32_t>();
  const std::vector<float> deq = PartAsFloats(record, Role::kDeqScale);
  const double offset = PartAsFloats(record, Role::kInputOffset)[0];
  const std::vector<float> bias =
      record.Has(Role::kBias) ? PartAsFloats(record, Role::kBias) : std::vector<float>();
  const auto codes = std::as_const(record)[Role::kWeight].as<int8_t>();
  int64_t largest = 0;
  for (uint64_t i = 0; i < record.n(); ++i) {
    const double correction =
        -offset * static_cast<double>(SumInt8(codes.data() + i * record.k(), record.k()));
    const double quotient = bias.empty() ? 0.0 : static_cast<double>(bias[i]) / deq[i];
    largest = std::max(largest, std::abs(stored[i] - static_cast<int64_t>(correction)));
    stored[i] = RoundToInt32(quotient + correction, nullptr);
  }
  return largest;
}

}  // namespace slim
