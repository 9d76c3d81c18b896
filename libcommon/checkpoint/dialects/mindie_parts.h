// mindie-parts: sparse compressed checkpoints, one directory a tensor-parallel rank (facts:
// formats.md 7.4, source document S003). A directory of parts is no single checkpoint: each part is
// one, convert/parts.h reads and writes them together.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace slim {

extern const DialectTraits kMindIEPartsTraits;

}  // namespace slim
