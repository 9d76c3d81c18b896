// MindSpore golden-stick, Hugging Face layout: quant-model-0000i-of-0000N.safetensors with
// quantization_description.json. Activation scales are one number repeated k times, int4 weights
// are packed in transposed form, quant_bias carries a rounding to fp16 and no float bias. Facts:
// golden-stick 1.4.1 as it was found by running it.
#pragma once

#include <memory>

#include "checkpoint/dialects/dialect.h"
#include "checkpoint/layer_reader.h"

namespace slim {

inline constexpr std::string_view kGoldenStickDescription = "quantization_description.json";
// Its description is flat: tensors and labels, no globals.
extern const DialectTraits kGoldenStickTraits;

// W8A8, W8A8_DYNAMIC, W8A16, W4A16 and FLOAT. input_scale and input_offset of a static layer are
// [1], or [k] both where columns differ. `problems`: as InspectLayers(); entries of the description
// without a tensor are not among them.
Result<std::unique_ptr<LayerReader>> OpenGoldenStick(const Checkpoint& source,
                                                     std::vector<Error>* problems = nullptr);

// One number for each column, where all are the same.
bool IsRepeated(const Tensor& tensor);
// The first `count` values as F32.
Tensor LeadingFloats(const Tensor& tensor, uint64_t count);

}  // namespace slim
