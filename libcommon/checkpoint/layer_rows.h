// The weight of a layer in logical form as floats, row by row, whatever dialect it came from.
#pragma once

#include <cstdint>
#include <span>

#include "checkpoint/layer_reader.h"

namespace slim {

// Row `n_index` of the weight, code times scale in float32, of every form that a LogicalLayer may
// have; `row` has k elements.
void DequantizeLayerRow(const LogicalLayer& layer, const LinearRecord& record, uint64_t n_index,
                        std::span<float> row);

}  // namespace slim
