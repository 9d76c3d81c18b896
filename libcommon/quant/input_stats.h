// What one forward pass over the calibration samples recorded of a decoder block: ranges by channel
// of what enters its linears and its cache, and, where asked for, the tokens themselves. Linears
// that read the same tensor share one record, named by the first of them. Smoothing changes the
// records along with the weights, so that one pass serves every later step.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/model_config.h"
#include "quant/observer.h"

namespace slim {

struct InputStats {
  ChannelRange range;                 // over all samples
  std::vector<ChannelRange> samples;  // of each, where KeepSamples asked for them
  // [token_count, k]: the tokens kept, evenly spread over the samples.
  std::vector<float> tokens;
  uint64_t token_count = 0;
  std::vector<float> applied;  // [k], the product of the factors of Transform; empty without
  // Over all tokens seen, where CollectMoments asked for them: Σ x and Σ x² of each channel.
  std::vector<double> sum;
  std::vector<double> squares;
  uint64_t seen = 0;

  bool empty() const { return range.min.empty(); }
  // What follows when the source gives (x − shift) · factor instead of x; `shift` may be empty.
  void Transform(std::span<const float> shift, std::span<const float> factor);
  // Of each channel; empty without moments.
  std::vector<float> Mean() const;
  std::vector<float> MeanSquare() const;

 private:
  void TransformMoments(std::span<const float> shift, std::span<const float> factor);
};

class BlockStats {
 public:
  BlockStats(const ModelConfig& config, uint64_t layer);

  // The linear whose record `linear` shares.
  const std::string& LeaderOf(std::string_view linear) const;
  // Null when no token reached the linear.
  InputStats* Find(std::string_view linear);

  // `keep_tokens`: leaders whose tokens are kept, at most `token_limit` each (0: all).
  void KeepTokens(std::set<std::string, std::less<>> leaders, uint64_t token_limit,
                  uint64_t all_tokens);
  void CollectMoments() { moments_ = true; }
  // InputStats::samples is filled: with many experts it is the larger part.
  void KeepSamples() { keep_samples_ = true; }
  void AddInput(std::string_view linear, const float* x, uint64_t t, uint64_t k);
  // Keys (rotated), [t, key_width], and values, [t, value_width].
  void AddCache(const float* key_rows, uint64_t key_width, const float* value_rows,
                uint64_t value_width, uint64_t t);
  void EndSample();

  ChannelRange keys;  // over all samples
  ChannelRange values;
  ChannelRange last_keys;  // of the last sample
  ChannelRange last_values;

 private:
  static void AddMoments(const float* x, uint64_t t, uint64_t k, InputStats& stats);

  std::map<std::string, std::string, std::less<>> leaders_;
  std::map<std::string, InputStats, std::less<>> inputs_;
  std::map<std::string, ChannelRange, std::less<>> sample_;  // of the current sample
  ChannelRange sample_keys_;
  ChannelRange sample_values_;
  std::set<std::string, std::less<>> kept_;
  bool moments_ = false;
  bool keep_samples_ = false;
  uint64_t stride_ = 1;  // every how many tokens one is kept
};

}  // namespace slim
