#include "quant/weight_sparse.h"

#include <algorithm>
#include <cmath>

#include "dtype/dtype.h"
#include "kernels/convert.h"
#include "kernels/matmul.h"
#include "kernels/reduce.h"
#include "quant/cholesky.h"

namespace slim {
namespace {

constexpr int kIterations = 20;
constexpr int kMaskIterations = 15;  // the mask of the last of these stays
constexpr double kDamping = 0.1;
constexpr double kKeptShare = 0.02;
constexpr uint64_t kRowsPerTask = 16;

TensorView SquareView(const std::vector<float>& values, uint64_t k) {
  return {DType::kF32, {k, k}, std::as_bytes(std::span(values))};
}

// The `count` smallest magnitudes of `values` get 0 in the mask; of equal ones the earlier.
void MaskSmallest(std::span<const float> values, uint64_t count, std::vector<uint8_t>& mask) {
  std::vector<uint64_t> order(values.size());
  for (uint64_t i = 0; i < order.size(); ++i) order[i] = i;
  std::nth_element(order.begin(), order.begin() + static_cast<ptrdiff_t>(count), order.end(),
                   [&](uint64_t a, uint64_t b) {
                     const float left = std::fabs(values[a]);
                     const float right = std::fabs(values[b]);
                     return left != right ? left < right : a < b;
                   });
  mask.assign(values.size(), 1);
  for (uint64_t i = 0; i < count; ++i) mask[order[i]] = 0;
}

// The moments with a diagonal of ones, damped, and the norms that were divided out.
struct Normalized {
  std::vector<float> norm;
  std::vector<float> moments;
};

Result<Normalized> Normalize(std::span<const float> moments, uint64_t k) {
  Normalized result;
  result.norm.resize(k);
  result.moments.resize(k * k);
  for (uint64_t i = 0; i < k; ++i)
    result.norm[i] = (moments.empty() ? 1.0F : std::sqrt(moments[i * k + i])) + 1e-8F;
  double trace = 0;
  for (uint64_t i = 0; i < k; ++i) {
    for (uint64_t j = 0; j < k && !moments.empty(); ++j)
      result.moments[i * k + j] =
          moments[std::max(i, j) * k + std::min(i, j)] / (result.norm[i] * result.norm[j]);
    trace += result.moments[i * k + i];
  }
  const auto damping = static_cast<float>(kDamping * trace / static_cast<double>(k));
  for (uint64_t i = 0; i < k; ++i) result.moments[i * k + i] += damping;
  if (!AllFinite(result.moments.data(), result.moments.size()))
    return InputError("QU-sparse", "the second moments of its inputs are not finite");
  return result;
}

}  // namespace

Result<std::vector<float>> PruneWeight(const WeightRows& rows, double ratio,
                                       std::span<const float> moments, ThreadPool& pool) {
  const uint64_t n = rows.n();
  const uint64_t k = rows.k();
  SLIM_ASSIGN(Normalized normalized, Normalize(moments, k));
  const std::vector<float>& norm = normalized.norm;
  std::vector<float> z(n * k);
  pool.ParallelFor(n, kRowsPerTask, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      rows.Load(i, std::span(z).subspan(i * k, k));
      for (uint64_t j = 0; j < k; ++j) z[i * k + j] *= norm[j];
    }
  });
  std::vector<float> wanted(n * k);
  MatMul(z.data(), n, SquareView(normalized.moments, k), wanted.data(), pool);
  std::vector<float>& factor = normalized.moments;
  for (uint64_t i = 0; i < k; ++i) factor[i * k + i] += 1.0F;
  if (!CholeskyLower(factor, k, pool))
    return InputError("QU-sparse", "the second moments of its inputs are broken");
  const std::vector<float> inverse = InverseOf(InvertLower(factor, k, pool), k, pool);

  const auto pruned = static_cast<uint64_t>(static_cast<double>(n * k) * ratio);
  std::vector<float> u(n * k);
  std::vector<float> sum(n * k);
  std::vector<uint8_t> mask;
  for (int step = 0; step < kIterations; ++step) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] = z[i] + u[i];
    if (step < kMaskIterations) MaskSmallest(sum, std::min(pruned, n * k - 1), mask);
    for (size_t i = 0; i < sum.size(); ++i) {
      const float kept = mask[i] != 0 ? sum[i] : 0.0F;
      u[i] += z[i] - kept;
      sum[i] = wanted[i] + kept - u[i];
    }
    MatMul(sum.data(), n, SquareView(inverse, k), z.data(), pool);
  }
  for (uint64_t i = 0; i < n * k; ++i) z[i] = mask[i] != 0 ? (z[i] + u[i]) / norm[i % k] : 0.0F;
  return z;
}

void TrimMantissas(std::span<float> weight, uint64_t k, std::span<const float> moments) {
  constexpr int kSmallestExponent = -14;
  constexpr int kPlainExponent = -8;
  RoundToDType(DType::kF16, weight.data(), weight.size());
  std::vector<float> trimmed(weight.size());
  std::vector<float> loss(weight.size());
  for (size_t i = 0; i < weight.size(); ++i) {
    int exponent = 0;
    const float mantissa = 2.0F * std::frexp(weight[i], &exponent);  // in [1, 2)
    --exponent;
    float kept = std::nearbyint(mantissa * 4.0F) / 4.0F;
    const bool low = exponent < kPlainExponent;
    if (low) kept = std::copysign(std::fabs(mantissa) > 1.5F ? 2.0F : 1.0F, mantissa);
    if (exponent < kSmallestExponent || weight[i] == 0) kept = 0;
    trimmed[i] = std::ldexp(kept, exponent);
    const float scale = moments.empty() ? 1.0F : std::sqrt(moments[i % k * k + i % k]);
    loss[i] = low ? 0.0F : std::fabs(weight[i] - trimmed[i]) * scale;
  }
  const auto keep = static_cast<uint64_t>(static_cast<double>(weight.size()) * kKeptShare);
  std::vector<uint8_t> cut;
  MaskSmallest(loss, keep < weight.size() ? weight.size() - keep : 0, cut);
  for (size_t i = 0; i < weight.size(); ++i) {
    if (cut[i] == 0 || loss[i] == 0) weight[i] = trimmed[i];
  }
}

}  // namespace slim
