// The gated MLP: down(silu(gate(x)) · up(x)). Of a dense layer, of one expert, of the shared ones.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "parallel/thread_pool.h"
#include "run/block_options.h"
#include "run/linear_layer.h"

namespace slim {

struct GatedMlp {
  LinearLayer gate, up, down;

  // `<prefix>.gate_proj` and `.up_proj` [width, hidden], `.down_proj` [hidden, width].
  static Result<GatedMlp> Load(const Checkpoint& checkpoint, const std::string& prefix,
                               uint64_t hidden, uint64_t width, Backend backend);
  void AddParts(BlockParts& parts) {
    parts.linears.insert(parts.linears.end(), {&gate, &up, &down});
  }
  uint64_t bytes() const { return gate.bytes() + up.bytes() + down.bytes(); }

  // x [t, hidden] → out [t, hidden]; uses the scratch's gate and up.
  void Forward(const float* x, uint64_t t, std::vector<float>& out, const BlockOptions& options,
               BlockScratch& scratch, ThreadPool& pool) const;
};

}  // namespace slim
