// Cutting a text at matches: the five ways of tokenizers' SplitDelimiterBehavior.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "text/pattern.h"
#include "text/pre_tokenizer.h"

namespace slim {

enum class SplitBehavior {
  kRemoved,             // "a-b" at "-": a, b
  kIsolated,            // a, -, b
  kMergedWithPrevious,  // a-, b
  kMergedWithNext,      // a, -b
  kContiguous           // as isolated, but neighbouring matches stay together
};

// "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous".
std::optional<SplitBehavior> ParseSplitBehavior(std::string_view name);

// Appends the parts of `piece`, which `matches` cut (in order, no overlap). `invert`: what does not
// match is the delimiter.
void SplitPiece(const Pieces::Piece& piece, const std::vector<TextSpan>& matches,
                SplitBehavior behavior, bool invert, std::vector<Pieces::Piece>& out);

}  // namespace slim
