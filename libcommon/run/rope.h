// Rotary position embedding: cosines and sines by position, computed as transformers'
// modeling_rope_utils does (inverse frequencies and angles in float32). Sources: facts
// algorithms.md 9; transformers 5.23 modeling_rope_utils.py.
#pragma once

#include <cstdint>
#include <vector>

#include "model/model_config.h"

namespace slim {

class RopeTable {
 public:
  explicit RopeTable(const ModelConfig& config);
  // With rows for positions 0 .. length - 1.
  RopeTable(const ModelConfig& config, uint64_t length) : RopeTable(config) { Extend(length); }

  // Adds the rows up to `length`; earlier rows stay. With dynamic scaling the new rows use the
  // frequencies of a sequence of `length`, as a forward pass of transformers over them does.
  void Extend(uint64_t length);
  uint64_t length() const { return length_; }

  // Rotates one head of RopeDim() values in place, the pairs (i, i + RopeDim() / 2). `position` <
  // length().
  void Rotate(float* head, uint64_t position) const;
  // The same for the pairs (2i, 2i + 1), as DeepSeek lays them out.
  void RotatePairs(float* head, uint64_t position) const;

 private:
  std::vector<float> InverseFrequencies(uint64_t length) const;

  RopeConfig rope_;
  uint64_t half_ = 0;  // RopeDim() / 2
  uint64_t max_position_ = 0;
  float scaling_ = 1;  // of cosines and sines (yarn)
  uint64_t length_ = 0;
  std::vector<float> rows_;  // [length, 2, half]: cosines, then sines
};

}  // namespace slim
