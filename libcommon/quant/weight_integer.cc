#include "quant/weight_integer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <functional>

#include "kernels/code_error.h"
#include "kernels/convert.h"
#include "kernels/math.h"
#include "kernels/quantize.h"
#include "kernels/reduce.h"
#include "linear/torch_sum.h"
#include "os/memory.h"

namespace slim {
namespace {

constexpr uint64_t kRowsPerTask = 16;

// Sums in eight lanes of double, folded in a fixed order.
template <class Term>
double SumTerms(size_t count, const Term& term) {
  std::array<double, 8> lanes = {};
  size_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (size_t l = 0; l < 8; ++l) lanes[l] += term(i + l);
  }
  for (; i < count; ++i) lanes[i % 8] += term(i);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

struct Candidate {
  QuantizationRange range;
  float error = 0;
  float fitted = 0;  // the scale that fits the codes of this one best; <= 0 where there is none
};

// One row or group under search, with the buffers that all tries share.
class UnitSearch {
 public:
  UnitSearch(const IntegerGrid& grid, const WeightSettings& settings)
      : grid_(grid), settings_(settings) {}

  QuantizationRange Quantize(std::span<const float> values, std::span<const float> importance,
                             std::span<int8_t> codes) {
    values_ = values;
    importance_ = importance;
    Candidate best = Start();
    if (settings_.clip == WeightClip::kMse || settings_.method == WeightMethod::kAwq) Clip(best);
    if (settings_.method == WeightMethod::kSsz) Fit(best);
    if (settings_.method == WeightMethod::kHqq) FitRobustly(best);
    Encode(best.range, codes);
    return best.range;
  }

 private:
  Candidate Start() const {
    const MinMax found = FindMinMax(values_.data(), values_.size());
    return Try(RangeOf(found.min, found.max));
  }

  QuantizationRange RangeOf(float min, float max) const {
    return grid_.symmetric ? SymmetricRange(min, max, grid_.bits, grid_.compute)
                           : AsymmetricRange(min, max, grid_.bits, grid_.compute);
  }

  void Encode(const QuantizationRange& range, std::span<int8_t> codes) const {
    QuantizeRow(values_.data(), values_.size(), range.scale, range.offset, grid_.compute,
                LowestCode(grid_.bits), HighestCode(grid_.bits), codes.data());
  }

  Candidate Try(const QuantizationRange& range) const {
    const CodeError found = MeasureCodes(
        values_.data(), importance_.empty() ? nullptr : importance_.data(), values_.size(),
        range.scale, range.offset, LowestCode(grid_.bits), HighestCode(grid_.bits));
    return {range, found.error,
            found.square > 0 ? range.scale + found.product / found.square : 0.0F};
  }

  // Ranges shrunk by a factor: at 4 bits the tails cost less than the resolution they take.
  void Clip(Candidate& best) const {
    constexpr int kSteps = 32;
    constexpr float kStep = 0.02F;
    const MinMax found = FindMinMax(values_.data(), values_.size());
    for (int i = 1; i < kSteps; ++i) {
      const float factor = 1.0F - kStep * static_cast<float>(i);
      const Candidate candidate = Try(RangeOf(found.min * factor, found.max * factor));
      if (candidate.error < best.error) best = candidate;
    }
  }

  // Codes and scale in turn, until neither gains. Where that ends depends on where it starts.
  void Fit(Candidate& best) const {
    const QuantizationRange first = best.range;
    for (const float factor : kStarts) {
      Candidate current = Try({first.scale * factor, first.offset});
      for (uint64_t step = 0; step < settings_.steps && current.fitted > 0; ++step) {
        const Candidate next = Try({current.fitted, first.offset});
        if (!(next.error < current.error)) break;
        current = next;
      }
      if (current.error < best.error) best = current;
    }
  }

  // The same for the robust loss, which moves the target: large errors are taken out of the values
  // before the scale, and the offset, are fitted.
  void FitRobustly(Candidate& best) {
    QuantizationRange range = best.range;
    double beta = kFirstBeta;
    tried_.resize(values_.size());
    restored_.resize(values_.size());
    for (uint64_t step = 0; step < settings_.steps; ++step) {
      Encode(range, tried_);
      DequantizeRow(tried_.data(), tried_.size(), range.scale, range.offset, restored_.data());
      targets_.assign(values_.begin(), values_.end());
      ShrinkErrors(beta / (range.scale > 0 ? range.scale : 1));
      if (!grid_.symmetric) FitOffset(range);
      if (!FitScale(range)) return;
      beta *= kBetaGrowth;
      const Candidate candidate = Try(range);
      if (candidate.error < best.error) best = candidate;
    }
  }

  bool FitScale(QuantizationRange& range) const {
    const auto weighted = [&](size_t i) {
      return (importance_.empty() ? 1.0 : importance_[i]) * (tried_[i] - range.offset);
    };
    const double products =
        SumTerms(targets_.size(), [&](size_t i) { return weighted(i) * targets_[i]; });
    const double squares = SumTerms(
        targets_.size(), [&](size_t i) { return weighted(i) * (tried_[i] - range.offset); });
    if (squares <= 0 || products <= 0) return false;
    range.scale = static_cast<float>(products / squares);
    return true;
  }

  void FitOffset(QuantizationRange& range) const {
    const double mean =
        SumTerms(
            targets_.size(),
            [&](size_t i) { return tried_[i] - targets_[i] / static_cast<double>(range.scale); }) /
        static_cast<double>(targets_.size());
    range.offset = std::clamp(static_cast<float>(std::nearbyint(mean)),
                              static_cast<float>(LowestCode(grid_.bits)),
                              static_cast<float>(HighestCode(grid_.bits)));
  }

  // targets = values − e, where e is the error after the proximal step of |e|^p / beta.
  void ShrinkErrors(double beta) {
    constexpr double kNorm = 0.7;
    for (size_t i = 0; i < targets_.size(); ++i) {
      const double error = values_[i] - restored_[i];
      const double size = std::fabs(error);
      if (size == 0) continue;
      const double shrunk = std::max(size - PowD(size, kNorm - 1) / beta, 0.0);
      targets_[i] = static_cast<float>(values_[i] - std::copysign(shrunk, error));
    }
  }

  static constexpr std::array<float, 2> kStarts = {1.0F, 1.01F};
  static constexpr double kFirstBeta = 10;
  static constexpr double kBetaGrowth = 1.01;

  const IntegerGrid grid_;
  const WeightSettings& settings_;
  std::span<const float> values_;
  std::span<const float> importance_;
  std::vector<float> restored_;
  std::vector<float> targets_;
  std::vector<int8_t> tried_;
};

// msModelSlim's ssz: every operation in the weight's dtype, sums of 16-bit values in float32, all
// rows in one loop that ends before the first step in which no row gains enough.
class SszAsWritten {
 public:
  SszAsWritten(const WeightRows& rows, const IntegerGrid& grid, ThreadPool& pool)
      : rows_(rows), grid_(grid), pool_(pool), weight_(AllocateIntegers(rows, grid)) {}

  IntegerWeight Run(uint64_t steps) {
    const uint64_t n = rows_.n();
    best_error_.resize(n);
    error_.resize(n);
    current_.resize(n);
    ForRows([&](uint64_t i, std::span<const float> row, std::span<int8_t> codes) {
      weight_.scale[i] = QuantizeByRange(row, grid_.bits, true, grid_.compute, codes).scale;
      best_error_[i] = Error(row, codes, weight_.scale[i]);
    });
    for (uint64_t step = 0; step < steps; ++step) {
      ForRows([&](uint64_t i, std::span<const float> row, std::span<int8_t> codes) {
        current_[i] = LeastSquares(row, codes);
        Encode(row, current_[i], codes);
        error_[i] = Error(row, codes, current_[i]);
      });
      if (AllConverged()) break;
      for (uint64_t i = 0; i < n; ++i) {
        if (!(error_[i] < best_error_[i])) continue;
        best_error_[i] = error_[i];
        weight_.scale[i] = current_[i];
      }
    }
    ForRows([&](uint64_t i, std::span<const float> row, std::span<int8_t> codes) {
      Encode(row, weight_.scale[i], codes);
    });
    return std::move(weight_);
  }

 private:
  template <class Body>
  void ForRows(const Body& body) {
    const uint64_t k = rows_.k();
    pool_.ParallelFor(rows_.n(), kRowsPerTask, [&](uint64_t begin, uint64_t end) {
      std::vector<float> row(k);
      for (uint64_t i = begin; i < end; ++i) {
        rows_.Load(i, row);
        body(i, row, weight_.codes.as<int8_t>().subspan(i * k, k));
      }
    });
  }

  void Encode(std::span<const float> row, float scale, std::span<int8_t> codes) const {
    QuantizeRow(row.data(), row.size(), scale, 0.0F, grid_.compute, LowestCode(grid_.bits),
                HighestCode(grid_.bits), codes.data());
  }

  float LeastSquares(std::span<const float> row, std::span<const int8_t> codes) const {
    constexpr float kSmallest = 1e-30F;
    std::vector<float> products(row.size());
    std::vector<float> squares(row.size());
    for (size_t i = 0; i < row.size(); ++i) {
      products[i] = row[i] * static_cast<float>(codes[i]);
      squares[i] = static_cast<float>(codes[i] * codes[i]);
    }
    RoundToDType(grid_.compute, products.data(), products.size());
    RoundToDType(grid_.compute, squares.data(), squares.size());
    return Rounded(Sum(products) / std::max(Sum(squares), kSmallest), grid_.compute);
  }

  float Sum(std::span<const float> values) const {
    return Rounded(TorchSum(values), grid_.compute);
  }

  float Error(std::span<const float> row, std::span<const int8_t> codes, float scale) const {
    std::vector<float> restored(row.size());
    DequantizeRow(codes.data(), codes.size(), scale, 0.0F, restored.data());
    RoundToDType(grid_.compute, restored.data(), restored.size());
    for (size_t i = 0; i < row.size(); ++i) {
      const float difference = row[i] - restored[i];
      restored[i] = difference * difference;
    }
    return TorchSum(restored) / static_cast<float>(row.size());
  }

  bool AllConverged() const {
    constexpr float kThreshold = 1e-10F;
    for (size_t i = 0; i < error_.size(); ++i) {
      const float gain = best_error_[i] - error_[i];
      const bool converged =
          gain / std::max(best_error_[i], 1e-4F) < kThreshold || std::fabs(gain) < kThreshold;
      if (!converged) return false;
    }
    return true;
  }

  const WeightRows& rows_;
  const IntegerGrid grid_;
  ThreadPool& pool_;
  IntegerWeight weight_;
  std::vector<float> best_error_;
  std::vector<float> error_;
  std::vector<float> current_;
};

}  // namespace

IntegerGrid GridOf(const WeightSettings& settings, uint64_t k, DType compute) {
  IntegerGrid grid;
  grid.bits = settings.dtype == CodeType::kInt4 ? 4 : 8;
  grid.symmetric = settings.symmetric;
  grid.group_size = settings.granularity == Granularity::kPerGroup ? settings.group_size : k;
  grid.compute = compute;
  return grid;
}

IntegerWeight AllocateIntegers(const WeightRows& rows, const IntegerGrid& grid) {
  IntegerWeight weight;
  weight.codes = Tensor(DType::kI8, {rows.n(), rows.k()});
  PreferLargePages(weight.codes.data.bytes());
  weight.scale.resize(rows.n() * (rows.k() / grid.group_size));
  weight.offset.resize(weight.scale.size());
  return weight;
}

QuantizationRange ChooseUnitRange(std::span<const float> values, std::span<const float> importance,
                                  const WeightSettings& settings, const IntegerGrid& grid) {
  std::vector<int8_t> codes(values.size());
  return UnitSearch(grid, settings).Quantize(values, importance, codes);
}

IntegerWeight QuantizeSparse(const WeightRows& rows, const WeightSettings& settings,
                             ThreadPool& pool) {
  constexpr float kLargestBulkCode = 7;
  const uint64_t k = rows.k();
  IntegerWeight weight = AllocateIntegers(rows, {8, true, k, rows.compute});
  pool.ParallelFor(rows.n(), kRowsPerTask, [&](uint64_t begin, uint64_t end) {
    std::vector<float> row(k);
    std::vector<float> sizes(k);
    for (uint64_t i = begin; i < end; ++i) {
      rows.Load(i, row);
      for (uint64_t j = 0; j < k; ++j) sizes[j] = std::fabs(row[j]);
      const float largest = *std::max_element(sizes.begin(), sizes.end());
      float bulk = largest;
      if (settings.sparse_sigma) {
        const double count = static_cast<double>(k);
        const double mean = SumTerms(k, [&](size_t j) { return row[j]; }) / count;
        const double variance =
            SumTerms(k, [&](size_t j) { return (row[j] - mean) * (row[j] - mean); }) / count;
        bulk = static_cast<float>(std::fabs(mean) + *settings.sparse_sigma * std::sqrt(variance));
      } else {
        const auto kept = static_cast<uint64_t>(settings.sparse_fraction * static_cast<double>(k));
        const auto place = sizes.begin() + static_cast<ptrdiff_t>(std::min(kept, k - 1));
        std::nth_element(sizes.begin(), place, sizes.end(), std::greater<>());
        bulk = *place;
      }
      const float scale =
          std::max({std::min(bulk, largest) / kLargestBulkCode, largest / 127.0F, 0x1p-23F});
      weight.scale[i] = Rounded(scale, rows.compute);
      QuantizeRow(row.data(), k, weight.scale[i], 0.0F, rows.compute, -127, 127,
                  weight.codes.as<int8_t>().data() + i * k);
    }
  });
  return weight;
}

IntegerWeight QuantizeIntegers(const WeightRows& rows, const WeightSettings& settings,
                               std::span<const float> importance, bool as_written,
                               ThreadPool& pool) {
  const uint64_t k = rows.k();
  const IntegerGrid grid = GridOf(settings, k, rows.compute);
  if (as_written && settings.method == WeightMethod::kSsz && grid.symmetric && grid.group_size == k)
    return SszAsWritten(rows, grid, pool).Run(settings.steps);
  IntegerWeight weight = AllocateIntegers(rows, grid);
  const uint64_t groups = k / grid.group_size;
  pool.ParallelFor(rows.n(), kRowsPerTask, [&](uint64_t begin, uint64_t end) {
    UnitSearch search(grid, settings);
    std::vector<float> row(k);
    const bool searched =
        settings.method != WeightMethod::kMinMax || settings.clip != WeightClip::kNone;
    for (uint64_t i = begin; i < end; ++i) {
      rows.Load(i, row);
      for (uint64_t g = 0; g < groups; ++g) {
        const uint64_t at = g * grid.group_size;
        const auto values = std::span<const float>(row).subspan(at, grid.group_size);
        const auto codes = weight.codes.as<int8_t>().subspan(i * k + at, grid.group_size);
        const auto weights =
            importance.empty() ? importance : importance.subspan(at, grid.group_size);
        const QuantizationRange range =
            searched ? search.Quantize(values, weights, codes)
                     : QuantizeByRange(values, grid.bits, grid.symmetric, grid.compute, codes);
        weight.scale[i * groups + g] = range.scale;
        weight.offset[i * groups + g] = range.offset;
      }
    }
  });
  return weight;
}

}  // namespace slim
