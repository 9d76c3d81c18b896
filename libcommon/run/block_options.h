// What the parts of a decoder block are told for one call: backend, observers, scratch space.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "run/kv_rounding.h"
#include "run/linear_layer.h"
#include "run/norm.h"
#include "run/rope.h"
#include "run/router.h"

namespace slim {

// Sees the input of every linear before it is computed: x is [t, k] float32. `name` is the module
// name. Linears that share an input (q, k, v; gate, up) are called one after the other with the
// same x. A routed expert's linears see the rows of the tokens that go to it, in token order, and
// are not called for none.
using LinearTap =
    std::function<void(std::string_view name, const float* x, uint64_t t, uint64_t k)>;

// Sees what a linear gave: y is [t, n] float32, bias included.
using OutputTap =
    std::function<void(std::string_view name, const float* y, uint64_t t, uint64_t n)>;

// Where a row of a call stands in its sequence.
struct RowPosition {
  const RopeTable* rope = nullptr;
  uint64_t position = 0;
};

// Arrays that a forward pass needs; handed in again, they save allocations.
struct BlockScratch {
  std::vector<float> normed, queries, keys, values, attended, projected, gate, up;
  std::vector<float> latent, compressed, expanded;         // latent attention
  std::vector<float> scores, expert_input, shared, mixed;  // experts
  Routing routing;
  std::vector<RowPosition> positions;
};

// As resize, for the wide arrays of a prompt: where it must grow, what it gets is asked for in
// large pages, and what it held is lost.
void ResizeWide(std::vector<float>& values, uint64_t count);

// Gives the array that the linear computes with instead of x: [t, k], alive until the linear has
// run.
using LinearInput =
    std::function<const float*(std::string_view name, const float* x, uint64_t t, uint64_t k)>;

// Sees what enters the cache, before it is rounded: keys (rotated) and values, [t, heads · width of
// a head].
using CacheTap = std::function<void(const float* keys, const float* values, uint64_t t)>;

// The modules of a block that may be replaced by others of the same shape: a float block that is
// being quantized is changed through these.
struct BlockParts {
  std::vector<LinearLayer*> linears;
  std::vector<Norm*> norms;
};

struct BlockOptions {
  Backend backend = Backend::kReference;
  Phase phase = Phase::kPrefill;
  FloatInputs float_inputs = FloatInputs::kFp32;
  LinearTap tap;
  LinearInput replace_input;
  OutputTap output_tap;
  CacheTap cache_tap;
  KvCacheType kv_cache = KvCacheType::kCheckpoint;
  RoutingTap routing_tap;
  // Overrides rms_norm_eps of input_layernorm and post_attention_layernorm.
  std::optional<float> norm_eps;
  BlockScratch* scratch = nullptr;  // may be null

  // Somebody looks at every linear, or gives it another input.
  bool watched() const { return tap || replace_input || output_tap; }
};

// y becomes [t, n]; the taps see x first and y last.
inline void Project(const LinearLayer& linear, const float* x, uint64_t t, std::vector<float>& y,
                    const BlockOptions& options, ThreadPool& pool) {
  if (options.tap) options.tap(linear.name(), x, t, linear.k());
  if (options.replace_input) x = options.replace_input(linear.name(), x, t, linear.k());
  ResizeWide(y, t * linear.n());
  linear.Forward(x, t, y.data(), options.backend, pool, options.phase, options.float_inputs);
  if (options.output_tap) options.output_tap(linear.name(), y.data(), t, linear.n());
}

}  // namespace slim
