// Tensors of the source: as a whole, and on their way to the output when they are not quantized: as
// they are, in another dtype, or changed some rows at a time. Embeddings are the largest tensors
// there are: on the way a few rows are held.
#pragma once

#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_writer.h"
#include "parallel/thread_pool.h"
#include "quant/plan.h"

namespace slim {

struct TensorCopy {
  const TensorEntry* from = nullptr;
  const TensorSpec* to = nullptr;
};

// Where a planned tensor comes from: lm_head may be the embedding. Null: nowhere.
const TensorEntry* SourceOf(const Checkpoint& source, const QuantPlan& plan,
                            const std::string& tensor);
// Errors: an internal one when it is not in the source or not in the plan.
Result<TensorCopy> CopyOf(const Checkpoint& source, const QuantPlan& plan,
                          const std::string& tensor);

// Part of a decoder block, of which there are none where the architecture is unknown.
bool IsInBlock(const QuantPlan& plan, const Module& module);
// What no step of the recipe changes, but modules and tensors in `skipped`; the modules found go
// there.
Result<std::vector<TensorCopy>> TravellingTensors(const Checkpoint& source, const QuantPlan& plan,
                                                  std::set<std::string>& skipped);

// The whole tensor, its parts read by all threads of `pool` into `buffer`, which grows where it
// must.
Result<TensorView> ReadTensor(const Checkpoint& source, const TensorEntry& entry, Buffer& buffer,
                              ThreadPool& pool);
// In the dtype that is planned. Tensors that are not floats are only copied. Errors: QU-not-finite,
// NaN or infinity in it; QU-beyond-range, made by the dtype.
Status CopyTensor(const Checkpoint& source, const TensorCopy& copy, CheckpointWriter& writer);
// The same through float32: `change` gets whole rows. Values beyond the range of the written dtype
// are refused, not clipped.
Status CopyChanged(const Checkpoint& source, const TensorCopy& copy,
                   const std::function<void(std::span<float> rows)>& change,
                   CheckpointWriter& writer);

}  // namespace slim
