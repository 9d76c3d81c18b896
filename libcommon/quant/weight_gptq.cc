#include "quant/weight_gptq.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/quantize.h"
#include "kernels/reduce.h"
#include "quant/cholesky.h"

namespace slim {
namespace {

constexpr uint64_t kRowsPerTask = 16;

// The upper U with H⁻¹ = Uᵀ U. With the order of columns turned round H = L Lᵀ becomes H = V Vᵀ, V
// upper, and U = V⁻¹: no inverse of H is formed.
Result<std::vector<float>> InverseFactor(std::span<const float> moments, uint64_t k, double damping,
                                         ThreadPool& pool) {
  double trace = 0;
  for (uint64_t i = 0; i < k; ++i) trace += moments[i * k + i];
  if (!std::isfinite(trace) || !AllFinite(moments.data(), moments.size()))
    return InputError("QU-gptq", "the second moments of its inputs are not finite");
  const double mean = trace > 0 ? trace / static_cast<double>(k) : 1.0;
  for (double share = std::max(damping, 1e-6);; share *= 10) {
    std::vector<float> turned(k * k);
    for (uint64_t i = 0; i < k; ++i) {
      for (uint64_t j = 0; j <= i; ++j) turned[i * k + j] = moments[(k - 1 - i) * k + (k - 1 - j)];
      if (turned[i * k + i] == 0) turned[i * k + i] = static_cast<float>(mean);
      turned[i * k + i] += static_cast<float>(share * mean);
    }
    if (!CholeskyLower(turned, k, pool)) {
      if (share > 1e3) return InputError("QU-gptq", "the second moments of its inputs are broken");
      continue;
    }
    const std::vector<float> inverse = InvertLower(turned, k, pool);
    std::vector<float>& upper = turned;
    for (uint64_t i = 0; i < k; ++i) {
      for (uint64_t j = 0; j < k; ++j)
        upper[i * k + j] = j < i ? 0.0F : inverse[(k - 1 - j) * k + (k - 1 - i)];
    }
    return std::move(upper);
  }
}

// A few rows at a time through all columns, block by block.
class RowTile {
 public:
  RowTile(const WeightRows& rows, const WeightSettings& settings, const IntegerGrid& grid,
          std::span<const float> upper, std::span<const float> importance, IntegerWeight& out)
      : rows_(rows),
        settings_(settings),
        grid_(grid),
        upper_(upper),
        importance_(importance),
        out_(out),
        k_(rows.k()),
        groups_(k_ / grid.group_size) {}

  void Run(uint64_t first, uint64_t last) {
    first_ = first;
    count_ = last - first;
    values_.resize(count_ * k_);
    errors_.resize(count_ * k_);
    for (uint64_t r = 0; r < count_; ++r) {
      rows_.Load(first_ + r, std::span(values_).subspan(r * k_, k_));
      if (groups_ == 1) ChooseRange(r, 0);
    }
    const uint64_t block = std::max<uint64_t>(settings_.block_size, 1);
    for (uint64_t begin = 0; begin < k_; begin += block) {
      const uint64_t end = std::min(begin + block, k_);
      for (uint64_t r = 0; r < count_; ++r) RoundBlock(r, begin, end);
      for (uint64_t j = begin; j < end; ++j) {
        for (uint64_t r = 0; r < count_; ++r) Spread(r, j, end, k_);
      }
    }
  }

 private:
  void ChooseRange(uint64_t r, uint64_t group) {
    const uint64_t at = group * grid_.group_size;
    const QuantizationRange range =
        ChooseUnitRange({values_.data() + r * k_ + at, grid_.group_size},
                        importance_.subspan(at, grid_.group_size), settings_, grid_);
    out_.scale[(first_ + r) * groups_ + group] = range.scale;
    out_.offset[(first_ + r) * groups_ + group] = range.offset;
  }

  void RoundBlock(uint64_t r, uint64_t begin, uint64_t end) {
    float* row = values_.data() + r * k_;
    const auto codes = out_.codes.as<int8_t>().subspan((first_ + r) * k_, k_);
    for (uint64_t j = begin; j < end; ++j) {
      const uint64_t group = j / grid_.group_size;
      if (groups_ > 1 && j % grid_.group_size == 0) ChooseRange(r, group);
      const uint64_t at = (first_ + r) * groups_ + group;
      QuantizeRow(row + j, 1, out_.scale[at], out_.offset[at], DType::kF32, LowestCode(grid_.bits),
                  HighestCode(grid_.bits), codes.data() + j);
      const float restored = (static_cast<float>(codes[j]) - out_.offset[at]) * out_.scale[at];
      errors_[r * k_ + j] = (row[j] - restored) / upper_[j * k_ + j];
      Spread(r, j, j + 1, end);
    }
  }

  // What column j of row r lost, to the columns [begin, end).
  void Spread(uint64_t r, uint64_t j, uint64_t begin, uint64_t end) {
    const float error = errors_[r * k_ + j];
    float* row = values_.data() + r * k_;
    const float* factors = upper_.data() + j * k_;
    for (uint64_t c = begin; c < end; ++c) row[c] -= error * factors[c];
  }

  const WeightRows& rows_;
  const WeightSettings& settings_;
  const IntegerGrid& grid_;
  const std::span<const float> upper_;
  const std::span<const float> importance_;
  IntegerWeight& out_;
  const uint64_t k_;
  const uint64_t groups_;
  uint64_t first_ = 0;
  uint64_t count_ = 0;
  std::vector<float> values_;
  std::vector<float> errors_;
};

}  // namespace

Result<IntegerWeight> QuantizeGptq(const WeightRows& rows, const WeightSettings& settings,
                                   std::span<const float> moments, ThreadPool& pool) {
  const uint64_t k = rows.k();
  SLIM_ASSIGN(const std::vector<float> upper, InverseFactor(moments, k, settings.damping, pool));
  std::vector<float> importance(k);
  for (uint64_t i = 0; i < k; ++i) importance[i] = moments[i * k + i];
  IntegerGrid grid = GridOf(settings, k, DType::kF32);
  IntegerWeight weight = AllocateIntegers(rows, grid);
  pool.ParallelFor(rows.n(), kRowsPerTask, [&](uint64_t begin, uint64_t end) {
    RowTile(rows, settings, grid, upper, importance, weight).Run(begin, end);
  });
  return weight;
}

}  // namespace slim
