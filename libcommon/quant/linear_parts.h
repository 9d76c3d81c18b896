// Which tensors a quantized linear layer becomes in which layout: roles, dtypes, stored shapes and
// labels. Knows no values.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "checkpoint/dialects/dialect.h"
#include "checkpoint/safetensors_header.h"
#include "dtype/dtype.h"
#include "linear/scheme.h"
#include "quant/recipe.h"

namespace slim {

struct LinearPlan;

// FP8, MX and int4 activations have no place in the traditional layouts (facts: formats.md 5).
bool LayoutCarries(Dialect layout, Scheme scheme);

// The description's model_quant_type. The type of most linears, among equals the first; with
// `as_msmodelslim` in ascendv1 the highest in its writer's list, in which W4A8_DYNAMIC is missing
// (facts: formats.md 3.3, 13 row 8). FLOAT when none is quantized.
Scheme ModelType(std::span<const LinearPlan> linears, Dialect layout, bool as_msmodelslim);

// The label that the layout gives the type: mindie writes W8A8_MIX as W8A8 (facts: formats.md 13
// row 4).
Scheme LabelOf(Scheme scheme, Dialect layout);

// The linear asks for bias correction and has a place for it: quant_bias of static types, which
// every loader reads, else the bias of the source. A bias that the architecture does not have is
// never made: loaders refuse it (facts: consumers.md G33).
bool CorrectsBias(const LinearPlan& linear);

// The description's group_size of one linear: the group of k, 32 for MX types, else 0.
int64_t GroupSizeOf(const LinearPlan& linear);

// What type, settings and shape of a linear ask for and cannot have: an odd dimension that packing
// halves, a group size that does not divide k, offsets or groups that the type has no place for, a
// layout that cannot carry the type. Errors: QU-layout, QU-group-size, QU-asymmetric, LIN-odd; all
// name the module.
Status CheckLinearPlan(const LinearPlan& linear, Dialect layout);

// The tensors of one quantized linear as the layout stores them: dtypes of design.md 6. The linear
// has passed CheckLinearPlan.
std::vector<std::pair<Role, TensorSpec>> QuantizedParts(const LinearPlan& linear,
                                                        const Recipe& recipe, DType model_dtype);

}  // namespace slim
