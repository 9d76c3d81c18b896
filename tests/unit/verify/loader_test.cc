// What loaders of --for would do: each rule LD-… is fired by a checkpoint spoiled in one place, and
// the sound one beside it does not fire it. The outcomes of the three real loaders are in
// golden/loaders (tests/loader_truth_test.py); these cases are small pictures of them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/bytes.h"
#include "verify/checkpoint_editor.h"

namespace slim {

std::set<std::string> RulesWithLoaderCases();      // for findings_test.cc
std::set<std::string> RulesWithNearLoaderCases();  // for findings_test.cc

namespace {

constexpr const char* kStatic = "golden/one-click/mini-qwen2-bfloat16/w8a8-static-all";
constexpr const char* kDynamic = "golden/one-click/mini-qwen2-bfloat16/w8a8-dynamic";
constexpr const char* kW8A16 = "golden/one-click/mini-qwen2-bfloat16/w8a16";
constexpr const char* kFp16Dynamic = "golden/one-click/mini-qwen3-float16/w8a8-dynamic";

const std::string kQ = "model.layers.0.self_attn.q_proj";
const std::string kV = "model.layers.0.self_attn.v_proj";
const std::string kO = "model.layers.0.self_attn.o_proj";

VerifyReport Judge(CheckpointEditor& editor, const std::string& loader,
                   std::optional<uint32_t> tp = {}, std::optional<Chip> chip = {}) {
  VerifyOptions options{.deep = true, .threads = 2};
  options.targets.push_back(ParseLoaderTarget(loader).value());
  options.targets.back().tp = tp;
  options.targets.back().chip = chip;
  const std::string path = editor.Write();
  for (const auto& file : std::filesystem::directory_iterator(path))
    std::filesystem::permissions(file, std::filesystem::perms(0644));
  if (editor.after) editor.after(path);
  auto report = VerifyCheckpoint(path, options, SilentListener());
  if (!report.ok()) throw std::runtime_error(report.error().ToString());
  return std::move(*report);
}

struct LoaderCase {
  const char* rule;
  const char* loader;
  Effect effect;
  const char* base;
  void (*spoil)(CheckpointEditor&);
  uint32_t tp = 0;
  std::optional<Chip> chip = {};
  // What the same loader takes. Where the profile makes the finding, or the base itself is what the
  // loader does not take: the nearest profile or base that is sound.
  const char* near_loader = nullptr;
  const char* near_base = nullptr;
  uint32_t near_tp = 0;
};

void PrintTo(const LoaderCase& c, std::ostream* out) { *out << c.rule << " " << c.loader; }

void Label(CheckpointEditor& e, const std::string& module, const std::string& label) {
  for (auto& [name, tensor] : e.tensors) {
    if (name.starts_with(module + ".") && !name.ends_with(".bias")) tensor.label = label;
  }
}

void SetGlobal(CheckpointEditor& e, const std::string& key, Json value) {
  if (Json* found = e.Global(key)) {
    *found = std::move(value);
  } else {
    e.globals.emplace_back(key, std::move(value));
  }
}

// A linear of the base as draft layer 2.
void AddDraft(CheckpointEditor& e, const std::string& label) {
  for (const std::string leaf : {"weight", "weight_scale", "weight_offset"}) {
    EditedTensor tensor = e[kQ + "." + leaf];
    tensor.label = label;
    e.tensors["model.layers.2.self_attn.q_proj." + leaf] = tensor;
  }
}

void AddExpert(CheckpointEditor& e, int expert, const std::string& label) {
  for (const std::string name : {"gate_proj", "up_proj", "down_proj"}) {
    const std::string module = "model.layers.0.mlp.experts." + std::to_string(expert) + "." + name;
    for (const std::string leaf : {"weight", "weight_scale", "weight_offset"}) {
      EditedTensor tensor = e[kQ + "." + leaf];
      tensor.label = label;
      e.tensors[module + "." + leaf] = tensor;
    }
  }
}

const LoaderCase kCases[] = {
    {"LD-dtype", "mindie", Effect::kCrashes, kStatic,
     [](CheckpointEditor& e) { e.SetConfig("torch_dtype", Json()); }},
    {"LD-dtype", "mindie-atb", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { e.SetConfig("torch_dtype", "float32"); }},
    {"LD-model-type", "vllm-ascend", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { e.SetConfig("model_type", "deepseekv2"); }},
    {"LD-model-type", "mindie", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { e.SetConfig("model_type", "llama"); }},
    {"LD-token-ids", "mindie-atb", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { e.SetConfig("eos_token_id", 320); }},
    {"LD-quantize", "mindie-atb", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { e.SetConfig("quantize", "W8A8"); }},
    {"LD-quantize", "mindie-atb", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { SetGlobal(e, "model_quant_type", "FLOAT"); }},
    {"LD-group-size", "mindie-atb", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { SetGlobal(e, "group_size", 32); }},
    {"LD-group-size", "mindie-atb@2.1", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { SetGlobal(e, "group_size", 256); }},
    {"LD-quantization-config", "vllm-ascend", Effect::kCrashes, kStatic,
     [](CheckpointEditor& e) {
       e.SetConfig("quantization_config", Json::Object().Set("group_size", 0));
     }},
    {"LD-description", "vllm-ascend", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { e.description_name = "quant_model_description_w8a8.json"; }},
    {"LD-description",
     "vllm-ascend@0.8",
     Effect::kCrashes,
     kStatic,
     [](CheckpointEditor&) {},
     0,
     {},
     "vllm-ascend@0.9"},
    {"LD-description", "mindie", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::copy_file(d + "/quant_model_description.json",
                                    d + "/quant_model_description_w8a8.json",
                                    std::filesystem::copy_options::overwrite_existing);
       };
     }},
    {"LD-foreign-format", "vllm-ascend", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) {
       e.description_name = "quant_model_description_w8a8.json";
       e.SetConfig("quantization_config", Json::Object().Set("quant_method", "ascendish"));
     }},
    {"LD-index", "vllm-ascend", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) {
       e.files["model.safetensors.index.json"] =
           R"({"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}})";
     }},
    {"LD-duplicate-tensor", "mindie", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::copy_file(d + "/quant_model_weights-00001-of-00001.safetensors",
                                    d + "/zz.safetensors",
                                    std::filesystem::copy_options::overwrite_existing);
       };
     }},
    {"LD-unreadable-file", "mindie", Effect::kCrashes, kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) { std::ofstream(d + "/zz.safetensors") << "nothing"; };
     }},
    {"LD-permissions", "mindie", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::permissions(d + "/quant_model_weights-00001-of-00001.safetensors",
                                      std::filesystem::perms(0664));
       };
     }},
    {"LD-side-file", "vllm-ascend", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) {
       Json map = Json::Object();
       map.Set("AutoConfig", "configuration_mini.MiniConfig");
       e.SetConfig("auto_map", map);
     }},
    {"LD-expert-differs", "vllm-ascend", Effect::kLoadsWrong, kDynamic,
     [](CheckpointEditor& e) {
       e.SetConfig("model_type", "some_moe");
       AddExpert(e, 0, "W8A8_DYNAMIC");
       AddExpert(e, 1, "FLOAT");
     }},
    {"LD-missing-entry", "vllm-ascend", Effect::kCrashes, kStatic,
     [](CheckpointEditor& e) { e["model.embed_tokens.weight"].label.clear(); }},
    {"LD-missing-entry", "mindie", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { e[kO + ".weight"].label.clear(); }},
    {"LD-type", "vllm-ascend", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { Label(e, kO, "W8A8S"); }},
    {"LD-type",
     "mindie",
     Effect::kLoadsWrong,
     kW8A16,
     [](CheckpointEditor&) {},
     0,
     {},
     nullptr,
     kDynamic},
    {"LD-mixed-group", "vllm-ascend", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) { Label(e, kV, "W8A8_DYNAMIC"); }},
    {"LD-mixed-module",
     "vllm-mindspore",
     Effect::kRefuses,
     kStatic,
     [](CheckpointEditor&) {},
     0,
     {},
     nullptr,
     kFp16Dynamic},
    {"LD-name-prefix", "vllm-ascend", Effect::kLoadsWrong, kStatic,
     [](CheckpointEditor& e) {
       e.Add(kO + "_gate.weight", DType::kBF16, {4, 64}, "FLOAT");
     }},
    {"LD-float-module", "mindie", Effect::kLoadsWrong, kStatic,
     [](CheckpointEditor& e) {
       e.Add("lm_head.weight", DType::kI8, {320, 64}, "W8A8_DYNAMIC");
     }},
    {"LD-draft-layer", "sglang", Effect::kLoadsWrong, kDynamic,
     [](CheckpointEditor& e) {
       e.SetConfig("model_type", "some_moe");
       AddDraft(e, "W8A8_DYNAMIC");
     }},
    {"LD-kv-cache", "vllm-ascend", Effect::kCrashes, kStatic,
     [](CheckpointEditor& e) {
       e.Add("model.layers.0.self_attn.k_proj.kv_cache_scale", DType::kBF16, {32}, "C8");
     }},
    {"LD-kv-cache", "mindie-atb", Effect::kRefuses, kW8A16,
     [](CheckpointEditor& e) { SetGlobal(e, "kv_quant_type", "C8"); }},
    {"LD-known-limit", "vllm-ascend", Effect::kCrashes, kDynamic,
     [](CheckpointEditor& e) { e.SetConfig("model_type", "gemma4"); }},
    {"LD-known-limit", "sglang", Effect::kLoadsWrong, kDynamic,
     [](CheckpointEditor& e) {
       e.SetConfig("model_type", "qwen3_next");
       for (const std::string leaf : {"weight", "weight_scale", "weight_offset"})
         e.tensors["model.layers.0.linear_attn.in_proj_qkvz." + leaf] = e[kQ + "." + leaf];
     }},
    {"LD-launch",
     "vllm-ascend@0.11",
     Effect::kDegrades,
     kStatic,
     [](CheckpointEditor&) {},
     0,
     {},
     "vllm-ascend@0.16"},
    {"LD-missing-tensor", "vllm-ascend", Effect::kLoadsWrong, kStatic,
     [](CheckpointEditor& e) { e.tensors.erase(kQ + ".deq_scale"); }},
    {"LD-missing-tensor", "mindie-atb", Effect::kRefuses, kDynamic,
     [](CheckpointEditor& e) { e.tensors.erase(kQ + ".weight_offset"); }},
    {"LD-unknown-tensor", "vllm-ascend", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) {
       e.Add("model.layers.0.self_attn.heads_rotation", DType::kF32, {4, 4}, "");
     }},
    {"LD-unread-tensor", "vllm-ascend", Effect::kLoadsWrong, kDynamic,
     [](CheckpointEditor& e) {
       e.Add(kO + ".bias", DType::kF32, {64}, "FLOAT");
       e.Set<float>(kO + ".bias", 3, 1.0F);
     }},
    {"LD-shape", "vllm-ascend", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) {
       e[kQ + ".deq_scale"].shape = {64, 1};
     }},
    {"LD-cast", "mindie", Effect::kLoadsWrong, kStatic,
     [](CheckpointEditor& e) { e.Set<float>(kO + ".input_offset", 0, 200.0F); }},
    {"LD-deq-flavour", "vllm-ascend", Effect::kLoadsWrong, kStatic,
     [](CheckpointEditor& e) { e.SetConfig("torch_dtype", "float16"); }},
    {"LD-input-scale", "mindie", Effect::kLoadsWrong, kStatic,
     [](CheckpointEditor& e) {
       const auto scale = LoadLe<float>(e[kV + ".input_scale"].bytes.data());
       e.Set<float>(kV + ".input_scale", 0, 2 * scale);
     }},
    {"LD-input-scale", "mindie-atb@2.1", Effect::kRefuses, kStatic,
     [](CheckpointEditor& e) {
       const auto scale = LoadLe<float>(e[kV + ".input_scale"].bytes.data());
       e.Set<float>(kV + ".input_scale", 0, 2 * scale);
     }},
    {"LD-offset", "vllm-ascend", Effect::kLoadsWrong, kDynamic,
     [](CheckpointEditor& e) {
       for (size_t i = 0; i < 64; ++i) e.Set<float>(kO + ".weight_offset", i, 40.0F);
     }},
    {"LD-chip", "vllm-ascend", Effect::kCrashesForward, kFp16Dynamic, [](CheckpointEditor&) {}, 0,
     Chip::kA2, nullptr, kDynamic},
    {"LD-parallel",
     "vllm-ascend",
     Effect::kRefuses,
     kStatic,
     [](CheckpointEditor&) {},
     3,
     {},
     nullptr,
     nullptr,
     2},
};

class Loaders : public testing::TestWithParam<LoaderCase> {};

TEST_P(Loaders, SpoiledCheckpointIsFound) {
  const LoaderCase& c = GetParam();
  CheckpointEditor editor(c.base);
  c.spoil(editor);
  const std::optional<uint32_t> tp = c.tp == 0 ? std::nullopt : std::optional(c.tp);
  const VerifyReport report = Judge(editor, c.loader, tp, c.chip);
  const Finding* finding = Find(report, c.rule);
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(EffectName(finding->effect), EffectName(c.effect)) << finding->message;
  EXPECT_EQ(finding->loader, ParseLoaderTarget(c.loader).value().name);
}

TEST_P(Loaders, TheSoundOneBesideItIsNot) {
  const LoaderCase& c = GetParam();
  CheckpointEditor editor(c.near_base == nullptr ? c.base : c.near_base);
  const uint32_t tp = c.near_tp == 0 ? c.tp : c.near_tp;
  const VerifyReport report = Judge(editor, c.near_loader == nullptr ? c.loader : c.near_loader,
                                    tp == 0 ? std::nullopt : std::optional(tp), c.chip);
  const Finding* finding = Find(report, c.rule);
  EXPECT_EQ(finding, nullptr) << finding->message;
}

INSTANTIATE_TEST_SUITE_P(Rules, Loaders, testing::ValuesIn(kCases));

// Changed where the rule looks, and still what the loader takes, or another rule's business.
struct NearLoaderCase {
  const char* rule;
  const char* loader;
  const char* base;
  void (*change)(CheckpointEditor&);
  uint32_t tp = 0;
  std::optional<Chip> chip = {};
};

void PrintTo(const NearLoaderCase& c, std::ostream* out) { *out << c.rule << " " << c.loader; }

// A second weight file with a tensor of its own.
void AddFile(const std::string& directory) {
  const std::string header = R"({"z":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}  )";
  std::ofstream(directory + "/zz.safetensors", std::ios::binary)
      << static_cast<char>(header.size()) << std::string(7, '\0') << header;
}

const NearLoaderCase kNearCases[] = {
    {"LD-dtype", "mindie", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("torch_dtype", "float16"); }},
    {"LD-model-type", "mindie", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("model_type", "qwen3"); }},
    {"LD-token-ids", "mindie-atb", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("eos_token_id", 319); }},
    {"LD-quantize", "mindie-atb", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("quantize", "w8a8"); }},
    {"LD-group-size", "mindie-atb", kStatic,
     [](CheckpointEditor& e) { SetGlobal(e, "group_size", 128); }},
    {"LD-quantization-config", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("quantization_config", Json()); }},
    {"LD-description", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) { e.files["quant_model_description_w8a8.json"] = "{}"; }},
    {"LD-foreign-format", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) {
       e.SetConfig("quantization_config", Json::Object().Set("quant_method", "ascend"));
     }},
    {"LD-index", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::copy_file(d + "/quant_model_weights.safetensors.index.json",
                                    d + "/model.safetensors.index.json",
                                    std::filesystem::copy_options::overwrite_existing);
       };
     }},
    {"LD-duplicate-tensor", "mindie", kStatic, [](CheckpointEditor& e) { e.after = AddFile; }},
    {"LD-unreadable-file", "mindie", kStatic, [](CheckpointEditor& e) { e.after = AddFile; }},
    {"LD-permissions", "mindie", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::permissions(d + "/quant_model_weights-00001-of-00001.safetensors",
                                      std::filesystem::perms(0755));
       };
     }},
    {"LD-side-file", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) {
       e.SetConfig("auto_map", Json::Object().Set("AutoConfig", "configuration_mini.MiniConfig"));
       e.files["configuration_mini.py"] = "class MiniConfig: pass";
     }},
    {"LD-expert-differs", "vllm-ascend", kDynamic,
     [](CheckpointEditor& e) {
       e.SetConfig("model_type", "some_moe");
       AddExpert(e, 0, "W8A8_DYNAMIC");
       AddExpert(e, 1, "W8A8_DYNAMIC");
     }},
    {"LD-missing-entry", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) { e["model.norm.weight"].label.clear(); }},
    {"LD-type", "vllm-ascend", kStatic, [](CheckpointEditor& e) { Label(e, kO, "W8A8_DYNAMIC"); }},
    {"LD-mixed-group", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) { Label(e, kO, "W8A8_DYNAMIC"); }},
    {"LD-mixed-module", "vllm-mindspore", kStatic,
     [](CheckpointEditor& e) {
       for (auto& [name, tensor] : e.tensors) {
         const std::string weight = name.substr(0, name.rfind('.')) + ".weight";
         if (name.ends_with(".bias") && e.tensors.contains(weight)) tensor.label = e[weight].label;
       }
     }},
    {"LD-name-prefix", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) {
       e.Add("model.layers.0.self_attn.o_pro.weight", DType::kBF16, {4, 64}, "FLOAT");
     }},
    {"LD-float-module", "mindie", kStatic,
     [](CheckpointEditor& e) {
       e.Add("lm_head.weight", DType::kF32, {320, 64}, "FLOAT");
     }},
    {"LD-draft-layer", "sglang", kDynamic,
     [](CheckpointEditor& e) {
       e.SetConfig("model_type", "some_moe");
       e.Add("model.layers.2.self_attn.q_proj.weight", DType::kBF16, {64, 64}, "FLOAT");
     }},
    {"LD-kv-cache", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) { SetGlobal(e, "kv_quant_type", "C8"); }},
    {"LD-known-limit", "vllm-ascend", kDynamic,
     [](CheckpointEditor& e) { e.SetConfig("model_type", "gemma3"); }},
    {"LD-launch", "vllm-ascend@0.16", kStatic,
     [](CheckpointEditor& e) { SetGlobal(e, "version", "1.0.1"); }},
    {"LD-missing-tensor", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) {
       e.tensors.erase("lm_head.weight");
       e.SetConfig("tie_word_embeddings", true);
     }},
    {"LD-unknown-tensor", "mindie", kStatic,
     [](CheckpointEditor& e) {
       e.Add("model.layers.0.self_attn.heads_rotation", DType::kF32, {4, 4}, "");
     }},
    {"LD-unread-tensor", "vllm-ascend", kDynamic,
     [](CheckpointEditor& e) { e.Add(kO + ".bias", DType::kF32, {64}, "FLOAT"); }},
    {"LD-shape", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) { e.Add("model.norm.weight", DType::kF32, {64}, "FLOAT"); }},
    {"LD-cast", "mindie", kStatic,
     [](CheckpointEditor& e) { e.Set<float>(kO + ".input_offset", 0, 127.0F); }},
    {"LD-deq-flavour", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("torch_dtype", "float32"); }},
    {"LD-input-scale", "mindie", kStatic,
     [](CheckpointEditor& e) {
       const auto scale = LoadLe<float>(e[kO + ".input_scale"].bytes.data());
       e.Set<float>(kO + ".input_scale", 0, 2 * scale);
     }},
    {"LD-offset", "vllm-ascend", kDynamic,
     [](CheckpointEditor& e) { e.Set<float>(kO + ".weight_offset", 3, -0.0F); }},
    {"LD-chip", "vllm-ascend", kDynamic,
     [](CheckpointEditor& e) { e.SetConfig("max_position_embeddings", 321); }, 0, Chip::kA2},
    {"LD-parallel", "vllm-ascend", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("max_position_embeddings", 321); }, 2},
};

class NearLoaders : public testing::TestWithParam<NearLoaderCase> {};

TEST_P(NearLoaders, DoesNotFireItsRule) {
  const NearLoaderCase& c = GetParam();
  CheckpointEditor editor(c.base);
  c.change(editor);
  const VerifyReport report =
      Judge(editor, c.loader, c.tp == 0 ? std::nullopt : std::optional(c.tp), c.chip);
  const Finding* finding = Find(report, c.rule);
  EXPECT_EQ(finding, nullptr) << finding->tensor << ": " << finding->message;
}

INSTANTIATE_TEST_SUITE_P(Rules, NearLoaders, testing::ValuesIn(kNearCases));

// The bases themselves: what the loaders accept has no error.
TEST(Sound, NoErrorWhereTheLoaderAccepts) {
  for (const char* base : {kStatic, kDynamic}) {
    for (const char* loader :
         {"vllm-ascend", "vllm-ascend@main", "mindie", "mindie-atb", "sglang"}) {
      CheckpointEditor editor(base);
      const VerifyReport report = Judge(editor, loader);
      EXPECT_EQ(report.Count(Severity::kError), 0U)
          << base << " " << loader << " " << report.findings.front().rule << " "
          << report.findings.front().tensor;
    }
  }
  CheckpointEditor editor(kW8A16);
  EXPECT_EQ(Judge(editor, "vllm-ascend").Count(Severity::kError), 0U);
  EXPECT_EQ(Judge(editor, "mindie-atb").Count(Severity::kError), 0U);
}

TEST(Sound, ATensorParallelDegreeThatFits) {
  CheckpointEditor editor(kStatic);
  EXPECT_EQ(Judge(editor, "vllm-ascend", 2).Count(Severity::kError), 0U);
}

// A rule that loaders differ about is a warning where no loader of the list stumbles.
TEST(Severity, ConventionsAreWarningsWithALoader) {
  CheckpointEditor editor(kStatic);
  editor["model.norm.weight"].label.clear();
  const VerifyReport report = Judge(editor, "vllm-ascend");
  const Finding* finding = Find(report, "DE-missing-entry");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->severity, Severity::kWarning);
  EXPECT_TRUE(report.ok());
}

// Without a chip, what only its kernels refuse is a warning.
TEST(Severity, KernelsNeedAChip) {
  CheckpointEditor editor(kFp16Dynamic);
  EXPECT_TRUE(Judge(editor, "vllm-ascend").ok());
  EXPECT_FALSE(Judge(editor, "vllm-ascend", {}, Chip::kA3).ok());
}

}  // namespace

std::set<std::string> RulesWithNearLoaderCases() {
  std::set<std::string> rules;
  for (const NearLoaderCase& c : kNearCases) rules.insert(c.rule);
  return rules;
}

std::set<std::string> RulesWithLoaderCases() {
  std::set<std::string> rules;
  for (const LoaderCase& c : kCases) rules.insert(c.rule);
  return rules;
}

}  // namespace slim
