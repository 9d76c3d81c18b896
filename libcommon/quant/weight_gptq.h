// GPTQ: columns are rounded one after the other, and what a column loses is made up for by the
// columns behind it, as the second moments of the inputs tell (facts: algorithms.md 2.3).
#pragma once

#include <span>

#include "base/result.h"
#include "quant/weight_integer.h"

namespace slim {

// `moments` [k, k], of which the lower triangle is read: a positive multiple of Σ x xᵀ of the
// calibration inputs. Damped by settings.damping of its mean diagonal; columns that no input
// reached are rounded plainly. Scales come from the range, narrowed where settings.clip says so
// with errors weighed by the diagonal; those of a group from its columns as they are when it
// begins. `as_written`, as msModelSlim: as they are when its block of settings.block_size columns
// begins, and columns that no input reached become 0. Works in the memory of `moments`, the largest
// there is of a wide linear. QU-gptq: moments that are not finite.
Result<IntegerWeight> QuantizeGptq(const WeightRows& rows, const WeightSettings& settings,
                                   std::vector<float> moments, bool as_written, ThreadPool& pool);

}  // namespace slim
