// One tensor to another dtype, with an account of what rounding did. The two encodings of deq_scale
// are a change of dtype that loses nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "tensor/tensor.h"

namespace slim {

struct RoundingLoss {
  double worst_relative_error = 0;  // over values that are finite and not zero
  uint64_t changed = 0;             // values that are no longer the same
  uint64_t to_zero = 0;             // of these, values that became zero
  uint64_t overflowed = 0;          // of these, finite values that became infinite

  bool exact() const { return changed == 0; }
};

// Rounds F32, F16 or BF16 values to F32, F16 or BF16, to nearest, ties to even. `out` takes the new
// bytes; empty: only measure. Where the tensor comes in pieces, `known_error` is the worst of those
// before, and the result's is not less: finding out what is smaller takes time. Another dtype is an
// error (CV-dtype).
Result<RoundingLoss> ChangeDType(const TensorView& tensor, DType to, std::span<std::byte> out,
                                 double known_error = 0);

// deq_scale between F32 values and I64 float32 bits (facts: formats.md 6.4). `out` has room for the
// new bytes. CV-dtype for any other dtype; CV-deq-bits where an I64 is no float32 bits: its high
// word is not the sign of its low word.
Status ChangeDeqScale(const TensorView& tensor, DType to, std::span<std::byte> out);

}  // namespace slim
