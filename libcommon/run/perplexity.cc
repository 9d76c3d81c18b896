#include "run/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/exp_rows.h"
#include "kernels/math.h"

namespace slim {

Result<std::vector<std::span<const int32_t>>> CutWindows(std::span<const int32_t> ids,
                                                         const PerplexityOptions& options) {
  const uint64_t whole = ids.size() / options.window;
  if (whole == 0) {
    return InputError(
        "RUN-short-text",
        fmt::format("the text has {} tokens, one window {}", ids.size(), options.window),
        "give a longer text or a smaller --ppl-window");
  }
  const uint64_t count = options.max_windows == 0 ? whole : std::min(whole, options.max_windows);
  std::vector<std::span<const int32_t>> windows;
  for (uint64_t i = 0; i < count; ++i)
    windows.push_back(ids.subspan(i * options.window, options.window));
  return windows;
}

std::vector<double> NegativeLogLikelihoods(const float* logits, uint64_t vocab,
                                           std::span<const int32_t> targets, ThreadPool& pool) {
  std::vector<double> nll(targets.size());
  pool.ParallelFor(targets.size(), 4, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      const float* row = logits + i * vocab;
      nll[i] = LogSumExp(row, vocab) - static_cast<double>(row[targets[i]]);
    }
  });
  return nll;
}

Perplexity SummarizeLikelihoods(std::span<const double> nll, uint64_t windows) {
  Perplexity result;
  result.windows = windows;
  result.scored_tokens = nll.size();
  const auto count = static_cast<double>(nll.size());
  double sum = 0;
  for (const double value : nll) sum += value;
  result.mean_nll = sum / count;
  double squares = 0;
  for (const double value : nll) squares += (value - result.mean_nll) * (value - result.mean_nll);
  if (nll.size() > 1) result.standard_error = std::sqrt(squares / (count - 1) / count);
  result.perplexity = ExpD(result.mean_nll);
  return result;
}

Result<Perplexity> MeasurePerplexity(const Model& model, std::span<const int32_t> ids,
                                     const PerplexityOptions& options, ThreadPool& pool,
                                     const std::function<void(uint64_t, uint64_t)>& on_window) {
  SLIM_ASSIGN(const auto windows, CutWindows(ids, options));
  Sequence sequence(model.config());
  std::vector<float> logits;
  std::vector<double> nll;
  for (size_t i = 0; i < windows.size(); ++i) {
    sequence.Clear(model.config());
    SLIM_TRY(model.Forward(windows[i], sequence, false, logits));
    const std::vector<double> scores = NegativeLogLikelihoods(
        logits.data(), model.config().vocab_size, windows[i].subspan(1), pool);
    nll.insert(nll.end(), scores.begin(), scores.end());
    if (on_window) on_window(i + 1, windows.size());
  }
  return SummarizeLikelihoods(nll, windows.size());
}

}  // namespace slim
