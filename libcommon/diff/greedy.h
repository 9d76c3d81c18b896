// Greedy text of two models from the same beginnings, and the token at which they part.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "diff/lock_step.h"
#include "run/model.h"

namespace slim {

struct GreedyOptions {
  uint64_t prompts = 4;         // the first windows
  uint64_t prompt_tokens = 16;  // at the beginning of each
  uint64_t new_tokens = 32;
  std::vector<int32_t> stop_tokens;  // end a text; a stop token counts as a token of it
};

struct GreedyComparison {
  uint64_t prompt_tokens = 0;
  std::vector<int32_t> first;
  std::vector<int32_t> second;
  // The first new token that differs, from 1; empty when both texts are the same.
  std::optional<uint64_t> first_difference;
};

struct GreedyTexts {
  std::vector<std::vector<int32_t>> texts;  // new tokens of each prompt
  std::optional<NonFinite> non_finite;
};

// What one model makes of the prompts. Texts are shorter where `context` ends. Errors: those of
// Model::Prefill and Model::Decode but RUN-not-finite.
Result<GreedyTexts> ContinueGreedily(const Model& model, Side side,
                                     std::span<const std::vector<int32_t>> windows,
                                     uint64_t context, const GreedyOptions& options);

// Of the texts of both, which are as many.
std::vector<GreedyComparison> CompareTexts(std::span<const std::vector<int32_t>> windows,
                                           GreedyTexts first, GreedyTexts second,
                                           const GreedyOptions& options);

// Where two token lists part, from 1; a list that ends earlier parts at its end.
std::optional<uint64_t> FirstDifference(std::span<const int32_t> a, std::span<const int32_t> b);

}  // namespace slim
