// A request of the OpenAI API (completions, chat completions) as checked values: what was asked
// for, after defaults. Reads JSON, knows no HTTP and no model.
//
// Source: the OpenAI API reference, "Completions" and "Chat"; top_k, ignore_eos,
// skip_special_tokens, stop_token_ids and chat_template_kwargs are the additions of vLLM's server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "run/sampler.h"

namespace slim {

enum class Endpoint : uint8_t { kCompletions, kChat };

// What is added to logits before a token is chosen.
struct LogitRules {
  double presence_penalty = 0;   // once for every token that the answer has
  double frequency_penalty = 0;  // for each time
  std::vector<std::pair<int32_t, double>> bias;

  bool empty() const { return presence_penalty == 0 && frequency_penalty == 0 && bias.empty(); }
};

struct ApiRequest {
  Endpoint endpoint = Endpoint::kCompletions;
  std::string model;
  // Completions: texts or token ids, one or several. Chat: messages.
  std::vector<std::variant<std::string, std::vector<int32_t>>> prompts;
  Json messages;
  Json template_variables = Json::Object();
  bool continues_answer = false;  // chat: no generation prompt

  std::optional<uint64_t> max_tokens;
  uint64_t choices = 1;  // n, for each prompt
  SamplingOptions sampling;
  bool has_seed = false;
  LogitRules rules;
  std::vector<std::string> stop;
  std::vector<int32_t> stop_tokens;
  bool ignore_eos = false;
  bool skip_special_tokens = true;
  std::optional<uint64_t> top_logprobs;  // log probabilities, with that many alternatives
  bool echo = false;
  bool stream = false;
  bool stream_usage = false;
};

// Sizes that one request may ask for.
inline constexpr uint64_t kMaxChoices = 16;
inline constexpr uint64_t kMaxPrompts = 64;
inline constexpr uint64_t kMaxTopLogprobs = 20;
inline constexpr uint64_t kMaxStops = 16;

// The body of a POST. Unknown members are errors: a misspelt option that is ignored is worse.
// Errors: API-json, API-member, API-unknown-member, API-unsupported; `path` is the member.
Result<ApiRequest> ParseApiRequest(Endpoint endpoint, std::string_view body);

}  // namespace slim
