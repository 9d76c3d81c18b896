#include "quant/input_stats.h"

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
  if (!kept_.contains(leader->second)) return;
  InputStats& stats = inputs_[leader->second];
  for (uint64_t i = 0; i < t; i += stride_) {
    stats.tokens.insert(stats.tokens.end(), x + i * k, x + (i + 1) * k);
    ++stats.token_count;
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
    stats.samples.push_back(std::move(range));
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
