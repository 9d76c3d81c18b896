#include "quant/observer.h"

#include <algorithm>
#include <cmath>

#include "kernels/reduce.h"

namespace slim {
namespace {

constexpr double kAutoRatio = 50.0;
constexpr double kLevels = 255.0;

}  // namespace

void ChannelRange::Update(const float* x, uint64_t t, uint64_t k) {
  if (t == 0) return;
  if (min.empty()) {
    min.assign(x, x + k);
    max.assign(x, x + k);
  }
  UpdateColumnMinMax(x, t, k, min.data(), max.data());
}

void ChannelRange::Merge(const ChannelRange& other) {
  if (other.min.empty()) return;
  if (min.empty()) {
    *this = other;
    return;
  }
  for (size_t i = 0; i < min.size(); ++i) {
    min[i] = std::min(min[i], other.min[i]);
    max[i] = std::max(max[i], other.max[i]);
  }
}

std::vector<float> ChannelRange::AbsMax() const {
  std::vector<float> absmax(min.size());
  for (size_t i = 0; i < absmax.size(); ++i)
    absmax[i] = std::max(std::fabs(min[i]), std::fabs(max[i]));
  return absmax;
}

void ValueHistogram::Widen() {
  // Bin b holds [b, b + 1) widths, b from −kHalf: pairs become one.
  std::vector<uint64_t> wider(counts_.size());
  for (int64_t bin = -kHalf; bin < kHalf; ++bin) {
    const int64_t target = bin >= 0 ? bin / 2 : -((-bin + 1) / 2);
    wider[static_cast<size_t>(target + kHalf)] += counts_[static_cast<size_t>(bin + kHalf)];
  }
  counts_ = std::move(wider);
  if (!weighed_.empty()) {
    std::vector<double> sums(weighed_.size());
    for (int64_t bin = -kHalf; bin < kHalf; ++bin) {
      const int64_t target = bin >= 0 ? bin / 2 : -((-bin + 1) / 2);
      sums[static_cast<size_t>(target + kHalf)] += weighed_[static_cast<size_t>(bin + kHalf)];
    }
    weighed_ = std::move(sums);
  }
  ++exponent_;
}

void ValueHistogram::WidenTo(double largest) {
  while (largest >= std::ldexp(static_cast<double>(kHalf), exponent_)) Widen();
}

void ValueHistogram::AddWeighed(const float* x, uint64_t count, std::span<const float> weights) {
  if (count == 0) return;
  weighed_.resize(counts_.size());
  WidenTo(static_cast<double>(AbsMax(x, count)));
  const double inverse = std::ldexp(1.0, -exponent_);
  const uint64_t k = weights.size();
  for (uint64_t row = 0; row < count / k; ++row) {
    for (uint64_t i = 0; i < k; ++i) {
      const auto bin =
          static_cast<int64_t>(std::floor(static_cast<double>(x[row * k + i]) * inverse));
      weighed_[static_cast<size_t>(bin + kHalf)] += weights[i];
    }
  }
  total_ += count;
}

double ValueHistogram::WeighedError(double low, double high, bool symmetric) const {
  const double width = std::ldexp(1.0, exponent_);
  const double scale = symmetric ? high / 127.0 : (high - low) / kLevels;
  const double offset = symmetric ? 0.0 : std::nearbyint(-low / scale) - 128.0;
  double sum = 0;
  for (size_t i = 0; i < weighed_.size(); ++i) {
    if (weighed_[i] == 0) continue;
    const double value = (static_cast<double>(i) - static_cast<double>(kHalf) + 0.5) * width;
    const double code = std::clamp(std::nearbyint(value / scale) + offset, -128.0, 127.0);
    const double error = value - (code - offset) * scale;
    sum += weighed_[i] * error * error;
  }
  return sum;
}

ValueRange ValueHistogram::SmallestWeighedError(const ValueRange& bounds, bool symmetric) const {
  constexpr double kShrink = 0.97;
  constexpr int kSteps = 120;  // down to 1/40 of the range
  double low = std::min(0.0, static_cast<double>(bounds.min));
  double high = std::max(0.0, static_cast<double>(bounds.max));
  if (symmetric) {
    high = std::max(high, -low);
    low = -high;
  }
  if (!(high > low)) return {static_cast<float>(low), static_cast<float>(high)};
  const double widest_low = low;
  const double widest_high = high;
  double best = WeighedError(low, high, symmetric);
  const auto shrink = [&](bool move_low, bool move_high) {
    double factor = 1;
    for (int i = 0; i <= kSteps; ++i, factor *= kShrink) {
      const double try_low = move_low ? widest_low * factor : low;
      const double try_high = move_high ? widest_high * factor : high;
      if (!(try_high > try_low)) continue;
      const double error = WeighedError(try_low, try_high, symmetric);
      if (!(error < best)) continue;
      best = error;
      low = try_low;
      high = try_high;
    }
  };
  shrink(true, true);
  for (int round = 0; round < 2 && !symmetric; ++round) {
    shrink(true, false);
    shrink(false, true);
  }
  return {static_cast<float>(low), static_cast<float>(high)};
}

void ValueHistogram::Add(const float* x, uint64_t count) {
  if (count == 0) return;
  WidenTo(static_cast<double>(AbsMax(x, count)));
  const double inverse = std::ldexp(1.0, -exponent_);
  for (uint64_t i = 0; i < count; ++i) {
    const auto bin = static_cast<int64_t>(std::floor(static_cast<double>(x[i]) * inverse));
    ++counts_[static_cast<size_t>(bin + kHalf)];
  }
  total_ += count;
}

double ValueHistogram::ShareOutside(const ValueRange& range) const {
  const double width = std::ldexp(1.0, exponent_);
  uint64_t outside = 0;
  for (int64_t bin = -kHalf; bin < kHalf; ++bin) {
    const double middle = (static_cast<double>(bin) + 0.5) * width;
    const bool within =
        middle >= static_cast<double>(range.min) && middle <= static_cast<double>(range.max);
    if (!within) outside += counts_[static_cast<size_t>(bin + kHalf)];
  }
  return total_ == 0 ? 0 : static_cast<double>(outside) / static_cast<double>(total_);
}

ValueRange ValueHistogram::Percentile(double percentile, const ValueRange& bounds,
                                      bool symmetric) const {
  const double outside = static_cast<double>(total_) * (1.0 - percentile / 100.0);
  const double width = std::ldexp(1.0, exponent_);
  if (symmetric) {
    double left_out = 0;
    int64_t distance = kHalf - 1;
    for (; distance > 0; --distance) {
      left_out += static_cast<double>(counts_[static_cast<size_t>(kHalf + distance)] +
                                      counts_[static_cast<size_t>(kHalf - distance - 1)]);
      if (left_out > outside) break;
    }
    const auto reach = static_cast<float>(static_cast<double>(distance + 1) * width);
    return {std::max(bounds.min, -reach), std::min(bounds.max, reach)};
  }
  double left_out = 0;
  int64_t low = -kHalf;
  for (; low < kHalf - 1; ++low) {
    left_out += static_cast<double>(counts_[static_cast<size_t>(low + kHalf)]);
    if (left_out > outside / 2) break;
  }
  left_out = 0;
  int64_t high = kHalf - 1;
  for (; high > low; --high) {
    left_out += static_cast<double>(counts_[static_cast<size_t>(high + kHalf)]);
    if (left_out > outside / 2) break;
  }
  return {std::max(bounds.min, static_cast<float>(static_cast<double>(low) * width)),
          std::min(bounds.max, static_cast<float>(static_cast<double>(high + 1) * width))};
}

ValueRange ValueHistogram::SmallestError(const ValueRange& bounds, bool symmetric) const {
  const double width = std::ldexp(1.0, exponent_);
  // Values inside lose step² / 12 each, values outside their distance.
  const auto error = [&](double low, double high) {
    const double step = (high - low) / kLevels;
    double sum = 0;
    for (int64_t bin = -kHalf; bin < kHalf; ++bin) {
      const uint64_t count = counts_[static_cast<size_t>(bin + kHalf)];
      if (count == 0) continue;
      const double value = (static_cast<double>(bin) + 0.5) * width;
      const double beyond = value < low ? low - value : (value > high ? value - high : 0.0);
      sum += static_cast<double>(count) * (beyond > 0 ? beyond * beyond : step * step / 12.0);
    }
    return sum;
  };
  double low = std::min(0.0, static_cast<double>(bounds.min));
  double high = std::max(0.0, static_cast<double>(bounds.max));
  if (symmetric) {
    high = std::max(high, -low);
    low = -high;
  }
  double best = error(low, high);
  const double low_step = -low / 256.0;
  const double high_step = high / 256.0;
  // One end at a time moves in as long as that pays; a few bins ahead, so that a flat stretch does
  // not end the search.
  constexpr int kLookAhead = 16;
  for (bool moved = true; moved;) {
    moved = false;
    for (int i = 1; i <= kLookAhead && !moved; ++i) {
      const double lower = low + low_step * i;
      const double upper = high - high_step * i;
      const double ends[3][2] = {{lower, upper}, {lower, high}, {low, upper}};
      for (int choice = 0; choice < (symmetric ? 1 : 3); ++choice) {
        if (ends[choice][0] > 0 || ends[choice][1] < 0 || ends[choice][0] >= ends[choice][1])
          continue;
        const double candidate = error(ends[choice][0], ends[choice][1]);
        if (candidate >= best) continue;
        best = candidate;
        low = ends[choice][0];
        high = ends[choice][1];
        moved = true;
        break;
      }
    }
  }
  return {static_cast<float>(low), static_cast<float>(high)};
}

void ActivationObserver::AddSample(const float* x, uint64_t count) {
  const MinMax range = FindMinMax(x, count);
  widest_.min = samples_ == 0 ? range.min : std::min(widest_.min, range.min);
  widest_.max = samples_ == 0 ? range.max : std::max(widest_.max, range.max);
  min_sum_ += static_cast<double>(range.min);
  max_sum_ += static_cast<double>(range.max);
  ++samples_;
  if (settings_.method == ActivationMethod::kMinMax) return;
  if (settings_.method == ActivationMethod::kOutput) {
    const float every = 1;
    histogram_.AddWeighed(
        x, count, column_squares_.empty() ? std::span(&every, 1) : std::span(column_squares_));
    return;
  }
  histogram_.Add(x, count);
  if (settings_.method != ActivationMethod::kAuto) return;
  for (uint64_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(x[i]);
    sum_ += value;
    squares_ += value * value;
  }
}

std::optional<double> ActivationObserver::ShareOutside(const ValueRange& range) const {
  if (histogram_.total() > 0) return histogram_.ShareOutside(range);
  if (widest_.min >= range.min && widest_.max <= range.max) return 0.0;
  return std::nullopt;
}

ValueRange ActivationObserver::Range() const {
  ActivationMethod method = settings_.method;
  if (method == ActivationMethod::kAuto) {
    const auto count = static_cast<double>(histogram_.total());
    const double variance = squares_ / count - (sum_ / count) * (sum_ / count);
    const auto absmax = static_cast<double>(std::max(-widest_.min, widest_.max));
    const bool peaked = absmax * absmax > kAutoRatio * kAutoRatio * variance;
    method = peaked ? ActivationMethod::kMinMax : ActivationMethod::kHistogram;
  }
  if (method == ActivationMethod::kHistogram)
    return histogram_.SmallestError(widest_, settings_.symmetric);
  if (method == ActivationMethod::kOutput)
    return histogram_.SmallestWeighedError(widest_, settings_.symmetric);
  if (method == ActivationMethod::kPercentile)
    return histogram_.Percentile(settings_.percentile, widest_, settings_.symmetric);
  if (settings_.aggregation == Aggregation::kMax) return widest_;
  const auto samples = static_cast<double>(samples_);
  return {static_cast<float>(min_sum_ / samples), static_cast<float>(max_sum_ / samples)};
}

}  // namespace slim
