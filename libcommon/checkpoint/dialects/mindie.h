// mindie: the MindIE-exclusive layout of --mindie_format (facts: formats.md 5.1, M0). As
// ascendv1-v0, but the description carries the type in its name and no version, and config.json
// carries "quantize".
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace slim {

extern const DialectTraits kMindIETraits;

}  // namespace slim
