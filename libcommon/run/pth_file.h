// A tensor as torch.save writes it: a zip archive, nothing compressed, with a pickle that names one
// storage. Written so that torch.load reads it, also with weights_only. Reading: the torch-bin
// dialect.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "tensor/shape.h"

namespace slim {

// Float32, contiguous. The bytes depend on shape and values alone. RUN-dump-size above 2^31 - 1
// elements.
Result<std::string> EncodePthFile(const Shape& shape, std::span<const float> values);

}  // namespace slim
