// The tensor-parallel parts that MindIE loads sparse checkpoints from (dialect mindie-parts, source
// document S003): split for N ranks, q/k/v and gate/up fused under the loader's names, W8A8S and
// W16A16S weights compressed by checkpoint/sparse_codec.h. And back. Facts: formats.md 7.3, 7.4.
#pragma once

#include <cstdint>
#include <string>

#include "base/listener.h"
#include "base/result.h"
#include "convert/plan.h"
#include "os/output.h"
#include "parallel/thread_pool.h"

namespace slim {

struct PartsOptions {
  uint64_t ranks = 0;                 // of ToParts
  Dialect to = Dialect::kAscendV1V0;  // of FromParts
  bool to_fp16 = false;               // --dtype fp16: round a checkpoint of another dtype first
  bool allow_loss = false;
  bool keep_extra = false;
  bool plan_only = false;   // nothing is written
  uint64_t max_memory = 0;  // bytes; 0: what the largest layer needs
  uint64_t part_size = 0;   // of FromParts, bytes; 0: one file
};

// Refuses, by tensor name and before anything is written: types other than W8A8S, W16A16S and FLOAT
// (CV-scheme); models that are not float16, which MindIE cannot load compressed (CV-bf16); degrees
// that do not divide (CV-tp); members of a fused layer with different types (CV-fused-types) or
// input scales (CV-fused-scale); weights that are not sparse enough (SC-not-sparse); a loss without
// allow_loss (CV-loss).
Result<ConvertPlan> ConvertToParts(const std::string& input, const std::string& output,
                                   const PartsOptions& options, const OutputOptions& output_options,
                                   ThreadPool& pool, Listener& listener);

// Exact: what ConvertToParts() wrote of a checkpoint whose scales are F16 comes back byte for byte.
// Refuses missing parts and parts that contradict each other (CV-parts), and streams that slim did
// not write (SC-…).
Result<ConvertPlan> ConvertFromParts(const std::string& input, const std::string& output,
                                     const PartsOptions& options,
                                     const OutputOptions& output_options, ThreadPool& pool,
                                     Listener& listener);

}  // namespace slim
