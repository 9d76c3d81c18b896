#include "run/choices.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "run/log_probabilities.h"

namespace slim {
namespace {

// Tokens that all choices begin with; at least one token of each is left to score.
uint64_t SharedTokens(const TokenizedQuestion& question) {
  const std::vector<int32_t>& first = question.choices.front();
  uint64_t shared = first.size() - 1;
  for (const std::vector<int32_t>& other : question.choices) {
    const auto end = std::mismatch(first.begin(), first.end(), other.begin(), other.end()).first;
    shared = std::min({shared, static_cast<uint64_t>(end - first.begin()),
                       static_cast<uint64_t>(other.size() - 1)});
  }
  return shared;
}

uint64_t LongestOf(const TokenizedQuestion& question) {
  uint64_t longest = 0;
  for (const auto& ids : question.choices) longest = std::max<uint64_t>(longest, ids.size());
  return longest;
}

Result<TokenizedQuestion> Fit(TokenizedQuestion question, uint64_t context, bool truncate) {
  const uint64_t longest = LongestOf(question);
  if (longest <= context) return question;
  const uint64_t dropped = longest - context;
  if (!truncate || SharedTokens(question) <= dropped) {
    return InputError("RUN-context",
                      fmt::format("line {}: question and choice have {} tokens, the context {} "
                                  "positions",
                                  question.line, longest, context),
                      truncate ? "--ctx widens the context"
                               : "--truncate keeps the end, --ctx widens the context");
  }
  for (auto& ids : question.choices)
    ids.erase(ids.begin(), ids.begin() + static_cast<long>(dropped));
  return question;
}

uint64_t BestOf(std::span<const double> values) {
  return static_cast<uint64_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

// The tokens of `choice` from `shared` on, after a sequence that holds the ones before; `first` is
// the row of logits of the last of those.
Result<double> LikelihoodOf(const Model& model, std::span<const int32_t> choice, uint64_t shared,
                            Sequence& sequence, std::span<const float> first,
                            std::vector<float>& logits) {
  double sum = LogProbabilities(first).Of(choice[shared]);
  const std::span<const int32_t> rest = choice.subspan(shared);
  if (rest.size() == 1) return sum;
  SLIM_TRY(model.Prefill(rest.first(rest.size() - 1), sequence, LogitRows::kAll, logits));
  const uint64_t vocabulary = model.config().vocab_size;
  for (size_t i = 1; i < rest.size(); ++i) {
    const auto row = std::span<const float>(logits).subspan((i - 1) * vocabulary, vocabulary);
    sum += LogProbabilities(row).Of(rest[i]);
  }
  sequence.Truncate(shared);
  return sum;
}

Result<ScoredQuestion> Score(const Model& model, const TokenizedQuestion& question,
                             Sequence& sequence) {
  ScoredQuestion result;
  result.line = question.line;
  result.label = question.label;
  // Without a token before it a choice's first token has no probability.
  const uint64_t shared = SharedTokens(question);
  if (shared == 0) {
    return InputError("RUN-empty-prompt",
                      fmt::format("line {}: the choices begin with different tokens and nothing "
                                  "stands before them",
                                  question.line));
  }
  sequence.Clear(model.config());
  sequence.Expect(LongestOf(question));
  std::vector<float> first;
  std::vector<float> logits;
  const auto prompt = std::span<const int32_t>(question.choices.front()).first(shared);
  SLIM_TRY(model.Prefill(prompt, sequence, LogitRows::kLast, first));
  std::vector<double> normalized;
  for (size_t i = 0; i < question.choices.size(); ++i) {
    SLIM_ASSIGN(const double sum,
                LikelihoodOf(model, question.choices[i], shared, sequence, first, logits));
    result.log_likelihoods.push_back(sum);
    normalized.push_back(sum / static_cast<double>(std::max<uint64_t>(question.bytes[i], 1)));
  }
  result.best = BestOf(result.log_likelihoods);
  result.best_normalized = BestOf(normalized);
  return result;
}

}  // namespace

double Proportion::Value() const { return static_cast<double>(hits) / static_cast<double>(count); }

double Proportion::StandardError() const {
  if (count < 2) return 0;
  return std::sqrt(Value() * (1 - Value()) / static_cast<double>(count - 1));
}

Result<ChoicesResult> ScoreChoices(const Model& model, std::span<const TokenizedQuestion> questions,
                                   uint64_t context, bool truncate,
                                   const std::function<void(uint64_t, uint64_t)>& on_question) {
  ChoicesResult result;
  Sequence sequence(model.config());
  for (const TokenizedQuestion& given : questions) {
    SLIM_ASSIGN(const TokenizedQuestion question, Fit(given, context, truncate));
    SLIM_ASSIGN(ScoredQuestion scored, Score(model, question, sequence));
    result.accuracy.hits += scored.best == scored.label ? 1 : 0;
    result.normalized.hits += scored.best_normalized == scored.label ? 1 : 0;
    result.questions.push_back(std::move(scored));
    if (on_question) on_question(result.questions.size(), questions.size());
  }
  result.accuracy.count = result.normalized.count = questions.size();
  return result;
}

}  // namespace slim
