#include "diff/greedy.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "run/generate.h"

namespace slim {
namespace {

// Empty, with `found` set, when logits are not finite.
Result<std::vector<int32_t>> Continue(const Model& model, Side side,
                                      std::span<const int32_t> prompt,
                                      const GenerationOptions& options, uint64_t number,
                                      std::optional<NonFinite>& found) {
  Sequence sequence(model.config());
  auto generated = Generate(model, prompt, sequence, options, [](int32_t) -> Status { return {}; });
  if (generated.ok()) return std::move(generated->token_ids);
  found = AsNonFinite(generated.error(), side, fmt::format("greedy text of prompt {}", number));
  if (found) return std::vector<int32_t>();
  return std::move(generated).error();
}

}  // namespace

std::optional<uint64_t> FirstDifference(std::span<const int32_t> a, std::span<const int32_t> b) {
  const auto [left, right] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (left == a.end() && right == b.end()) return std::nullopt;
  return static_cast<uint64_t>(left - a.begin()) + 1;
}

Result<GreedyResult> CompareGreedy(const Model& first, const Model& second,
                                   std::span<const std::vector<int32_t>> windows,
                                   const GreedyOptions& options) {
  GenerationOptions generation;
  generation.max_new_tokens = options.new_tokens;
  generation.context = std::min(first.config().max_position, second.config().max_position);
  generation.stop_tokens = options.stop_tokens;
  GreedyResult result;
  const size_t count = std::min<size_t>(options.prompts, windows.size());
  for (size_t i = 0; i < count; ++i) {
    const std::span<const int32_t> window = windows[i];
    const auto prompt = window.first(std::min<size_t>(options.prompt_tokens, window.size()));
    GreedyComparison comparison;
    comparison.prompt_tokens = prompt.size();
    SLIM_ASSIGN(comparison.first,
                Continue(first, Side::kFirst, prompt, generation, i + 1, result.non_finite));
    if (result.non_finite) return result;
    SLIM_ASSIGN(comparison.second,
                Continue(second, Side::kSecond, prompt, generation, i + 1, result.non_finite));
    if (result.non_finite) return result;
    comparison.first_difference = FirstDifference(comparison.first, comparison.second);
    result.prompts.push_back(std::move(comparison));
  }
  return result;
}

}  // namespace slim
