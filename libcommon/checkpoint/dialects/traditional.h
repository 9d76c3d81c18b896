// What the layouts of msModelSlim's traditional scripts have in common: the names of their files
// and the order in which they emit one linear layer (facts: formats.md 5).
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

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

// One name whatever the type: of every layout but MindIE's.
inline std::string PlainDescriptionName(std::string_view /*type*/) {
  return "quant_model_description.json";
}
inline std::string TypedDescriptionName(std::string_view type) {
  return fmt::format("quant_model_description_{}.json", type);
}
inline std::string TypedWeightStem(std::string_view type) {
  return fmt::format("quant_model_weight_{}", type);
}

}  // namespace slim
