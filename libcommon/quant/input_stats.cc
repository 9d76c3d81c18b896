#include "quant/input_stats.h"

#include <algorithm>
#include <cassert>

#include "model/modules.h"

namespace slim {

void InputStats::Transform(std::span<const float> shift, std::span<const float> factor) {
  const auto apply = [&](std::vector<float>& values, uint64_t rows) {
    const size_t k = factor.size();
    for (uint64_t row = 0; row < rows; ++row) {
      for (size_t i = 0; i < k; ++i) {
        float& value = values[row * k + i];
        value = (value - (shift.empty() ? 0.0F : shift[i])) * factor[i];
      }
    }
  };
  apply(range.min, 1);
  apply(range.max, 1);
  for (ChannelRange& sample : samples) {
    if (sample.min.empty()) continue;
    apply(sample.min, 1);
    apply(sample.max, 1);
  }
  apply(tokens, token_count);
  applied.resize(factor.size(), 1.0F);
  for (size_t i = 0; i < factor.size(); ++i) applied[i] *= factor[i];
  if (!sum.empty()) TransformMoments(shift, factor);
}

void InputStats::TransformMoments(std::span<const float> shift, std::span<const float> factor) {
  const auto count = static_cast<double>(seen);
  for (size_t i = 0; i < sum.size(); ++i) {
    const double s = shift.empty() ? 0.0 : static_cast<double>(shift[i]);
    const double f = factor[i];
    squares[i] = std::max(0.0, (squares[i] - 2 * s * sum[i] + count * s * s) * f * f);
    sum[i] = (sum[i] - count * s) * f;
  }
}

std::vector<float> InputStats::Mean() const {
  std::vector<float> mean(sum.size());
  for (size_t i = 0; i < mean.size(); ++i)
    mean[i] = static_cast<float>(sum[i] / static_cast<double>(seen));
  return mean;
}

std::vector<float> InputStats::MeanSquare() const {
  std::vector<float> mean(squares.size());
  for (size_t i = 0; i < mean.size(); ++i)
    mean[i] = static_cast<float>(squares[i] / static_cast<double>(seen));
  return mean;
}

BlockStats::BlockStats(const ModelConfig& config, uint64_t layer) {
  for (const SharedInput& input : SharedInputs(config, layer)) {
    // Experts see only some of the tokens: the record is shared below one parent module.
    std::map<std::string_view, std::string> first;
    for (const std::string& linear : input.linears) {
      const std::string_view parent = std::string_view(linear).substr(0, linear.rfind('.'));
      const auto [place, fresh] = first.emplace(parent, linear);
      leaders_.emplace(linear, place->second);
    }
  }
}

const std::string& BlockStats::LeaderOf(std::string_view linear) const {
  const auto leader = leaders_.find(linear);
  assert(leader != leaders_.end());
  return leader->second;
}

InputStats* BlockStats::Find(std::string_view linear) {
  const auto leader = leaders_.find(linear);
  if (leader == leaders_.end()) return nullptr;
  const auto stats = inputs_.find(leader->second);
  return stats == inputs_.end() || stats->second.empty() ? nullptr : &stats->second;
}

void BlockStats::KeepTokens(std::set<std::string, std::less<>> leaders, uint64_t token_limit,
                            uint64_t all_tokens) {
  kept_ = std::move(leaders);
  stride_ = token_limit == 0 || all_tokens <= token_limit
                ? 1
                : (all_tokens + token_limit - 1) / token_limit;
}

void BlockStats::AddInput(std::string_view linear, const float* x, uint64_t t, uint64_t k) {
  const auto leader = leaders_.find(linear);
  if (leader == leaders_.end() || leader->first != leader->second || t == 0) return;
  sample_[leader->second].Update(x, t, k);
  InputStats& stats = inputs_[leader->second];
  if (moments_) AddMoments(x, t, k, stats);
  if (!kept_.contains(leader->second)) return;
  for (uint64_t i = 0; i < t; i += stride_) {
    stats.tokens.insert(stats.tokens.end(), x + i * k, x + (i + 1) * k);
    ++stats.token_count;
  }
}

void BlockStats::AddMoments(const float* x, uint64_t t, uint64_t k, InputStats& stats) {
  stats.sum.resize(k);
  stats.squares.resize(k);
  stats.seen += t;
  for (uint64_t i = 0; i < t; ++i) {
    for (uint64_t j = 0; j < k; ++j) {
      const double value = x[i * k + j];
      stats.sum[j] += value;
      stats.squares[j] += value * value;
    }
  }
}

void BlockStats::AddCache(const float* key_rows, uint64_t key_width, const float* value_rows,
                          uint64_t value_width, uint64_t t) {
  sample_keys_.Update(key_rows, t, key_width);
  sample_values_.Update(value_rows, t, value_width);
}

void BlockStats::EndSample() {
  for (auto& [leader, range] : sample_) {
    InputStats& stats = inputs_[leader];
    stats.range.Merge(range);
    if (keep_samples_) stats.samples.push_back(std::move(range));
  }
  sample_.clear();
  keys.Merge(sample_keys_);
  values.Merge(sample_values_);
  last_keys = std::move(sample_keys_);
  last_values = std::move(sample_values_);
  sample_keys_ = {};
  sample_values_ = {};
}

}  // namespace slim
