// What a forward pass shows while it computes: the input and output of every linear (of routers
// the input), the output of the embedding and of every block, in the order of the model, on the
// thread that computes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"

namespace slim {

class LayerObserver {
 public:
  virtual ~LayerObserver() = default;

  // The tokens of the call that begins.
  virtual void BeginCall(std::span<const int32_t> tokens) = 0;
  // x [t, k] of a linear. A routed expert sees the rows of its tokens alone.
  virtual void Input(std::string_view module, const float* x, uint64_t t, uint64_t k) = 0;
  // y [t, n] of a linear, a block or the embedding.
  virtual void Output(std::string_view module, const float* y, uint64_t t, uint64_t n) = 0;
  // Everything of `part`, the embedding, a block or the head, was shown. An error ends the pass.
  virtual Status EndPart(std::string_view part) = 0;
};

}  // namespace slim
