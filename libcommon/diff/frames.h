// What smoothing did to the linears of one block. A smoothed checkpoint computes the same function
// with other numbers inside: the input of a linear is scale ∘ x + offset, its output out ∘ y, where
// the float checkpoint has x and y. Errors of layers mean something only once that is undone, and a
// float weight fits into the other checkpoint only once it is done to it.
//
// Inputs that come from a norm: scale and offset are those of the two norms' weights and biases,
// exactly. Inputs of o_proj and down_proj: fitted to the activations of both, a least-squares
// factor a channel; where half of the channels are within kFitTolerance of 1 nothing was smoothed
// and the factors are 1. The outputs of v_proj and up_proj follow from what they feed.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/model_config.h"
#include "run/block.h"
#include "run/linear_layer.h"
#include "run/norm.h"

namespace slim {

inline constexpr double kFitTolerance = 0.05;

struct LinearFrame {
  std::vector<float> scale;   // [k]; empty: all 1
  std::vector<float> offset;  // [k]; empty: all 0
  std::vector<float> out;     // [n]; empty: all 1

  bool empty() const { return scale.empty() && offset.empty() && out.empty(); }
  // x [t, k] of the first checkpoint as the second sees it.
  std::vector<float> ToSecond(const float* x, uint64_t t, uint64_t k) const;
  // The other way round.
  std::vector<float> ToFirst(const float* x, uint64_t t, uint64_t k) const;
};

// Of a linear that a norm feeds.
LinearFrame NormFrame(const Norm& first, const Norm& second);

class BlockFrames {
 public:
  // Of linears that a norm feeds.
  static BlockFrames FromNorms(const ModelConfig& config, DecoderBlock& first,
                               DecoderBlock& second);
  // The input of `linear`, o_proj or down_proj outside of routed experts, as both checkpoints had
  // it: x1 and x2 are [t, k]. Also settles the outputs of the linear that feeds it.
  void Fit(const ModelConfig& config, std::string_view linear, const float* x1, const float* x2,
           uint64_t t, uint64_t k);
  bool NeedsFit(std::string_view linear) const;

  const LinearFrame& Of(std::string_view linear) const;

 private:
  std::map<std::string, LinearFrame, std::less<>> frames_;
  std::map<std::string, bool, std::less<>> unfitted_;
};

// A float linear of the first checkpoint as it fits into the second: out ∘ W ∘ 1/scale, the offset
// in the bias; unchanged for an empty frame. Errors: those of LinearLayer::FromRecord.
Result<LinearLayer> FramedLinear(LinearRecord record, const LinearFrame& frame, Backend backend);

}  // namespace slim
