// Tensors in memory: an owning Tensor, and a TensorView that borrows. Row-major, little-endian,
// contiguous. Knows no file and no arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "dtype/dtype.h"
#include "tensor/shape.h"

namespace slim {

// Uninitialised bytes, aligned to 64 so that kernels may use full vectors. Movable, not copyable.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(uint64_t size);
  std::byte* data() { return Aligned(memory_.get()); }
  const std::byte* data() const { return Aligned(memory_.get()); }
  uint64_t size() const { return size_; }
  std::span<std::byte> bytes() { return {data(), size_}; }
  std::span<const std::byte> bytes() const { return {data(), size_}; }

 private:
  static std::byte* Aligned(std::byte* p);

  std::unique_ptr<std::byte[]> memory_;  // a little more than size_
  uint64_t size_ = 0;
};

struct TensorView {
  DType dtype = DType::kF32;
  Shape shape;
  std::span<const std::byte> bytes;

  uint64_t elements() const { return ElementCount(shape).value_or(0); }
  // The elements as T; the caller has checked the dtype and that the memory is aligned (a Tensor's
  // always is).
  template <class T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

struct Tensor {
  DType dtype = DType::kF32;
  Shape shape;
  Buffer data;

  Tensor() = default;
  // Uninitialised; the size must be representable (it is for shapes that passed ByteSize).
  Tensor(DType dtype_in, Shape shape_in);
  static Tensor FromFloats(Shape shape, std::span<const float> values);
  static Tensor Copy(const TensorView& view);

  bool empty() const { return data.size() == 0; }
  // 0 for a default-constructed tensor, whose shape is that of a scalar.
  uint64_t elements() const { return empty() ? 0 : ElementCount(shape).value_or(0); }
  TensorView view() const { return {dtype, shape, data.bytes()}; }
  template <class T>
  std::span<T> as() {
    return {reinterpret_cast<T*>(data.data()), data.size() / sizeof(T)};
  }
  template <class T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T)};
  }
};

// One element of any integer or real dtype as a double, for small tensors (scales, offsets) only;
// I64 is exact up to 2^53.
double ElementAsDouble(const TensorView& view, uint64_t index);

}  // namespace slim
