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
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace slim {

// What a report shows. The names are those of --metrics and of the report's fields.
enum class Metric : uint8_t { kKl, kTop1, kTop5, kCosine, kRmse, kPerplexity, kRouting, kGreedy };
std::span<const Metric> AllMetrics();
std::string_view MetricName(Metric metric);  // "kl", "top1", "top5", "cosine", "rmse", …
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
// Linear between the two nearest values, as numpy's default; `values` is not empty, 0 ≤ share ≤ 1.
double Quantile(std::vector<double> values, double share);

struct LogitSummary {
  uint64_t windows = 0;
  uint64_t positions = 0;
  uint64_t scored_tokens = 0;  // positions with a next token in their window
  Estimate kl;
  double kl_median = 0;
  double kl_p99 = 0;
  double kl_max = 0;
  uint64_t kl_max_window = 0;    // from 1
  uint64_t kl_max_position = 0;  // in its window, from 1
  Estimate top1;                 // share of positions
  uint64_t flips = 0;            // positions with different first choices
  Estimate top5;
  Estimate cosine;
  double cosine_min = 0;
  double rmse = 0;
  double first_perplexity = 0;
  double second_perplexity = 0;
  Estimate perplexity_ratio;  // second / first: exp of the mean difference of −ln; error by exp'
};

// Collects positions in order; 48 bytes each.
class LogitStatistics {
 public:
  explicit LogitStatistics(uint64_t vocabulary) : vocabulary_(vocabulary) {}

  // Positions that follow belong to the next window.
  void BeginWindow() { window_begins_.push_back(kl_.size()); }
  void Add(const PositionMetrics& metrics, bool scored);
  // At least one position was added.
  LogitSummary Summarize() const;

 private:
  uint64_t vocabulary_;
  std::vector<uint64_t> window_begins_;
  std::vector<double> kl_, cosine_, first_nll_, second_nll_;
  std::vector<double> same_top1_, in_top5_;
  double squared_error_ = 0;
};

}  // namespace slim
