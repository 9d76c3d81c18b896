#include "diff/metrics.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/math.h"
#include "kernels/reduce.h"
#include "kernels/row_pair.h"

namespace slim {
namespace {

constexpr std::array<std::pair<Metric, std::string_view>, 9> kNames = {{
    {Metric::kKl, "kl"},
    {Metric::kDeltaP, "delta_p"},
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
  return static_cast<uint64_t>(std::find(row, row + count, FindMinMax(row, count).max) - row);
}

void CompareRaw(const float* first, const float* second, uint64_t vocabulary,
                PositionMetrics& metrics) {
  const RowPairSums sums = SumRowPair(first, second, vocabulary);
  metrics.squared_error = sums.squared_error;
  if (sums.first_square == 0 || sums.second_square == 0) {
    metrics.cosine = sums.first_square == sums.second_square ? 1 : 0;
    return;
  }
  // One root of the product, which is exact where both squares are equal: equal rows have cosine 1.
  const double norms = std::sqrt(sums.first_square * sums.second_square);
  metrics.cosine = std::clamp(sums.product / norms, -1.0, 1.0);
}

// Tokens that `row` puts before `token`: larger ones, and of equal ones the first.
uint64_t TokensBefore(const float* row, uint64_t vocabulary, uint64_t token) {
  return CountAbove(row, vocabulary, row[token]) +
         static_cast<uint64_t>(std::count(row, row + token, row[token]));
}

// Of f(mean): f's value and the mean's error times f'.
Estimate Exponential(const Estimate& of) {
  const double value = ExpD(of.mean);
  return {value, value * of.standard_error};
}

Estimate SquareRoot(const Estimate& of) {
  const double value = std::sqrt(of.mean);
  return {value, value > 0 ? of.standard_error / (2 * value) : 0};
}

std::vector<double> Sorted(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values;
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
  const RowPairExponentials sums =
      SumExponentials(first, first_max, second, second_max, vocabulary);
  const double first_log = LogD(sums.first);
  const double second_log = LogD(sums.second);
  metrics.in_top5 = TokensBefore(second, vocabulary, first_top) < kTopCount;
  metrics.first_top = static_cast<int32_t>(first_top);
  metrics.second_top = static_cast<int32_t>(second_top);
  metrics.first_top_p = 1 / sums.first;
  metrics.second_top_p = 1 / sums.second;
  metrics.kl = std::max(sums.weighted / sums.first - (first_log - second_log), 0.0);
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

double SortedQuantile(std::span<const double> sorted, double share) {
  assert(!sorted.empty());
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - static_cast<double>(below));
}

QuantileEstimate EstimateQuantile(std::span<const double> sorted, double share) {
  const double deviation = std::sqrt(share * (1 - share) / static_cast<double>(sorted.size()));
  const double above = SortedQuantile(sorted, std::min(share + deviation, 1.0));
  const double below = SortedQuantile(sorted, std::max(share - deviation, 0.0));
  return {SortedQuantile(sorted, share), (above - below) / 2};
}

void LogitStatistics::Add(const PositionMetrics& metrics, bool scored) {
  assert(!window_begins_.empty());
  positions_.push_back(metrics);
  scored_.push_back(scored);
}

Place LogitStatistics::PlaceOf(uint64_t index) const {
  const auto after = std::upper_bound(window_begins_.begin(), window_begins_.end(), index);
  return {static_cast<uint64_t>(after - window_begins_.begin()), index - *(after - 1) + 1};
}

std::vector<double> LogitStatistics::Divergences() const {
  std::vector<double> values;
  values.reserve(positions_.size());
  for (const PositionMetrics& position : positions_) values.push_back(position.kl);
  return values;
}

std::vector<WorstPosition> LogitStatistics::Worst(size_t count) const {
  std::vector<size_t> order(positions_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  count = std::min(count, order.size());
  std::partial_sort(
      order.begin(), order.begin() + static_cast<ptrdiff_t>(count), order.end(),
      [&](size_t a, size_t b) {
        return positions_[a].kl != positions_[b].kl ? positions_[a].kl > positions_[b].kl : a < b;
      });
  std::vector<WorstPosition> worst;
  for (size_t i = 0; i < count; ++i)
    worst.push_back({PlaceOf(order[i]), scored_[order[i]], positions_[order[i]]});
  return worst;
}

void LogitStatistics::SummarizeDivergence(LogitSummary& summary) const {
  const std::vector<double> kl = Divergences();
  summary.kl = EstimateMean(kl);
  const std::vector<double> sorted = Sorted(kl);
  summary.kl_median = EstimateQuantile(sorted, 0.5);
  summary.kl_p95 = EstimateQuantile(sorted, 0.95);
  summary.kl_p99 = EstimateQuantile(sorted, 0.99);
  const auto worst = static_cast<uint64_t>(std::max_element(kl.begin(), kl.end()) - kl.begin());
  summary.kl_max = kl[worst];
  summary.kl_max_place = PlaceOf(worst);
}

void LogitStatistics::SummarizeAgreement(LogitSummary& summary) const {
  const double vocabulary = static_cast<double>(vocabulary_);
  std::vector<double> cosine, top1, top5, mean_square;
  for (const PositionMetrics& position : positions_) {
    cosine.push_back(position.cosine);
    top1.push_back(position.same_top1 ? 1 : 0);
    top5.push_back(position.in_top5 ? 1 : 0);
    mean_square.push_back(position.squared_error / vocabulary);
    summary.flips += position.same_top1 ? 0 : 1;
  }
  summary.top1 = EstimateMean(top1);
  summary.top5 = EstimateMean(top5);
  summary.cosine = EstimateMean(cosine);
  summary.cosine_min = *std::min_element(cosine.begin(), cosine.end());
  summary.rmse = SquareRoot(EstimateMean(mean_square));
}

void LogitStatistics::SummarizeLikelihood(LogitSummary& summary) const {
  std::vector<double> first, second, gain, delta, square;
  for (size_t i = 0; i < positions_.size(); ++i) {
    if (!scored_[i]) continue;
    const PositionMetrics& position = positions_[i];
    first.push_back(position.first_nll);
    second.push_back(position.second_nll);
    gain.push_back(position.second_nll - position.first_nll);
    delta.push_back(ExpD(-position.second_nll) - ExpD(-position.first_nll));
    square.push_back(delta.back() * delta.back());
  }
  summary.scored_tokens = first.size();
  summary.first_perplexity = Exponential(EstimateMean(first));
  summary.second_perplexity = Exponential(EstimateMean(second));
  summary.perplexity_ratio = Exponential(EstimateMean(gain));
  if (delta.empty()) return;
  summary.delta_p.mean = EstimateMean(delta);
  summary.delta_p.rms = SquareRoot(EstimateMean(square));
  const std::vector<double> sorted = Sorted(std::move(delta));
  for (size_t i = 0; i < std::size(kDeltaPShares); ++i)
    summary.delta_p.quantiles[i] = SortedQuantile(sorted, kDeltaPShares[i]);
}

LogitSummary LogitStatistics::Summarize() const {
  assert(!positions_.empty());
  LogitSummary summary;
  summary.windows = window_begins_.size();
  summary.positions = positions_.size();
  SummarizeDivergence(summary);
  SummarizeAgreement(summary);
  SummarizeLikelihood(summary);
  return summary;
}

}  // namespace slim
