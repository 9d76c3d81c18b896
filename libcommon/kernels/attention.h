// Softmax attention of query rows over the keys and values of one head, 64 positions at a time with
// a running maximum and sum, so that no row of scores is ever whole (Milakov and Gimelshein,
// "Online normalizer calculation for softmax", 2018). Blocks of positions lie at multiples of 64
// and a row is summed in an order that depends on its own positions only: the same bits for any
// number of rows a call and any instruction set.
#pragma once

#include <cstdint>

namespace slim {

struct AttentionRows {
  float* queries;  // [rows, key_dim]; multiplied with `scale` in place
  float scale;     // of the scores
  uint64_t rows;
  const float* keys;    // [positions, key_dim]
  const float* values;  // [positions, value_dim]
  uint64_t key_dim;
  uint64_t value_dim;
  // Row r sees positions begin[r] .. end[r] - 1, at least one.
  const uint64_t* begin;
  const uint64_t* end;
  float* out;  // [rows, value_dim]
};

void AttendRows(const AttentionRows& job);

}  // namespace slim
