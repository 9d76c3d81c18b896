// How MindIE lays a dense decoder out over tensor-parallel ranks: which linears it fuses, under
// which names, and which rows or columns a rank has. Knows names and sizes, no numbers.
// Facts: formats.md 7.4, consumers.md 2.3.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/model_config.h"

namespace slim {

enum class SplitAxis : uint8_t {
  kWhole,    // every rank has all of it: norms, embeddings
  kRows,     // along n: q, k, v by heads; gate, up, lm_head by rows
  kColumns,  // along k: o_proj by heads, down_proj; sums are added over ranks
};

struct RowRange {
  uint64_t begin = 0;
  uint64_t end = 0;
  uint64_t size() const { return end - begin; }
};

// One module of the model within a module of a part.
struct PartMember {
  std::string module;  // "model.layers.0.self_attn.q_proj"
  uint64_t units = 1;  // heads, or rows: what is not cut
  uint64_t unit_rows = 1;

  uint64_t rows() const { return units * unit_rows; }
  // With fewer units than ranks (key heads), neighbours share one.
  RowRange RowsOf(uint64_t rank, uint64_t ranks) const;
  // Whether this rank is the first to have its rows.
  bool IsFirst(uint64_t rank, uint64_t ranks) const;
};

struct PartModule {
  std::string name;  // in a part: "transformer.h.0.attn.c_attn"
  SplitAxis axis = SplitAxis::kWhole;
  bool is_linear = false;
  std::vector<PartMember> members;  // fused along n in this order; one for kWhole and kColumns
};

// In model order. Llama and Mistral keep their names but for query_key_value and gate_up_proj;
// Qwen2 and Qwen3 have those of the first Qwen (transformer.h.N.attn.c_attn, mlp.w2_w1).
// CF-unsupported for other architectures; CV-tp, with the tensor, where `ranks` does not divide
// what it must.
Result<std::vector<PartModule>> PartModules(const ModelConfig& config, uint64_t ranks);

}  // namespace slim
