#include "serve/choice.h"

#include <algorithm>

#include "run/log_probabilities.h"

namespace slim {

std::string TokenTextAlone(const TextModel& text, int32_t id) {
  const std::string raw = text.tokenizer().TokenText(id);
  if (raw.empty()) return raw;
  // Decoders take the space off a text's first token, so it is looked at as the second one.
  const int32_t twice[] = {id, id};
  const auto one = text.tokenizer().Decode(std::span(twice).first(1), false);
  const auto two = text.tokenizer().Decode(twice, false);
  if (!one.ok() || !two.ok() || two->size() <= one->size() || !two->starts_with(*one)) return raw;
  std::string added = two->substr(one->size());
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  return added.find(kReplacement) == std::string::npos ? added : raw;
}

uint64_t CountCharacters(std::string_view text) {
  return static_cast<uint64_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

TokenLogprob LogprobOf(const TextModel& text, std::span<const float> logits, int32_t id,
                       uint64_t top) {
  const LogProbabilities row(logits);
  TokenLogprob result{TokenTextAlone(text, id), row.Of(id), 0, {}};
  if (top == 0) return result;
  for (const auto& [other, value] : row.Top(top))
    result.top.emplace_back(TokenTextAlone(text, other), value);
  return result;
}

Choice::Choice(const TextModel& text, const ChoiceOptions& options)
    : text_(text),
      options_(options),
      sampler_(options.sampling),
      decoder_(text.tokenizer(), options.skip_special_tokens),
      stop_text_(options.stop) {}

std::span<const float> Choice::Adjusted(std::span<const float> logits) {
  if (options_.rules.empty()) return logits;
  adjusted_.assign(logits.begin(), logits.end());
  for (const auto& [id, count] : counts_) {
    const double penalty = options_.rules.presence_penalty +
                           options_.rules.frequency_penalty * static_cast<double>(count);
    adjusted_[static_cast<size_t>(id)] -= static_cast<float>(penalty);
  }
  for (const auto& [id, bias] : options_.rules.bias)
    adjusted_[static_cast<size_t>(id)] += static_cast<float>(bias);
  return adjusted_;
}

AnswerPiece Choice::PieceOf(std::string text, std::optional<StopReason> finished) {
  AnswerPiece piece{options_.index, std::move(text), {}, finished};
  // What a stop text cut off is not shown; at another end everything is.
  const bool all = finished && !stop_text_.stopped();
  size_t shown = 0;
  while (shown < pending_.size() && (all || pending_[shown].first < stop_text_.length())) ++shown;
  for (size_t i = 0; i < shown; ++i) piece.logprobs.push_back(std::move(pending_[i].second));
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(shown));
  return piece;
}

Result<AnswerPiece> Choice::Take(std::span<const float> logits) {
  last_token_ = sampler_.Pick(Adjusted(logits));
  ++tokens_;
  ++counts_[last_token_];
  const auto& stops = options_.stop_tokens;
  const bool ends = std::find(stops.begin(), stops.end(), last_token_) != stops.end();
  std::string decoded;
  // A row of the embedding beyond the tokenizer has no text.
  if (!(ends && options_.skip_special_tokens) &&
      !text_.tokenizer().TokenText(last_token_).empty()) {
    if (options_.top_logprobs) {
      pending_.emplace_back(decoded_,
                            LogprobOf(text_, logits, last_token_, *options_.top_logprobs));
      pending_.back().second.offset = options_.characters_before + characters_;
    }
    SLIM_ASSIGN(decoded, decoder_.Push(last_token_));
  }
  const bool full = tokens_ == options_.max_tokens;
  if (ends || full) {
    SLIM_ASSIGN(const std::string rest, decoder_.Finish());
    decoded += rest;
  }
  decoded_ += decoded.size();
  characters_ += CountCharacters(decoded);
  std::string text = stop_text_.Push(decoded);
  if (stop_text_.stopped()) return PieceOf(std::move(text), StopReason::kStop);
  if (!ends && !full) return PieceOf(std::move(text), std::nullopt);
  text += stop_text_.Finish();
  return PieceOf(std::move(text), ends ? StopReason::kStop : StopReason::kLength);
}

}  // namespace slim
