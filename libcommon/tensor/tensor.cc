#include "tensor/tensor.h"

#include <cassert>
#include <cstring>
#include <limits>

#include "base/bytes.h"
#include "dtype/scalar_convert.h"

// GCC and clang tell that they sanitize in different words.
#if defined(__SANITIZE_ADDRESS__)
#define SLIM_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SLIM_ASAN 1
#endif
#endif

#ifdef SLIM_ASAN
extern "C" void __asan_poison_memory_region(const volatile void* begin, size_t size);
#endif

namespace slim {
namespace {

constexpr uint64_t kAlignment = 64;

}  // namespace

// Aligned here and not by the allocator: glibc before 2.38 does not reuse what aligned allocations
// leave behind, and a streaming tool then grows with the model.
Buffer::Buffer(uint64_t size) : size_(size) {
  if (size == 0) return;
  const uint64_t taken = size + kAlignment - 1;
  memory_.reset(new std::byte[taken]);
#ifdef SLIM_ASAN
  // The buffer ends where it says.
  std::byte* end = data() + size;
  __asan_poison_memory_region(end, static_cast<size_t>(memory_.get() + taken - end));
#endif
}

std::byte* Buffer::Aligned(std::byte* p) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  return p + (kAlignment - address % kAlignment) % kAlignment;
}

Tensor::Tensor(DType dtype_in, Shape shape_in)
    : dtype(dtype_in), shape(std::move(shape_in)), data(ByteSize(dtype, shape).value()) {}

Tensor Tensor::FromFloats(Shape shape, std::span<const float> values) {
  Tensor tensor(DType::kF32, std::move(shape));
  assert(tensor.elements() == values.size());
  if (!values.empty()) std::memcpy(tensor.data.data(), values.data(), values.size_bytes());
  return tensor;
}

Tensor Tensor::Copy(const TensorView& view) {
  Tensor tensor(view.dtype, view.shape);
  if (!view.bytes.empty()) std::memcpy(tensor.data.data(), view.bytes.data(), view.bytes.size());
  return tensor;
}

double ElementAsDouble(const TensorView& view, uint64_t index) {
  const std::byte* at = view.bytes.data() + index * (DTypeBits(view.dtype) / 8);
  switch (view.dtype) {
    case DType::kBool:
    case DType::kU8:
      return LoadLe<uint8_t>(at);
    case DType::kI8:
      return LoadLe<int8_t>(at);
    case DType::kI16:
      return LoadLe<int16_t>(at);
    case DType::kU16:
      return LoadLe<uint16_t>(at);
    case DType::kI32:
      return LoadLe<int32_t>(at);
    case DType::kU32:
      return LoadLe<uint32_t>(at);
    case DType::kI64:
      return static_cast<double>(LoadLe<int64_t>(at));
    case DType::kU64:
      return static_cast<double>(LoadLe<uint64_t>(at));
    case DType::kF16:
      return F16ToFloat(LoadLe<uint16_t>(at));
    case DType::kBF16:
      return Bf16ToFloat(LoadLe<uint16_t>(at));
    case DType::kF32:
      return LoadLe<float>(at);
    case DType::kF64:
      return LoadLe<double>(at);
    case DType::kF8E4M3:
      return F8E4M3ToFloat(LoadLe<uint8_t>(at));
    case DType::kF4:
    case DType::kF6E2M3:
    case DType::kF6E3M2:
    case DType::kF8E5M2:
    case DType::kF8E8M0:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2FNUZ:
    case DType::kC64:
      break;
  }
  assert(false && "dtype has no scalar value");
  return 0;
}

}  // namespace slim
