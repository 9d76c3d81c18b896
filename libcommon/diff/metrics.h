// How far two rows of logits over the same vocabulary are apart, and what many such rows amount to.
// All arithmetic in float64, one position on one thread in a fixed order, positions summed in their
// order: the same bits for any number of threads. Knows no model and no text.
//
// With p = softmax(first), q = softmax(second), by position:
//   KL            Σ p (ln p − ln q), nats; a rounding below zero counts as 0
//   top-1         both have their largest logit at the same token (the first of equal ones)
//   top-5         the token of first's largest logit is among second's five largest
//   cosine        Σ a b / (|a| |b|) of the raw logits; 1 when both are zero, 0 when one is
//   RMSE          √(Σ (a − b)² / n), n over all positions and the whole vocabulary
//   perplexity    exp of the mean −ln softmax(logits)[next token]
//   delta_p       q(next token) − p(next token)
#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace slim {

// What a report shows. The names are those of --metrics and of the report's fields.
enum class Metric : uint8_t {
  kKl,
  kDeltaP,
  kTop1,
  kTop5,
  kCosine,
  kRmse,
  kPerplexity,
  kRouting,
  kGreedy
};
std::span<const Metric> AllMetrics();
std::string_view MetricName(Metric metric);  // "kl", "delta_p", "top1", "top5", …
std::optional<Metric> ParseMetric(std::string_view name);

struct PositionMetrics {
  double kl = 0;
  double cosine = 0;
  double squared_error = 0;  // summed over the vocabulary
  bool same_top1 = false;
  bool in_top5 = false;
  // −ln probability of the target; 0 without one.
  double first_nll = 0;
  double second_nll = 0;
  // The tokens of the largest logits, and their probabilities.
  int32_t first_top = 0;
  int32_t second_top = 0;
  double first_top_p = 0;
  double second_top_p = 0;
};

// The rows are finite and have `vocabulary` > 0 values; `target` is a token id below it, or empty.
PositionMetrics ComparePosition(const float* first, const float* second, uint64_t vocabulary,
                                std::optional<int32_t> target);

// A mean and its standard error, s / √n, with positions taken as independent; 0 for n < 2.
struct Estimate {
  double mean = 0;
  double standard_error = 0;
};
Estimate EstimateMean(std::span<const double> values);

// Linear between the two nearest values, as numpy's default. Its standard error is half the
// distance of the quantiles one standard deviation of the binomial rank above and below: no
// assumption about the distribution. `sorted` is not empty, 0 ≤ share ≤ 1.
struct QuantileEstimate {
  double value = 0;
  double standard_error = 0;
};
double SortedQuantile(std::span<const double> sorted, double share);
QuantileEstimate EstimateQuantile(std::span<const double> sorted, double share);

// Of q(next token) − p(next token); the shares are those of kDeltaPShares.
inline constexpr double kDeltaPShares[] = {0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1};
struct DeltaP {
  Estimate mean;
  Estimate rms;
  std::array<double, std::size(kDeltaPShares)> quantiles{};
};

// A position by its window and its place in it, both from 1.
struct Place {
  uint64_t window = 0;
  uint64_t position = 0;
};

struct LogitSummary {
  uint64_t windows = 0;
  uint64_t positions = 0;
  uint64_t scored_tokens = 0;  // positions with a next token in their window
  Estimate kl;
  QuantileEstimate kl_median;
  QuantileEstimate kl_p95;
  QuantileEstimate kl_p99;
  double kl_max = 0;
  Place kl_max_place;
  DeltaP delta_p;
  Estimate top1;       // share of positions
  uint64_t flips = 0;  // positions with different first choices
  Estimate top5;
  Estimate cosine;
  double cosine_min = 0;
  Estimate rmse;              // errors of functions of a mean: by their derivative
  Estimate first_perplexity;  // exp of the mean −ln
  Estimate second_perplexity;
  Estimate perplexity_ratio;  // second / first: exp of the mean difference of −ln
};

// A position where the models disagree most.
struct WorstPosition {
  Place place;
  bool scored = false;  // has a next token
  PositionMetrics metrics;
};

// Collects positions in order; 96 bytes each.
class LogitStatistics {
 public:
  explicit LogitStatistics(uint64_t vocabulary) : vocabulary_(vocabulary) {}

  // Positions that follow belong to the next window.
  void BeginWindow() { window_begins_.push_back(positions_.size()); }
  void Add(const PositionMetrics& metrics, bool scored);
  // At least one position was added.
  LogitSummary Summarize() const;
  // The `count` largest KL divergences, falling; of equal ones the earlier first.
  std::vector<WorstPosition> Worst(size_t count) const;
  // KL divergence of every position, in order.
  std::vector<double> Divergences() const;

 private:
  Place PlaceOf(uint64_t index) const;
  void SummarizeDivergence(LogitSummary& summary) const;
  void SummarizeAgreement(LogitSummary& summary) const;
  void SummarizeLikelihood(LogitSummary& summary) const;

  uint64_t vocabulary_;
  std::vector<uint64_t> window_begins_;
  std::vector<PositionMetrics> positions_;
  std::vector<bool> scored_;
};

}  // namespace slim
