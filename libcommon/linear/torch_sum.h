// The sum of a float32 row in the order of torch's CPU reduction (cascade sum over 8 lanes and 4
// accumulators, whatever the machine): where --compute model must give msModelSlim's own bits.
#pragma once

#include <span>

namespace slim {

float TorchSum(std::span<const float> values);

}  // namespace slim
