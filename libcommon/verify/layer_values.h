// Rules about the values of one quantized linear layer: scales, offsets, codes, and the fold of
// static W8A8. Internal to verify/.
#pragma once

#include <atomic>

#include "verify/context.h"
#include "verify/page_watch.h"

namespace slim {

class Xxh3Hasher;

// What is told once for the whole checkpoint. Thread-safe.
struct ValueTotals {
  bool biases_corrected = false;              // the receipt says so (checkpoint/side_files.h)
  std::atomic<uint64_t> not_bf16_scales = 0;  // F32 scales with low bits set
};

// Reads every tensor of the layer, `layer[Role::kWeight]` in pieces.
Status CheckLayerValues(VerifyContext& context, const LayerTensors& layer, ValueTotals& totals);

// What only the packing of a dialect of another ecosystem can have (foreign_values.cc).
Status CheckForeignValues(VerifyContext& context, const LogicalLayer& layer);

// Any tensor: no NaN, no infinity, no torn pages. Reads it in pieces.
// `digest` sees its bytes, too, unless it is null.
Status CheckFiniteValues(VerifyContext& context, const TensorEntry& entry,
                         Xxh3Hasher* digest = nullptr);
// What the watcher of a whole tensor found.
Status ReportPages(VerifyContext& context, const TensorEntry& entry, const PageWatcher& pages);

// A scale or offset beside no quantized weight (kv_cache_scale of a float layer): positive, finite,
// whole. `tensor` was read from `entry`.
void CheckScaleValues(VerifyContext& context, const TensorEntry& entry, const Tensor& tensor);
void CheckOffsetValues(VerifyContext& context, const TensorEntry& entry, const Tensor& tensor);

// "element [3, 5]" of a tensor of that shape.
std::string ElementText(const Shape& shape, uint64_t index);

}  // namespace slim
