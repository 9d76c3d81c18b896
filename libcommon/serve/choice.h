// One answer that is being generated: how its next token is chosen, what text it has so far, when
// it ends. Takes rows of logits and gives pieces; computes no model.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "run/sampler.h"
#include "run/text_model.h"
#include "serve/answer_stream.h"
#include "serve/request.h"
#include "serve/stop_text.h"

namespace slim {

struct ChoiceOptions {
  uint64_t index = 0;       // among the answers of its request
  uint64_t max_tokens = 0;  // at least 1
  SamplingOptions sampling;
  LogitRules rules;  // ids within the vocabulary
  std::vector<std::string> stop;
  std::vector<int32_t> stop_tokens;
  bool skip_special_tokens = true;
  std::optional<uint64_t> top_logprobs;
  uint64_t characters_before = 0;  // of the answer's text: the echoed prompt
};

class Choice {
 public:
  Choice(const TextModel& text, const ChoiceOptions& options);

  // Chooses the next token from a row of logits; what became certain of the text. The piece's
  // `finished` is set when that was the last one.
  Result<AnswerPiece> Take(std::span<const float> logits);
  // The token chosen last: what the model is to be given next.
  int32_t last_token() const { return last_token_; }
  uint64_t tokens() const { return tokens_; }

 private:
  std::span<const float> Adjusted(std::span<const float> logits);
  // The piece for `text`, with the tokens that it shows.
  AnswerPiece PieceOf(std::string text, std::optional<StopReason> finished);

  const TextModel& text_;
  ChoiceOptions options_;
  Sampler sampler_;
  StreamDecoder decoder_;
  StopText stop_text_;
  std::map<int32_t, uint64_t> counts_;  // of the answer's tokens, for penalties
  std::vector<float> adjusted_;
  // Tokens whose text was not given out yet, with the bytes of text before them.
  std::vector<std::pair<size_t, TokenLogprob>> pending_;
  size_t decoded_ = 0;  // bytes of text that the decoder gave
  uint64_t characters_ = 0;
  int32_t last_token_ = 0;
  uint64_t tokens_ = 0;
};

// A token's own text and log probability, with the `top` most probable tokens in its place.
TokenLogprob LogprobOf(const TextModel& text, std::span<const float> logits, int32_t id,
                       uint64_t top);
// The text that a token adds within a text; of a token that is no text on its own, its raw
// spelling.
std::string TokenTextAlone(const TextModel& text, int32_t id);
uint64_t CountCharacters(std::string_view text);

}  // namespace slim
