// Which layer costs what: errors of every decoder block and every linear of the second checkpoint
// against the first, while both walk the same tokens block by block.
//
//   local        the second's layer computes from what the first's layer was given: its own error
//   accumulated  the second's layer computes from what its own layers before gave: all errors up to
//                here
// Smoothing is undone on the way (diff/frames.h). Rows of routed experts count where both
// checkpoints sent a token to the expert. A block's output includes the residual stream. lm_head
// and routers count as linears; a router is computed as the model does, on the reference backend.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "diff/frames.h"
#include "diff/hidden_walk.h"
#include "diff/row_errors.h"

namespace slim {

struct LinearErrors {
  std::string name;
  uint64_t layer = 0;
  Scheme type = Scheme::kFloat;  // of the second checkpoint
  uint64_t rows = 0;
  ErrorFigures local;
  ErrorFigures accumulated;
  double input_cosine = 1;  // of the inputs that both had
  bool chooses = false;     // a router or lm_head: what it gives is ranked, not added up
};

struct BlockErrors {
  uint64_t layer = 0;
  std::string name;
  ErrorFigures local;
  ErrorFigures accumulated;
};

struct LayerErrors {
  std::vector<BlockErrors> blocks;
  std::vector<LinearErrors> linears;  // in model order
  // Positions in `linears`: the lowest local SQNR first, float layers left out.
  std::vector<size_t> Ranking() const;
};

// DIFF-architecture unless both have the same blocks with the same linears of the same shapes.
Status CheckSameBlocks(const OpenModel& first, const OpenModel& second);

class LayerProbe {
 public:
  LayerProbe(const OpenModel& first, const OpenModel& second, BlockOptions options,
             ThreadPool& pool)
      : first_(&first), second_(&second), options_(std::move(options)), pool_(&pool) {}

  // DIFF-basis when the embedded tokens of both have nothing in common: a rotated checkpoint, whose
  // hidden states cannot be compared.
  Status CheckBasis(const HiddenWalk& first, const HiddenWalk& second) const;
  // Takes both walks through one block. Blocks come in order; walks over further windows may follow
  // once all blocks are through. The options' routing taps see both passes.
  Status Forward(DecoderBlock& first, DecoderBlock& second, HiddenWalk& first_walk,
                 HiddenWalk& second_walk, const BlockOptions& first_options,
                 const BlockOptions& second_options);
  // The same of lm_head, once the walks are through all blocks.
  void ForwardHead(const OutputHead& first, const OutputHead& second, const HiddenWalk& first_walk,
                   const HiddenWalk& second_walk);
  LayerErrors Errors() const;
  const BlockFrames& frames(uint64_t layer) const { return frames_.at(layer); }

 private:
  struct LinearSums {
    uint64_t rows = 0;
    ErrorSums local, accumulated, input;
  };
  struct BlockSums {
    ErrorSums local, accumulated;
    std::map<std::string, LinearSums> linears;
  };
  class Trace;
  struct Chunk;

  static LinearErrors ErrorsOf(std::string name, uint64_t layer, Scheme type,
                               const LinearSums& sums);
  Status ForwardChunk(DecoderBlock& first, DecoderBlock& second, Chunk& chunk);
  void AddLinears(const Trace& first, const Trace& own, const Trace& local, DecoderBlock& second,
                  BlockFrames& frames, BlockSums& sums);

  const OpenModel* first_;
  const OpenModel* second_;
  BlockOptions options_;
  ThreadPool* pool_;
  std::map<uint64_t, BlockFrames> frames_;
  std::map<uint64_t, BlockSums> blocks_;
  LinearSums head_;
  Scheme head_type_ = Scheme::kFloat;
};

}  // namespace slim
