// ascendv1-v0: what msModelSlim's traditional scripts write (facts: formats.md 5, A0). One file
// named after the type, or parts with an index; description with two spaces a level, globals first,
// "version" the first of them.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace slim {

extern const DialectTraits kAscendV1V0Traits;

}  // namespace slim
