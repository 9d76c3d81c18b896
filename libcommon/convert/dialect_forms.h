// What the Ascend dialects write differently for the same numbers: copies of smoothed norms, the
// arrangement of int4 codes, scale_bias, the label of W8A8_MIX. Each step turns one dialect's form
// into AscendV1's or back, exactly; what could not come back is refused. Internal to convert/.
//
// AscendV1's form (both writers): int4 packed, scale_bias stored, W8A8_MIX labelled so, no copies.
// MindIE's form (facts: formats.md 5.1, 13.4, 13.6): int4 one code a byte, no scale_bias, W8A8_MIX
// labelled W8A8 and told by quantization_config.pdmix, <norm>.module copies.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "convert/tensor_plan.h"

namespace slim {

// The tensors of a conversion on their way. `tensors` begins as copies of the source's tensors.
struct FormChange {
  const Checkpoint& source;
  DescriptionGlobals& globals;
  std::vector<TensorPlan>& tensors;
  std::vector<TensorPlan>& dropped;
  std::vector<std::string>& notes;
};

// Errors: NORM-copy-differs; LIN-shape, LIN-odd and CV-int4 for codes that do not pack.
Status LeaveMindIEForm(FormChange& change);
// Errors: CV-mix where W8A8 layers would come back as W8A8_MIX.
Status EnterMindIEForm(FormChange& change);

// The two steps about copies of norms by themselves: for sources that have them in the wrong
// dialect, or lack them in the right one.
Status DropNormCopies(FormChange& change);
void AddNormCopies(FormChange& change);

// scale_bias of a W4A8_DYNAMIC layer that has none, `weight` being its weight in AscendV1's form;
// nothing for any other tensor.
Result<std::optional<TensorPlan>> MissingScaleBias(const Checkpoint& source,
                                                   const TensorPlan& weight);

// Whether config.json of a mindie checkpoint tells that its W8A8 layers are W8A8_MIX.
bool IsMindIEMix(const Checkpoint& source);

// "x.module.bias" -> "x.bias"; empty for any other name.
std::string OriginalOfNormCopy(std::string_view name);

}  // namespace slim
