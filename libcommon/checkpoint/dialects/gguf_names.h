// llama.cpp's names for what Hugging Face calls otherwise: architectures and tensors, as tables,
// and the order of query and key rows, which the rotary embedding of its llama wants interleaved.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tensor/tensor.h"

namespace slim {

struct GgufArchitecture {
  std::string_view name;  // general.architecture
  std::string_view model_type;
  std::string_view class_name;  // of config.json's architectures
  bool interleaves_rotary;      // rows of q and k are reordered
};
// Null where slim does not know it. Several model types may share a name; the first is what a file
// of that name becomes.
const GgufArchitecture* GgufArchitectureByName(std::string_view name);
const GgufArchitecture* GgufArchitectureByModelType(std::string_view model_type);
std::string GgufArchitectureNames();  // "llama, qwen2, qwen3"

// "blk.3.attn_q.weight" <-> "model.layers.3.self_attn.q_proj.weight"; empty where there is none.
std::string HfNameOfGguf(std::string_view name);
std::string GgufNameOfHf(std::string_view name);

enum class RotaryRows : uint8_t { kAsTheyAre, kOfQueries, kOfKeys };
// Of a tensor of an architecture that interleaves, by its llama.cpp name.
RotaryRows RotaryRowsOf(std::string_view gguf_name);

// Row h·d + 2·j + p of llama.cpp is row h·d + p·d/2 + j of Hugging Face, for heads of d rows. The
// first dimension is divisible by 2·heads.
enum class RotaryOrder : uint8_t { kInterleaved, kHalves };
Tensor ReorderRotaryRows(const Tensor& tensor, uint64_t heads, RotaryOrder to);

}  // namespace slim
