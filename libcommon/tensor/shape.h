// Shapes and the one place where a tensor's size in bytes is computed, with every product checked:
// a shape from a file is a claim, not a fact.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "base/result.h"
#include "dtype/dtype.h"

namespace slim {

// Dimensions in elements, outermost first; a scalar has none. A matrix of a linear layer is [n, k]
// = [out, in].
using Shape = std::vector<uint64_t>;

// The reference multiplies from the left and refuses a wrap even where a later zero would undo it;
// so do we.
std::optional<uint64_t> ElementCount(const Shape& shape);

// Bytes of a tensor; an error when the product overflows or the bits are not whole bytes.
Result<uint64_t> ByteSize(DType dtype, const Shape& shape);

std::string ShapeText(const Shape& shape);  // "[2, 3]"

}  // namespace slim
