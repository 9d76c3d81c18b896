// What the two layouts of msModelSlim's traditional scripts have in common: the order in which they
// emit one linear layer (facts: formats.md 5).
#pragma once

#include "linear/scheme.h"

namespace slim {

inline constexpr Role kTraditionalRoleOrder[] = {Role::kWeight,
                                                 Role::kBias,
                                                 Role::kWeightScale,
                                                 Role::kWeightOffset,
                                                 Role::kWeightScaleSecond,
                                                 Role::kWeightOffsetSecond,
                                                 Role::kScaleBias,
                                                 Role::kInputScale,
                                                 Role::kInputOffset,
                                                 Role::kQuantBias,
                                                 Role::kDeqScale};

}  // namespace slim
