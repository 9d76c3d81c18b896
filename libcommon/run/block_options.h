// What the parts of a decoder block are told for one call: backend, observers, scratch space.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "run/linear_layer.h"
#include "run/router.h"

namespace slim {

// Sees the input of every linear before it is computed: x is [t, k] float32. `name` is the module
// name. Linears that share an input (q, k, v; gate, up) are called one after the other with the
// same x. A routed expert's linears see the rows of the tokens that go to it, in token order, and
// are not called for none.
using LinearTap =
    std::function<void(std::string_view name, const float* x, uint64_t t, uint64_t k)>;

// Arrays that a forward pass needs; handed in again, they save allocations.
struct BlockScratch {
  std::vector<float> normed, queries, keys, values, attended, projected, gate, up;
  std::vector<float> latent, compressed, expanded;         // latent attention
  std::vector<float> scores, expert_input, shared, mixed;  // experts
  Routing routing;
};

struct BlockOptions {
  Backend backend = Backend::kReference;
  LinearTap tap;
  RoutingTap routing_tap;
  // Overrides rms_norm_eps of input_layernorm and post_attention_layernorm.
  std::optional<float> norm_eps;
  BlockScratch* scratch = nullptr;  // may be null
};

// y becomes [t, n]; the tap sees x first.
inline void Project(const LinearLayer& linear, const float* x, uint64_t t, std::vector<float>& y,
                    const BlockOptions& options, ThreadPool& pool) {
  if (options.tap) options.tap(linear.name(), x, t, linear.k());
  y.resize(t * linear.n());
  linear.Forward(x, t, y.data(), options.backend, pool);
}

}  // namespace slim
