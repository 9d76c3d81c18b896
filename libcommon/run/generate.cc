#include "run/generate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace slim {
namespace {

// New tokens that the cache makes room for in advance; beyond, it grows as they come.
constexpr uint64_t kReservedTokens = 1024;

void Keep(std::span<const int32_t> ids, const std::vector<float>& logits, Generated& generated) {
  generated.evaluated_ids.insert(generated.evaluated_ids.end(), ids.begin(), ids.end());
  generated.logits.insert(generated.logits.end(), logits.begin(), logits.end());
}

}  // namespace

std::string_view FinishReasonName(FinishReason reason) {
  return reason == FinishReason::kStop ? "stop" : "length";
}

std::span<const int32_t> TruncatePrompt(std::span<const int32_t> prompt,
                                        const GenerationOptions& options) {
  const uint64_t room = std::max<uint64_t>(
      options.context - std::min(options.max_new_tokens, options.context / 2), 1);
  return prompt.size() <= options.context ? prompt : prompt.last(std::min(room, prompt.size()));
}

Result<Generated> Generate(const Model& model, std::span<const int32_t> prompt, Sequence& sequence,
                           const GenerationOptions& options, const TokenCallback& on_token) {
  assert(!options.keep_logits || sequence.length() == 0);
  if (prompt.size() > options.context) {
    return InputError("RUN-context",
                      fmt::format("the prompt has {} tokens, the context {} positions",
                                  prompt.size(), options.context),
                      "--truncate keeps its end, --ctx widens the context");
  }
  assert(sequence.length() < prompt.size());
  Generated generated;
  std::vector<float> logits;
  const std::span<const int32_t> rest = prompt.subspan(sequence.length());
  if (options.max_new_tokens == 0 && !options.keep_logits) return generated;
  sequence.Reserve(prompt.size() + std::min(options.max_new_tokens, kReservedTokens));
  SLIM_TRY(model.Forward(rest, sequence, !options.keep_logits, logits));
  if (options.keep_logits) Keep(rest, logits, generated);
  Sampler sampler(options.sampling);
  const uint64_t vocabulary = model.config().vocab_size;
  while (generated.token_ids.size() < options.max_new_tokens) {
    const int32_t id = sampler.Pick(std::span(logits).last(vocabulary));
    generated.token_ids.push_back(id);
    SLIM_TRY(on_token(id));
    const auto& stops = options.stop_tokens;
    if (std::find(stops.begin(), stops.end(), id) != stops.end()) {
      generated.finish_reason = FinishReason::kStop;
      break;
    }
    const uint64_t taken = prompt.size() + generated.token_ids.size();
    if (generated.token_ids.size() == options.max_new_tokens || taken > options.context) break;
    SLIM_TRY(model.Forward({&id, 1}, sequence, true, logits));
    if (options.keep_logits) Keep({&id, 1}, logits, generated);
  }
  return generated;
}

}  // namespace slim
