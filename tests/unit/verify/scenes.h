// The checkpoints that the cases of every rule begin with, and the names in them.
#pragma once

#include <string>

namespace slim {

inline constexpr const char* kStatic = "golden/one-click/mini-qwen2-bfloat16/w8a8-static";
inline constexpr const char* kDynamic = "golden/one-click/mini-qwen2-bfloat16/w8a8-dynamic";
inline constexpr const char* kFp16 = "golden/one-click/mini-qwen3-float16/w8a8-static";
inline constexpr const char* kMindIE = "golden/traditional/mini-qwen2-bfloat16/m0-w8a8";
inline constexpr const char* kNormCopies = "golden/traditional/mini-qwen2-bfloat16/m0-w8a8-m1";
inline constexpr const char* kFloat = "golden/models/mini-qwen2-bfloat16";

inline constexpr const char* kShard = "/quant_model_weights-00001-of-00001.safetensors";
inline constexpr const char* kIndexName = "/quant_model_weights.safetensors.index.json";

inline const std::string kQ = "model.layers.0.self_attn.q_proj";
inline const std::string kK = "model.layers.0.self_attn.k_proj";
inline const std::string kO = "model.layers.0.self_attn.o_proj";
inline const std::string kUp = "model.layers.1.mlp.up_proj";

}  // namespace slim
