#include "tensor/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/checked.h"

namespace slim {

std::optional<uint64_t> ElementCount(const Shape& shape) {
  uint64_t count = 1;
  for (const uint64_t dimension : shape) {
    const auto next = CheckedMul(count, dimension);
    if (!next) return std::nullopt;
    count = *next;
  }
  return count;
}

Result<uint64_t> ByteSize(DType dtype, const Shape& shape) {
  const auto count = ElementCount(shape);
  const auto bits = count ? CheckedMul(*count, DTypeBits(dtype)) : std::nullopt;
  if (!bits) {
    return InputError("ST-size-overflow", fmt::format("{}{} does not fit in 64 bits",
                                                      DTypeName(dtype), ShapeText(shape)));
  }
  if (*bits % 8 != 0) {
    return InputError("ST-partial-byte", fmt::format("{}{} does not end on a byte boundary",
                                                     DTypeName(dtype), ShapeText(shape)));
  }
  return *bits / 8;
}

std::string ShapeText(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

}  // namespace slim
