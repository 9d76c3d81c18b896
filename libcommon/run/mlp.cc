#include "run/mlp.h"

#include <algorithm>

#include "kernels/transformer.h"

namespace slim {

Result<GatedMlp> GatedMlp::Load(const Checkpoint& checkpoint, const std::string& prefix,
                                uint64_t hidden, uint64_t width, Backend backend) {
  GatedMlp mlp;
  SLIM_ASSIGN(mlp.gate,
              LinearLayer::Load(checkpoint, prefix + ".gate_proj", width, hidden, backend));
  SLIM_ASSIGN(mlp.up, LinearLayer::Load(checkpoint, prefix + ".up_proj", width, hidden, backend));
  SLIM_ASSIGN(mlp.down,
              LinearLayer::Load(checkpoint, prefix + ".down_proj", hidden, width, backend));
  return mlp;
}

void GatedMlp::Forward(const float* x, uint64_t t, std::vector<float>& out,
                       const BlockOptions& options, BlockScratch& scratch, ThreadPool& pool) const {
  const uint64_t width = gate.n();
  if (!options.watched() && gate.SharesInput(up, options.phase)) {
    ResizeWide(scratch.gate, t * width);
    LinearLayer::ForwardGated(gate, up, x, t, scratch.gate.data(), pool, options.phase);
    return Project(down, scratch.gate.data(), t, out, options, pool);
  }
  Project(gate, x, t, scratch.gate, options, pool);
  Project(up, x, t, scratch.up, options, pool);
  float* gated = scratch.gate.data();
  const float* values = scratch.up.data();
  pool.ParallelFor(t, std::max<uint64_t>(1, 8192 / width), [&](uint64_t begin, uint64_t end) {
    SiluMul(gated + begin * width, values + begin * width, (end - begin) * width,
            gated + begin * width);
  });
  Project(down, gated, t, out, options, pool);
}

}  // namespace slim
