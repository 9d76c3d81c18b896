// Which of several continuations a model finds most probable: accuracy on multiple-choice
// questions. Choices are compared by the log-likelihood of their tokens after what the texts of all
// choices begin with, as a sum and divided by the bytes of the choice: `acc` and `acc_norm` of
// lm-evaluation-harness.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "run/model.h"

namespace slim {

// Token ids of a question with each of its choices.
struct TokenizedQuestion {
  std::vector<std::vector<int32_t>> choices;  // prompt and choice; at least 2
  std::vector<uint64_t> bytes;                // of each choice's text
  uint64_t label = 0;
  uint64_t line = 0;
};

struct ScoredQuestion {
  uint64_t line = 0;
  uint64_t label = 0;
  std::vector<double> log_likelihoods;  // nats, one a choice
  uint64_t best = 0;                    // by the sum; of equal ones the first
  uint64_t best_normalized = 0;         // by the sum divided by bytes
};

struct Proportion {
  uint64_t hits = 0;
  uint64_t count = 0;
  double Value() const;
  // √(p (1 − p) / (count − 1)); 0 for one question.
  double StandardError() const;
};

struct ChoicesResult {
  std::vector<ScoredQuestion> questions;
  Proportion accuracy;
  Proportion normalized;
};

// RUN-context names the line of a question that is longer than `context`. `truncate` drops the
// beginning of such prompts instead. `on_question(done, total)` may be empty.
Result<ChoicesResult> ScoreChoices(const Model& model, std::span<const TokenizedQuestion> questions,
                                   uint64_t context, bool truncate,
                                   const std::function<void(uint64_t, uint64_t)>& on_question);

}  // namespace slim
