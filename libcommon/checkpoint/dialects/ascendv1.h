// ascendv1: what one-click msModelSlim writes (facts: formats.md 4, A1). Shards and an index
// always, description with four spaces a level, decoder layers first, five globals last. The
// distributed writer's variant (sorted keys) is read as well.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace slim {

extern const DialectTraits kAscendV1Traits;

}  // namespace slim
