#include "diff/metrics.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <utility>

#include "kernels/math.h"

namespace slim {
namespace {

constexpr std::array<std::pair<Metric, std::string_view>, 8> kNames = {{
    {Metric::kKl, "kl"},
    {Metric::kTop1, "top1"},
    {Metric::kTop5, "top5"},
    {Metric::kCosine, "cosine"},
    {Metric::kRmse, "rmse"},
    {Metric::kPerplexity, "ppl"},
    {Metric::kRouting, "routing"},
    {Metric::kGreedy, "greedy"},
}};

constexpr uint64_t kTopCount = 5;

uint64_t FirstLargest(const float* row, uint64_t count) {
  return static_cast<uint64_t>(std::max_element(row, row + count) - row);
}

// Σ ab, Σ a², Σ b², Σ (a − b)².
void CompareRaw(const float* first, const float* second, uint64_t vocabulary,
                PositionMetrics& metrics) {
  double product = 0;
  double first_square = 0;
  double second_square = 0;
  for (uint64_t i = 0; i < vocabulary; ++i) {
    const double a = first[i];
    const double b = second[i];
    product += a * b;
    first_square += a * a;
    second_square += b * b;
    metrics.squared_error += (a - b) * (a - b);
  }
  if (first_square == 0 || second_square == 0) {
    metrics.cosine = first_square == second_square ? 1 : 0;
    return;
  }
  // One root of the product, which is exact where both squares are equal: equal rows have cosine 1.
  metrics.cosine = std::clamp(product / std::sqrt(first_square * second_square), -1.0, 1.0);
}

std::vector<double> Differences(std::span<const double> a, std::span<const double> b) {
  std::vector<double> differences(a.size());
  for (size_t i = 0; i < a.size(); ++i) differences[i] = a[i] - b[i];
  return differences;
}

}  // namespace

std::span<const Metric> AllMetrics() {
  static const auto kAll = [] {
    std::array<Metric, kNames.size()> all{};
    for (size_t i = 0; i < all.size(); ++i) all[i] = kNames[i].first;
    return all;
  }();
  return kAll;
}

std::string_view MetricName(Metric metric) {
  for (const auto& [known, name] : kNames) {
    if (known == metric) return name;
  }
  assert(false);
  return "";
}

std::optional<Metric> ParseMetric(std::string_view name) {
  for (const auto& [metric, known] : kNames) {
    if (known == name) return metric;
  }
  return std::nullopt;
}

PositionMetrics ComparePosition(const float* first, const float* second, uint64_t vocabulary,
                                std::optional<int32_t> target) {
  PositionMetrics metrics;
  CompareRaw(first, second, vocabulary, metrics);
  const uint64_t first_top = FirstLargest(first, vocabulary);
  const uint64_t second_top = FirstLargest(second, vocabulary);
  const double first_max = first[first_top];
  const double second_max = second[second_top];
  metrics.same_top1 = first_top == second_top;
  double first_sum = 0;
  double second_sum = 0;
  double weighted = 0;  // Σ exp(a) (a − b), both relative to their largest
  uint64_t better = 0;  // tokens that second puts before first's choice
  for (uint64_t i = 0; i < vocabulary; ++i) {
    const double a = first[i] - first_max;
    const double b = second[i] - second_max;
    const double exponential = ExpD(a);
    first_sum += exponential;
    second_sum += ExpD(b);
    weighted += exponential * (a - b);
    better += second[i] > second[first_top] || (second[i] == second[first_top] && i < first_top);
  }
  const double first_log = LogD(first_sum);
  const double second_log = LogD(second_sum);
  metrics.in_top5 = better < kTopCount;
  metrics.kl = std::max(weighted / first_sum - (first_log - second_log), 0.0);
  if (target) {
    metrics.first_nll = first_log - (first[*target] - first_max);
    metrics.second_nll = second_log - (second[*target] - second_max);
  }
  return metrics;
}

Estimate EstimateMean(std::span<const double> values) {
  Estimate estimate;
  if (values.empty()) return estimate;
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += value;
  estimate.mean = sum / count;
  if (values.size() < 2) return estimate;
  double squares = 0;
  for (const double value : values) squares += (value - estimate.mean) * (value - estimate.mean);
  estimate.standard_error = std::sqrt(squares / (count - 1) / count);
  return estimate;
}

double Quantile(std::vector<double> values, double share) {
  assert(!values.empty());
  std::sort(values.begin(), values.end());
  const double place = share * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (place - static_cast<double>(below));
}

void LogitStatistics::Add(const PositionMetrics& metrics, bool scored) {
  assert(!window_begins_.empty());
  kl_.push_back(metrics.kl);
  cosine_.push_back(metrics.cosine);
  same_top1_.push_back(metrics.same_top1 ? 1 : 0);
  in_top5_.push_back(metrics.in_top5 ? 1 : 0);
  squared_error_ += metrics.squared_error;
  if (!scored) return;
  first_nll_.push_back(metrics.first_nll);
  second_nll_.push_back(metrics.second_nll);
}

LogitSummary LogitStatistics::Summarize() const {
  LogitSummary summary;
  summary.windows = window_begins_.size();
  summary.positions = kl_.size();
  summary.scored_tokens = first_nll_.size();
  summary.kl = EstimateMean(kl_);
  summary.kl_median = Quantile(kl_, 0.5);
  summary.kl_p99 = Quantile(kl_, 0.99);
  const auto worst = static_cast<uint64_t>(std::max_element(kl_.begin(), kl_.end()) - kl_.begin());
  summary.kl_max = kl_[worst];
  const auto after = std::upper_bound(window_begins_.begin(), window_begins_.end(), worst);
  summary.kl_max_window = static_cast<uint64_t>(after - window_begins_.begin());
  summary.kl_max_position = worst - *(after - 1) + 1;
  summary.top1 = EstimateMean(same_top1_);
  summary.flips = static_cast<uint64_t>(std::count(same_top1_.begin(), same_top1_.end(), 0.0));
  summary.top5 = EstimateMean(in_top5_);
  summary.cosine = EstimateMean(cosine_);
  summary.cosine_min = *std::min_element(cosine_.begin(), cosine_.end());
  const double values = static_cast<double>(kl_.size()) * static_cast<double>(vocabulary_);
  summary.rmse = std::sqrt(squared_error_ / values);
  summary.first_perplexity = ExpD(EstimateMean(first_nll_).mean);
  summary.second_perplexity = ExpD(EstimateMean(second_nll_).mean);
  const Estimate gain = EstimateMean(Differences(second_nll_, first_nll_));
  summary.perplexity_ratio.mean = ExpD(gain.mean);
  summary.perplexity_ratio.standard_error = summary.perplexity_ratio.mean * gain.standard_error;
  return summary;
}

}  // namespace slim
