// mindie-parts: sparse compressed checkpoints, one directory a tensor-parallel rank (facts:
// formats.md 7.4, source document S003). A directory of parts is no single checkpoint: each part is
// one, convert/parts.h reads and writes them together.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace slim {

extern const DialectTraits kMindIEPartsTraits;

// "part0-of-4" is {0, 4}; ranks from 1 to 1024, the rank may be beyond them.
struct PartDirectory {
  uint64_t rank = 0;
  uint64_t ranks = 0;
};
std::optional<PartDirectory> ParsePartDirectory(std::string_view name);

}  // namespace slim
