// What is remembered of the activations that enter a linear, and the static range that follows:
// ranges by channel (for smoothing), and of the whole tensor as minmax, histogram or percentile
// choose it. Only minima, maxima and counts are combined, so the order of samples changes nothing
// but the mean aggregation, whose sums are taken in sample order.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "quant/recipe.h"

namespace slim {

// Smallest and largest value of each channel over all tokens seen.
struct ChannelRange {
  std::vector<float> min;
  std::vector<float> max;

  // x is [t, k]; k is that of the first call.
  void Update(const float* x, uint64_t t, uint64_t k);
  void Merge(const ChannelRange& other);
  std::vector<float> AbsMax() const;
};

struct ValueRange {
  float min = 0;
  float max = 0;
};

// Counts of values in bins of equal width around zero. The width is a power of two that doubles
// when a value falls outside, so counts are exact and independent of order.
class ValueHistogram {
 public:
  void Add(const float* x, uint64_t count);
  uint64_t total() const { return total_; }
  // Share of the values that lie in bins with their middle outside `range`.
  double ShareOutside(const ValueRange& range) const;

  // The range whose 8-bit grid has the smallest expected squared error, clipping included;
  // `symmetric`: around zero. `bounds`: smallest and largest value seen.
  ValueRange SmallestError(const ValueRange& bounds, bool symmetric) const;
  // The range that leaves out (100 − percentile) % of the values, half at each end, or, symmetric,
  // of |x|; at most `bounds`.
  ValueRange Percentile(double percentile, const ValueRange& bounds, bool symmetric) const;

  // Values whose squared errors count `weights` [k] times by channel; a histogram has either
  // weighed values or counted ones. x is [count / k, k].
  void AddWeighed(const float* x, uint64_t count, std::span<const float> weights);
  // The range whose 8-bit codes leave the smallest weighed squared error, rounding and clipping as
  // they are: the largest range, both ends shrunk alike, then each end alone.
  ValueRange SmallestWeighedError(const ValueRange& bounds, bool symmetric) const;

 private:
  static constexpr int64_t kHalf = 4096;  // bins on each side of zero
  void Widen();

  void WidenTo(double largest);
  double WeighedError(double low, double high, bool symmetric) const;

  std::vector<uint64_t> counts_ = std::vector<uint64_t>(2 * kHalf);
  std::vector<double> weighed_;
  int exponent_ = -40;  // bins are 2^exponent_ wide
  uint64_t total_ = 0;
};

// The range of one activation tensor over samples (facts: algorithms.md 2.4).
class ActivationObserver {
 public:
  // kOutput: `column_squares` [k] is Σ_n W[n, k]² over the linears that read the input, the share
  // of a channel's error in theirs; all channels alike when empty.
  explicit ActivationObserver(const ActivationSettings& settings,
                              std::vector<float> column_squares = {})
      : settings_(settings), column_squares_(std::move(column_squares)) {}

  // All tokens of one calibration sample: `count` values, at least one.
  void AddSample(const float* x, uint64_t count);
  bool empty() const { return samples_ == 0; }
  // Of the samples so far. kAuto: kHistogram, unless max|x| / std > 50.
  ValueRange Range() const;
  // Share of the values that `range` leaves out; empty where only their ends were kept and one is
  // outside.
  std::optional<double> ShareOutside(const ValueRange& range) const;

 private:
  ActivationSettings settings_;
  std::vector<float> column_squares_;
  uint64_t samples_ = 0;
  ValueRange widest_;
  double min_sum_ = 0;
  double max_sum_ = 0;
  double sum_ = 0;  // kAuto
  double squares_ = 0;
  ValueHistogram histogram_;
};

}  // namespace slim
