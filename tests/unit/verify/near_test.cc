// Each rule about a directory: a checkpoint changed close to what the rule forbids, which must not
// fire it. What fires it is in findings_test.cc; both together make sure that every rule draws its
// line where it says.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/bytes.h"
#include "verify/near_case.h"
#include "verify/scenes.h"

namespace slim {

std::set<std::string> RulesWithNearCases();  // for findings_test.cc

namespace {

// The file lies beside the checkpoint, as in a download cache, and a link stands for it.
void LinkToBlob(const std::string& directory, const std::string& name) {
  std::filesystem::create_directory(directory + "/.blobs");
  std::filesystem::rename(directory + name, directory + "/.blobs/1");
  std::filesystem::create_symlink(".blobs/1", directory + name);
}

void TwoShards(CheckpointEditor& e) {
  e.shard_count = 2;
  e["lm_head.weight"].shard = 1;
}

// ---- files, index
const NearCase kFileCases[] = {
    {"IN-missing", kFloat,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) { LinkToBlob(d, "/model.safetensors"); };
     }},
    {"IN-not-a-file", kFloat,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::create_directory(d + "/figures");
         LinkToBlob(d, "/model.safetensors");
       };
     }},
    {"IN-too-large", kFloat,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::resize_file(d + "/config.json", 4ULL << 20);
       };
     }},
    {"PATH-not-a-plain-name", kStatic,
     [](CheckpointEditor& e) { e.weight_stem = "quant_model_weights..v2"; }},
    {"IX-no-weight-map", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::ofstream(d + kIndexName) << R"({"weight_map": {}})";
       };
     }},
    {"IX-duplicate-key", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         ReplaceInFile(d + kIndexName, "\"lm_head.weight\"", "\"Model.norm.weight\"");
       };
     }},
    {"IX-missing-shard", kStatic,
     [](CheckpointEditor& e) { e.after = [](const std::string& d) { LinkToBlob(d, kShard); }; }},
    {"IX-missing-tensor", kStatic, TwoShards},
    {"IX-unlisted-tensor", kStatic, TwoShards},
    {"IX-wrong-shard", kStatic, TwoShards},
    {"IX-total-size", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         ReplaceInFile(d + kIndexName, "\"total_size\"", "\"total_bytes\"");
       };
     }},
    {"IX-leftover", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::copy_file(d + kIndexName, d + "/model.safetensors.index.json");
       };
     }},
    {"IX-no-index", kStatic, [](CheckpointEditor& e) { e.with_index = false; }},
    {"CK-duplicate-tensor", kFloat,
     [](CheckpointEditor& e) {
       TwoShards(e);
       e.shard_names = true;
     }},
    {"CK-shard-numbers", kStatic,
     [](CheckpointEditor& e) {
       TwoShards(e);
       e.with_index = false;
     }},
    {"CK-stray-weights", kStatic,
     [](CheckpointEditor& e) { e.files["model.safetensors.bak"] = "?"; }},
    {"CK-empty", kFloat,
     [](CheckpointEditor& e) {
       std::erase_if(e.tensors, [](const auto& t) { return t.first != "model.norm.weight"; });
     }},
    {"SIDE-no-tokenizer", kStatic,
     [](CheckpointEditor& e) {
       e.files.erase("tokenizer.json");
       e.files["tokenizer.model"] = "?";
     }},
    {"SIDE-no-special-tokens-map", kStatic,
     [](CheckpointEditor& e) { e.files["special_tokens_map.json"] = "{}"; }},
    {"SIDE-sparse-special-tokens", kStatic,
     [](CheckpointEditor& e) { e.files.erase("special_tokens_map.json"); }},
    {"SIDE-no-configuration", kMindIE,
     [](CheckpointEditor& e) { e.files["configuration.json"] = R"({"framework": "pytorch"})"; }},
    {"SIDE-unknown-file", kStatic, [](CheckpointEditor& e) { e.files["README.md"] = "?"; }},
};

// ---- description and config.json
const NearCase kMetadataCases[] = {
    {"DE-missing", kFloat,
     [](CheckpointEditor& e) {
       e.Add(kQ + ".weight_scale", DType::kF32, {64, 1}, "");
     }},
    {"DE-duplicate-key", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         ReplaceInFile(d + "/quant_model_description.json", "\"lm_head.weight\"",
                       "\"Model.norm.weight\"");
       };
     }},
    {"DE-several", kStatic,
     [](CheckpointEditor& e) { e.description_name = "quant_model_description_w8a8.json"; }},
    {"DE-file-name", kMindIE,
     [](CheckpointEditor& e) {
       e.description_name = "quant_model_description_w8a16.json";
       e.SetConfig("quantize", "w8a16");
     }},
    {"DE-missing-entry", kStatic,
     [](CheckpointEditor& e) {
       e.Add("model.layers.0.self_attn.heads_rotation", DType::kF32, {4, 4}, "");
     }},
    {"DE-missing-tensor", kStatic, [](CheckpointEditor& e) { e.tensors.erase(kQ + ".bias"); }},
    {"DE-unknown-label", kStatic,
     [](CheckpointEditor& e) { e[kQ + ".weight"].label = "W8A8_MIX"; }},
    {"DE-foreign-label", kStatic,
     [](CheckpointEditor& e) { e[kQ + ".weight"].label = "W8A8_DYNAMIC"; }},
    {"DE-mixed-labels", kStatic,
     [](CheckpointEditor& e) {
       std::string& label = e[kQ + ".bias"].label;
       label = label == "FLOAT" ? "W8A8" : "FLOAT";
     }},
    {"DE-version", kStatic, [](CheckpointEditor& e) { *e.Global("version") = Json("0.9"); }},
    {"DE-model-quant-type", kStatic,
     [](CheckpointEditor& e) { e[kO + ".weight"].label = "W8A8_DYNAMIC"; }},
    {"DE-mix-label", kMindIE,
     [](CheckpointEditor& e) {
       e.SetConfig("quantization_config", Json::Object().Set("pdmix", false));
     }},
    {"DE-group-size", kStatic, [](CheckpointEditor& e) { *e.Global("group_size") = Json(128); }},
    {"DE-kv-cache", kStatic,
     [](CheckpointEditor& e) {
       e.globals.emplace_back("kv_cache_type", Json("C8"));
       e.globals.emplace_back("kv_quant_type", Json("C8"));
       e.Add(kK + ".kv_cache_scale", DType::kF32, {32}, "C8");
     }},
    {"CF-missing", kStatic, [](CheckpointEditor& e) { e.files["config.json"] = "{}"; }},
    {"CF-not-an-object", kStatic, [](CheckpointEditor& e) { e.files["config.json"] = " {} "; }},
    {"CF-missing-key", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("transformers_version", Json()); }},
    {"CF-bad-value", kStatic, [](CheckpointEditor& e) { e.SetConfig("torch_dtype", "float32"); }},
    {"CF-unknown-architecture", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("model_type", "llama"); }},
    {"CF-unsupported", kStatic, [](CheckpointEditor& e) { e.SetConfig("rope_scaling", Json()); }},
    {"CF-no-dtype", kStatic,
     [](CheckpointEditor& e) {
       e.SetConfig("torch_dtype", Json());
       e.SetConfig("dtype", "bfloat16");
     }},
    {"CF-float-dtype", kStatic, [](CheckpointEditor& e) { e[kQ + ".bias"].dtype = DType::kF16; }},
    {"CF-quantize-missing", kMindIE,
     [](CheckpointEditor& e) {
       e.SetConfig("quantize", Json());
       *e.Global("model_quant_type") = Json("FLOAT");
     }},
    {"CF-quantize-case", kMindIE,
     [](CheckpointEditor& e) { e.SetConfig("quantize", "w8a8_dynamic"); }},
    {"CF-quantize-contradicts", kMindIE,
     [](CheckpointEditor& e) {
       e.SetConfig("quantize", "w8a8_pdmix");
       *e.Global("model_quant_type") = Json("W8A8_MIX");
     }},
    {"CF-leftover-quantization-config", kMindIE,
     [](CheckpointEditor& e) {
       e.SetConfig("quantization_config", Json::Object().Set("group_size", 0));
     }},
    {"MODEL-layer-count", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("num_hidden_layers", 1); }},
    {"MODEL-extra-layer", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("num_hidden_layers", 3); }},
    {"MODEL-missing-tensor", kDynamic,
     [](CheckpointEditor& e) {
       e.tensors.erase("lm_head.weight");
       e.SetConfig("tie_word_embeddings", true);
     }},
    {"MODEL-shape", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("max_position_embeddings", 321); }},
    {"MODEL-tied-head", kDynamic,
     [](CheckpointEditor& e) { e.SetConfig("tie_word_embeddings", true); }},
    {"MODEL-tied-values", kDynamic,
     [](CheckpointEditor& e) {
       e.SetConfig("tie_word_embeddings", true);
       e["lm_head.weight"].bytes = e["model.embed_tokens.weight"].bytes;
     }},
};

// ---- layers
void RelabelSparse(CheckpointEditor& e, const std::string& label) {
  *e.Global("model_quant_type") = Json("W8A8S");
  for (auto& [name, tensor] : e.tensors) {
    if (tensor.label == "W8A8") tensor.label = label;
  }
}

const NearCase kLayerCases[] = {
    {"LIN-missing-part", kMindIE,
     [](CheckpointEditor& e) {
       e.tensors.erase(kQ + ".weight_scale");
       e.tensors.erase(kQ + ".weight_offset");
     }},
    {"LIN-extra-part", kStatic,
     [](CheckpointEditor& e) {
       e.Add(kQ + ".weight_scale", DType::kF32, {64, 1}, "W8A8");
       e.Add(kQ + ".weight_offset", DType::kF32, {64, 1}, "W8A8");
     }},
    {"LIN-unknown-part", kDynamic,
     [](CheckpointEditor& e) { e.Add(kQ + ".kv_cache_scale", DType::kF32, {64}, "C8"); }},
    {"LIN-shape", kDynamic,
     [](CheckpointEditor& e) {
       e.Add(kQ + ".weight_scale", DType::kF32, {64, 2}, "W8A8_DYNAMIC");
       e.Add(kQ + ".weight_offset", DType::kF32, {64, 2}, "W8A8_DYNAMIC");
     }},
    {"LIN-dtype", kStatic,
     [](CheckpointEditor& e) { e.Add(kQ + ".input_offset", DType::kI8, {1}, "W8A8"); }},
    {"LIN-float-codes", kStatic,
     [](CheckpointEditor& e) {
       e.Add("lm_head.weight", DType::kF32, {320, 64}, "FLOAT");
     }},
    {"LIN-scale-dtype", kStatic,
     [](CheckpointEditor& e) { e.Add(kQ + ".deq_scale", DType::kI64, {64}, "W8A8"); }},
    {"LIN-bias-dtype", kStatic,
     [](CheckpointEditor& e) {
       for (auto& [name, tensor] : e.tensors) {
         if (name.ends_with(".bias")) tensor.dtype = DType::kF16;
       }
     }},
    {"LIN-deq-flavour", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("torch_dtype", "float32"); }},
    {"LIN-deq-mixed", kStatic,
     [](CheckpointEditor& e) {
       for (auto& [name, tensor] : e.tensors) {
         if (name.ends_with(".deq_scale")) e.Add(name, DType::kI64, tensor.shape, tensor.label);
       }
     }},
    {"FUSE-mixed-types", kStatic,
     [](CheckpointEditor& e) { e[kO + ".weight"].label = "W8A8_DYNAMIC"; }},
    {"FUSE-input-scale", kStatic,
     [](CheckpointEditor& e) { e.Set<float>(kO + ".input_scale", 0, 0.5F); }},
    {"LIN-sparse-label", "golden/traditional/mini-qwen2-bfloat16/a0-w8a8",
     [](CheckpointEditor& e) { RelabelSparse(e, "W8A8S"); }},
    {"NORM-copy-orphan", kNormCopies,
     [](CheckpointEditor& e) { e.tensors.erase("model.norm.module.bias"); }},
    {"NORM-copy-orphan", kNormCopies,
     [](CheckpointEditor& e) {
       for (const char* name : {"model.norm.bias", "model.norm.module.bias"})
         e.Add(name, DType::kBF16, {64}, e[name].label);
     }},
    {"NORM-copy-foreign", kStatic,
     [](CheckpointEditor& e) { e.Add("model.norm.modules.weight", DType::kBF16, {64}, "FLOAT"); }},
    {"NORM-copy-differs", kNormCopies,
     [](CheckpointEditor& e) {
       e.Set<float>("model.norm.module.weight", 3, 9.0F);
       e["model.norm.weight"].bytes = e["model.norm.module.weight"].bytes;
     }},
};

// ---- values

std::string& Codes(CheckpointEditor& e) { return e[kUp + ".weight"].bytes; }

const NearCase kValueCases[] = {
    {"VAL-zero-page", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         ChangePage(d, [](std::string& file, uint64_t at) {
           std::fill_n(file.begin() + static_cast<int64_t>(at), 4096, '\0');
           file[at + 4000] = 1;
         });
       };
     }},
    // Rows of 128 bytes: a page is 32 whole rows, and equal rows are the model's.
    {"VAL-repeated-block", kStatic,
     [](CheckpointEditor& e) {
       const std::string& head = e["lm_head.weight"].bytes;
       e["lm_head.weight"].bytes.replace(4096 * 2, 4096 * 3, head.substr(4096 * 5, 4096 * 3));
     }},
    {"VAL-zero-tensor", kDynamic,
     [](CheckpointEditor& e) {
       std::fill(Codes(e).begin(), Codes(e).end(), '\0');
       Codes(e)[5] = 1;
     }},
    {"VAL-code-histogram", kDynamic,
     [](CheckpointEditor& e) {
       for (char& code : Codes(e)) code = static_cast<char>(code & 0xFE);
     }},
    {"VAL-not-finite", kStatic,
     [](CheckpointEditor& e) { e.Set<uint16_t>("model.norm.weight", 5, 0x7F7F); }},
    {"VAL-scale-not-positive", kDynamic,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".weight_scale", 2, 1e-45F); }},
    {"VAL-scale-denormal", kDynamic,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".weight_scale", 2, 0x1p-126F); }},
    {"VAL-offset-not-integral", kStatic,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".input_offset", 0, 2.0F); }},
    {"VAL-offset-range", kStatic,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".input_offset", 0, 127.0F); }},
    {"VAL-weight-offset", kDynamic,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".weight_offset", 7, -0.0F); }},
    {"VAL-deq-bits", kFp16,
     [](CheckpointEditor& e) { e.Set<int64_t>(kQ + ".deq_scale", 0, 0x38000000LL); }},
    {"VAL-deq-product", kMindIE,
     [](CheckpointEditor& e) {
       const auto scale = LoadLe<uint16_t>(e[kQ + ".weight_scale"].bytes.data() + 8);
       // The next number of the writer's dtype: half of a step is what it rounds away.
       if (e[kQ + ".weight_scale"].dtype == DType::kBF16)
         e.Set<uint16_t>(kQ + ".weight_scale", 4, static_cast<uint16_t>(scale + 1));
       const auto wide = LoadLe<float>(e[kQ + ".weight_scale"].bytes.data() + 16);
       if (e[kQ + ".weight_scale"].dtype == DType::kF32)
         e.Set<float>(kQ + ".weight_scale", 4, wide * (1 + 0x1p-10F));
     }},
    {"VAL-quant-bias", kStatic,
     [](CheckpointEditor& e) {
       const auto stored = LoadLe<int32_t>(e[kUp + ".quant_bias"].bytes.data());
       e.Set<int32_t>(kUp + ".quant_bias", 0, stored + 1);
     }},
    {"VAL-int4-range", kMindIE,
     [](CheckpointEditor& e) {
       for (auto& [name, tensor] : e.tensors) {
         if (tensor.label == "W8A8" && name.starts_with(kUp)) tensor.label = "W4A16";
       }
       for (char& code : Codes(e)) code = static_cast<char>(((code & 15) ^ 8) - 8);
     }},
    {"VAL-minus-128", kMindIE,
     [](CheckpointEditor& e) { e.Set<int8_t>(kUp + ".weight", 100, -127); }},
    {"VAL-saturated", kDynamic,
     [](CheckpointEditor& e) { std::fill_n(Codes(e).begin(), Codes(e).size() / 20, '\x7F'); }},
    {"VAL-zero-row", kDynamic,
     [](CheckpointEditor& e) {
       std::fill_n(Codes(e).begin() + 64, 64, '\0');
       Codes(e)[80] = 1;
     }},
    {"VAL-constant-row", kDynamic,
     [](CheckpointEditor& e) {
       std::fill_n(Codes(e).begin() + 64, 64, '\x05');
       Codes(e)[80] = 4;
     }},
    {"VAL-bf16-provenance", kDynamic,
     [](CheckpointEditor& e) { e.Set<uint32_t>(kQ + ".weight_scale", 0, 0x3C4A0000); }},
};

class Near : public testing::TestWithParam<NearCase> {};

TEST_P(Near, DoesNotFireItsRule) { ExpectNearMiss(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Files, Near, testing::ValuesIn(kFileCases));
INSTANTIATE_TEST_SUITE_P(Metadata, Near, testing::ValuesIn(kMetadataCases));
INSTANTIATE_TEST_SUITE_P(Layers, Near, testing::ValuesIn(kLayerCases));
INSTANTIATE_TEST_SUITE_P(Values, Near, testing::ValuesIn(kValueCases));

}  // namespace

std::set<std::string> RulesWithNearCases() {
  std::set<std::string> rules;
  for (const NearCase& c : kFileCases) rules.insert(c.rule);
  for (const NearCase& c : kMetadataCases) rules.insert(c.rule);
  for (const NearCase& c : kLayerCases) rules.insert(c.rule);
  for (const NearCase& c : kValueCases) rules.insert(c.rule);
  return rules;
}

}  // namespace slim
