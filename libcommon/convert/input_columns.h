// Static layers whose input_scale and input_offset stand once a column, as golden-stick stores
// them: one number repeated, or a smoothing that no layer before has absorbed. Internal to
// convert/.
//
// x_q[j] = rne(x[j] / s[j] + o[j]) and y = deq * (codes x_q + quant_bias), so that the weight of
// column j is codes * deq / s[j].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "convert/layer_target.h"
#include "linear/linear_record.h"

namespace slim {

// True where columns differ: readers give one number where they do not.
bool InputsDiffer(const LogicalLayer& layer);
bool InputsDiffer(const LinearRecord& record);

// CV-input-scale unless a layer whose columns differ has as many scales and offsets as columns, the
// scales positive and finite, and as many deq_scales as rows.
Status CheckInputColumns(const LinearRecord& record);

// Rows of the weight of a layer whose columns differ and that passed the check.
class ColumnWeights {
 public:
  // `record` outlives it, with its weight in place.
  explicit ColumnWeights(const LinearRecord& record);
  void Dequantize(uint64_t n_index, std::span<float> row) const;

 private:
  const LinearRecord& record_;
  std::vector<float> input_scales_;  // [k]
  std::vector<float> deq_scales_;    // [n]
};

// Of a layer whose columns differ: input_scale and input_offset as one number each, [1], the least
// range that holds all of theirs; the weight quantized anew (accounted in `loss`), weight_scale and
// deq_scale for it; quant_bias is left as it was, to be computed anew.
Status FoldInputs(LinearRecord& record, LayerLoss& loss);

}  // namespace slim
