// Perplexity of a text: exp of the mean negative log-likelihood a token. The tokens (without
// special ones) are cut into windows that do not overlap; each window is a sequence of its own and
// all its tokens but the first are scored; an incomplete last window is left out. Source of the
// convention: the judge of the golden perplexities (windows of 256 tokens).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "parallel/thread_pool.h"
#include "run/model.h"

namespace slim {

struct PerplexityOptions {
  uint64_t window = 256;     // tokens, at least 2
  uint64_t max_windows = 0;  // 0: all
};

struct Perplexity {
  double perplexity = 0;
  double mean_nll = 0;        // nats a token
  double standard_error = 0;  // of mean_nll
  uint64_t windows = 0;
  uint64_t scored_tokens = 0;
};

// The windows of `ids`. RUN-short-text when not even one is complete.
Result<std::vector<std::span<const int32_t>>> CutWindows(std::span<const int32_t> ids,
                                                         const PerplexityOptions& options);

// −log softmax(row i of logits)[targets[i]] in float64, for every target; logits is [targets,
// vocab].
std::vector<double> NegativeLogLikelihoods(const float* logits, uint64_t vocab,
                                           std::span<const int32_t> targets, ThreadPool& pool);
// Mean, standard error and perplexity of the likelihoods of all windows, in order.
Perplexity SummarizeLikelihoods(std::span<const double> nll, uint64_t windows);

// `on_window(done, total)` may be empty.
Result<Perplexity> MeasurePerplexity(const Model& model, std::span<const int32_t> ids,
                                     const PerplexityOptions& options, ThreadPool& pool,
                                     const std::function<void(uint64_t, uint64_t)>& on_window);

}  // namespace slim
