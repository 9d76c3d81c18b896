// Continuing a prompt token by token until a stop token, a number of tokens or the end of the
// context. Knows no text: what a token means is the caller's business.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "run/model.h"
#include "run/sampler.h"

namespace slim {

struct GenerationOptions {
  uint64_t max_new_tokens = 128;
  uint64_t context = 0;  // positions at most, prompt included; > 0
  SamplingOptions sampling;
  std::vector<int32_t> stop_tokens;
  bool keep_logits = false;  // all rows go to Generated::logits
};

enum class FinishReason : uint8_t { kStop, kLength };
std::string_view FinishReasonName(FinishReason reason);  // "stop", "length"

struct Generated {
  std::vector<int32_t> token_ids;  // new ones, a stop token included
  FinishReason finish_reason = FinishReason::kLength;
  // With keep_logits: the tokens that went through the model (the prompt, then every new token but
  // the last) and their logits [tokens, vocab_size].
  std::vector<int32_t> evaluated_ids;
  std::vector<float> logits;
};

// Called with each new token; an error ends the generation and is its result.
using TokenCallback = std::function<Status(int32_t)>;

// RUN-context: the prompt does not fit; names both lengths. `sequence` may hold a prefix of the
// prompt; its tokens are not computed again, except with keep_logits, when it must be empty.
Result<Generated> Generate(const Model& model, std::span<const int32_t> prompt, Sequence& sequence,
                           const GenerationOptions& options, const TokenCallback& on_token);

// The prompt cut at its front, so that `context` positions hold it and the new tokens, or at least
// half of the context holds the prompt. The prompt itself where it fits.
std::span<const int32_t> TruncatePrompt(std::span<const int32_t> prompt,
                                        const GenerationOptions& options);

}  // namespace slim
