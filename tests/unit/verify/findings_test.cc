// Each rule about a directory: a sound checkpoint spoiled in one place fires it, the sound one does
// not. Rules about bytes of files are in container_test.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/bytes.h"
#include "checkpoint/checkpoint.h"
#include "verify/checkpoint_editor.h"
#include "verify/scenes.h"

namespace slim {

std::set<std::string> RulesWithContainerCases();  // container_test.cc
std::set<std::string> RulesWithManifestCases();   // manifest_test.cc
std::set<std::string> RulesWithLoaderCases();     // loader_test.cc
std::set<std::string> RulesWithForeignCases();    // foreign_test.cc
std::set<std::string> RulesWithPartsCases();      // parts_test.cc
std::set<std::string> RulesWithFileCases();       // other_files_test.cc

std::set<std::string> RulesWithNearCases();  // near_test.cc
std::set<std::string> RulesWithNearContainerCases();
std::set<std::string> RulesWithNearManifestCases();
std::set<std::string> RulesWithNearLoaderCases();
std::set<std::string> RulesWithNearForeignCases();
std::set<std::string> RulesWithNearPartsCases();
std::set<std::string> RulesWithNearFileCases();

namespace {

VerifyReport Verify(CheckpointEditor& editor, VerifyOptions options = {.deep = true}) {
  options.threads = 2;
  auto report = VerifyCheckpoint(editor.Write(), options, SilentListener());
  if (!report.ok()) throw std::runtime_error(report.error().ToString());
  return std::move(*report);
}

struct Case {
  const char* rule;
  const char* base;
  void (*spoil)(CheckpointEditor&);
};

void PrintTo(const Case& spoiled, std::ostream* out) { *out << spoiled.rule; }

// ---- files, index
const Case kFileCases[] = {
    {"IN-missing", kFloat,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::create_symlink("nowhere", d + "/extra.safetensors");
         std::filesystem::remove(d + "/model.safetensors");
       };
     }},
    {"IN-not-a-file", kFloat,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::remove(d + "/model.safetensors");
         std::filesystem::create_symlink("/dev/null", d + "/model.safetensors");
       };
     }},
    {"IN-too-large", kFloat,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::resize_file(d + "/config.json", (64ULL << 20) + 1);
       };
     }},
    {"PATH-not-a-plain-name", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         ReplaceInFile(d + kIndexName, "quant_model_weights-0", "../quant_model_weights-0");
       };
     }},
    {"IX-no-weight-map", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) { std::ofstream(d + kIndexName) << "{}"; };
     }},
    {"IX-duplicate-key", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         ReplaceInFile(d + kIndexName, "\"lm_head.weight\"", "\"model.norm.weight\"");
       };
     }},
    {"IX-missing-shard", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::remove(d + "/quant_model_weights-00001-of-00001.safetensors");
       };
     }},
    {"IX-missing-tensor", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         ReplaceInFile(d + kIndexName, "\"lm_head.weight\"", "\"other.weight\"");
       };
     }},
    {"IX-unlisted-tensor", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         ReplaceInFile(d + kIndexName, "\"lm_head.weight\"", "\"other.weight\"");
       };
     }},
    {"IX-wrong-shard", kStatic,
     [](CheckpointEditor& e) {
       e.shard_count = 2;
       e["lm_head.weight"].shard = 1;
       e.after = [](const std::string& d) {
         ReplaceInFile(d + kIndexName, "\"lm_head.weight\": \"quant_model_weights-00002",
                       "\"lm_head.weight\": \"quant_model_weights-00001");
         ReplaceInFile(d + kIndexName, "\"model.norm.weight\": \"quant_model_weights-00001",
                       "\"model.norm.weight\": \"quant_model_weights-00002");
       };
     }},
    {"IX-total-size", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         ReplaceInFile(d + kIndexName, "\"total_size\": ", "\"total_size\": 1");
       };
     }},
    {"IX-leftover", kStatic,
     [](CheckpointEditor& e) {
       e.files["model.safetensors.index.json"] =
           R"({"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}})";
     }},
    {"IX-no-index", kStatic,
     [](CheckpointEditor& e) {
       e.shard_count = 2;
       e["lm_head.weight"].shard = 1;
       e.with_index = false;
     }},
    {"CK-duplicate-tensor", kFloat,
     [](CheckpointEditor& e) {
       e.weight_stem = "weights";
       e.after = [](const std::string& d) {
         std::filesystem::copy_file(d + "/weights.safetensors", d + "/again.safetensors");
       };
     }},
    {"CK-shard-numbers", kStatic,
     [](CheckpointEditor& e) {
       e.shard_count = 2;
       e["lm_head.weight"].shard = 1;
       e.with_index = false;
       e.after = [](const std::string& d) {
         std::filesystem::remove(d + "/quant_model_weights-00002-of-00002.safetensors");
       };
     }},
    {"CK-stray-weights", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::copy_file(d + "/quant_model_weights-00001-of-00001.safetensors",
                                    d + "/model.safetensors");
       };
     }},
    {"CK-empty", kFloat, [](CheckpointEditor& e) { e.tensors.clear(); }},
    {"SIDE-no-tokenizer", kStatic, [](CheckpointEditor& e) { e.files.erase("tokenizer.json"); }},
    {"SIDE-no-special-tokens-map", kStatic,
     [](CheckpointEditor& e) { e.files.erase("special_tokens_map.json"); }},
    {"SIDE-unknown-file", kStatic, [](CheckpointEditor& e) { e.files["notes.xyz"] = "?"; }},
};

// ---- description and config.json
const Case kMetadataCases[] = {
    {"DE-duplicate-key", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         ReplaceInFile(d + "/quant_model_description.json", "\"lm_head.weight\"",
                       "\"model.norm.weight\"");
       };
     }},
    {"DE-missing", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) {
         std::filesystem::remove(d + "/quant_model_description.json");
       };
     }},
    {"DE-several", kStatic,
     [](CheckpointEditor& e) { e.files["quant_model_description_w8a8.json"] = "{}"; }},
    {"DE-file-name", kMindIE,
     [](CheckpointEditor& e) { e.description_name = "quant_model_description_w8a16.json"; }},
    {"DE-missing-entry", kStatic, [](CheckpointEditor& e) { e["lm_head.weight"].label = ""; }},
    {"DE-missing-tensor", kStatic,
     [](CheckpointEditor& e) {
       e.tensors.erase(kQ + ".bias");
       e.after = [](const std::string& d) {
         ReplaceInFile(d + "/quant_model_description.json", "\"lm_head.weight\"",
                       "\"gone.weight\": \"FLOAT\", \"lm_head.weight\"");
       };
     }},
    {"DE-unknown-label", kStatic, [](CheckpointEditor& e) { e[kQ + ".weight"].label = "w8a8"; }},
    {"DE-foreign-label", kStatic, [](CheckpointEditor& e) { e[kQ + ".weight"].label = "W8A8S"; }},
    {"DE-mixed-labels", kStatic,
     [](CheckpointEditor& e) { e[kQ + ".deq_scale"].label = "W8A8_DYNAMIC"; }},
    {"DE-version", kStatic, [](CheckpointEditor& e) { *e.Global("version") = Json(1); }},
    {"DE-model-quant-type", kStatic,
     [](CheckpointEditor& e) { *e.Global("model_quant_type") = Json("W8A16"); }},
    {"DE-mix-label", kMindIE,
     [](CheckpointEditor& e) {
       e.SetConfig("quantization_config", Json::Object().Set("pdmix", true));
     }},
    {"DE-group-size", kStatic, [](CheckpointEditor& e) { *e.Global("group_size") = Json(-1); }},
    {"DE-kv-cache", kStatic,
     [](CheckpointEditor& e) { e.globals.emplace_back("kv_cache_type", Json("C8")); }},
    {"CF-missing", kStatic, [](CheckpointEditor& e) { e.files.erase("config.json"); }},
    {"CF-not-an-object", kStatic, [](CheckpointEditor& e) { e.files["config.json"] = "[]"; }},
    {"CF-missing-key", kStatic,
     [](CheckpointEditor& e) {
       Json config = ParseJson(e.files["config.json"]).value();
       config.Remove("hidden_size");
       e.files["config.json"] = DumpJson(config);
     }},
    {"CF-bad-value", kStatic, [](CheckpointEditor& e) { e.SetConfig("torch_dtype", "int8"); }},
    {"CF-unknown-architecture", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("model_type", "mamba"); }},
    {"CF-unsupported", kStatic, [](CheckpointEditor& e) { e.SetConfig("hidden_act", "relu"); }},
    {"CF-no-dtype", kStatic, [](CheckpointEditor& e) { e.SetConfig("torch_dtype", Json()); }},
    {"CF-float-dtype", kStatic,
     [](CheckpointEditor& e) { e["model.norm.weight"].dtype = DType::kF16; }},
    {"CF-quantize-missing", kMindIE, [](CheckpointEditor& e) { e.SetConfig("quantize", Json()); }},
    {"CF-quantize-case", kMindIE, [](CheckpointEditor& e) { e.SetConfig("quantize", "W8A8"); }},
    {"CF-quantize-contradicts", kMindIE,
     [](CheckpointEditor& e) { e.SetConfig("quantize", "w8a16"); }},
    {"CF-leftover-quantization-config", kStatic,
     [](CheckpointEditor& e) {
       Json block = Json::Object();
       block.Set("quant_method", "fp8");
       e.SetConfig("quantization_config", block);
     }},
    {"MODEL-layer-count", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("num_hidden_layers", 3); }},
    {"MODEL-extra-layer", kStatic,
     [](CheckpointEditor& e) { e.SetConfig("num_hidden_layers", 1); }},
    {"MODEL-missing-tensor", kStatic,
     [](CheckpointEditor& e) { e.tensors.erase("model.norm.weight"); }},
    {"MODEL-shape", kStatic, [](CheckpointEditor& e) { e.SetConfig("vocab_size", 321); }},
    {"MODEL-tied-head", kDynamic,
     [](CheckpointEditor& e) {
       e.SetConfig("tie_word_embeddings", true);
       e["lm_head.weight"].label = "W8A8_DYNAMIC";
     }},
    {"MODEL-tied-values", kDynamic,
     [](CheckpointEditor& e) { e.SetConfig("tie_word_embeddings", true); }},
};

// ---- layers
const Case kLayerCases[] = {
    {"LIN-missing-part", kStatic, [](CheckpointEditor& e) { e.tensors.erase(kQ + ".deq_scale"); }},
    {"LIN-extra-part", kDynamic,
     [](CheckpointEditor& e) { e.Add(kQ + ".deq_scale", DType::kF32, {64}, "W8A8_DYNAMIC"); }},
    {"LIN-unknown-part", kDynamic,
     [](CheckpointEditor& e) { e.Add(kQ + ".mystery", DType::kF32, {64}, "W8A8_DYNAMIC"); }},
    {"LIN-shape", kStatic,
     [](CheckpointEditor& e) {
       e[kQ + ".deq_scale"].shape = {64, 1};
     }},
    {"LIN-dtype", kStatic, [](CheckpointEditor& e) { e[kQ + ".quant_bias"].dtype = DType::kF32; }},
    {"LIN-float-codes", kStatic,
     [](CheckpointEditor& e) {
       e.Add("lm_head.weight", DType::kI8, {320, 64}, "FLOAT");
     }},
    {"LIN-scale-dtype", kStatic,
     [](CheckpointEditor& e) { e.Add(kQ + ".input_scale", DType::kBF16, {1}, "W8A8"); }},
    {"LIN-bias-dtype", kStatic, [](CheckpointEditor& e) { e[kQ + ".bias"].dtype = DType::kF16; }},
    {"LIN-deq-flavour", kStatic,
     [](CheckpointEditor& e) { e.Add(kQ + ".deq_scale", DType::kI64, {64}, "W8A8"); }},
    {"LIN-deq-mixed", kStatic,
     [](CheckpointEditor& e) { e.Add(kQ + ".deq_scale", DType::kI64, {64}, "W8A8"); }},
    {"FUSE-mixed-types", kStatic,
     [](CheckpointEditor& e) {
       e.Add(kK + ".weight", DType::kBF16, {32, 64}, "FLOAT");
     }},
    {"FUSE-input-scale", kStatic,
     [](CheckpointEditor& e) { e.Set<float>(kK + ".input_scale", 0, 0.5F); }},
    {"NORM-copy-orphan", kNormCopies,
     [](CheckpointEditor& e) { e.tensors.erase("model.norm.bias"); }},
    {"NORM-copy-orphan", kNormCopies,
     [](CheckpointEditor& e) { e.Add("model.norm.module.bias", DType::kBF16, {64}, "W8A8"); }},
    {"NORM-copy-foreign", kStatic,
     [](CheckpointEditor& e) { e.Add("model.norm.module.weight", DType::kBF16, {64}, "W8A8"); }},
    {"NORM-copy-differs", kNormCopies,
     [](CheckpointEditor& e) { e.Set<float>("model.norm.module.weight", 3, 9.0F); }},
};

// ---- values

// A page of lm_head.weight becomes what stands `from` pages after it, or zeros.
void SpoilPage(const std::string& directory, std::optional<int> from) {
  constexpr uint64_t kPage = 4096;
  ChangePage(directory, [&](std::string& file, uint64_t at) {
    std::string page(kPage, '\0');
    if (from) page = file.substr(at + static_cast<uint64_t>(*from) * kPage, kPage);
    file.replace(at, kPage, page);
    // Chance must not continue the zeros.
    file[at - 1] |= 1;
    file[at + kPage] |= 1;
  });
}

const Case kValueCases[] = {
    {"VAL-zero-page", kStatic,
     [](CheckpointEditor& e) {
       e.after = [](const std::string& d) { SpoilPage(d, std::nullopt); };
     }},
    {"VAL-repeated-block", kStatic,
     [](CheckpointEditor& e) {
       // Rows of 128 bytes divide a page: one of 120 bytes does not.
       e.Add("lm_head.weight", DType::kBF16, {340, 60}, "FLOAT");
       for (size_t i = 0; i < 340 * 60; ++i)
         e.Set<uint16_t>("lm_head.weight", i, static_cast<uint16_t>(0x3C00 + i * 7919 % 0x300));
       e.after = [](const std::string& d) { SpoilPage(d, 3); };
     }},
    {"VAL-zero-tensor", kDynamic,
     [](CheckpointEditor& e) {
       std::fill(e[kUp + ".weight"].bytes.begin(), e[kUp + ".weight"].bytes.end(), '\0');
     }},
    {"VAL-code-histogram", kDynamic,
     [](CheckpointEditor& e) {
       for (char& code : e[kUp + ".weight"].bytes) code = static_cast<char>(code & 0xF0);
     }},

    {"VAL-not-finite", kStatic,
     [](CheckpointEditor& e) { e.Set<uint16_t>("model.norm.weight", 5, 0x7FC0); }},
    {"VAL-scale-not-positive", kDynamic,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".weight_scale", 2, 0.0F); }},
    {"VAL-scale-denormal", kDynamic,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".weight_scale", 2, 1e-39F); }},
    {"VAL-offset-not-integral", kStatic,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".input_offset", 0, 1.5F); }},
    {"VAL-offset-range", kStatic,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".input_offset", 0, 128.0F); }},
    {"VAL-weight-offset", kDynamic,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".weight_offset", 7, 1.0F); }},
    {"VAL-deq-bits", kFp16,
     [](CheckpointEditor& e) {
       e.Set<int64_t>(kQ + ".deq_scale", 0, 0x100000000LL | 0x38000000LL);
     }},
    {"VAL-deq-product", kMindIE,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".weight_scale", 4, 1.0F); }},
    {"VAL-quant-bias", kStatic,
     [](CheckpointEditor& e) { e.Set<int32_t>(kUp + ".quant_bias", 9, 1 << 20); }},
    {"VAL-int4-range", kMindIE,
     [](CheckpointEditor& e) {
       for (auto& [name, tensor] : e.tensors) {
         if (tensor.label == "W8A8" && name.starts_with(kUp)) tensor.label = "W4A16";
       }
     }},
    {"VAL-minus-128", kMindIE,
     [](CheckpointEditor& e) { e.Set<int8_t>(kUp + ".weight", 100, -128); }},
    {"VAL-saturated", kDynamic,
     [](CheckpointEditor& e) {
       std::string& codes = e[kUp + ".weight"].bytes;
       std::fill_n(codes.begin(), codes.size() / 10 + 1, '\x7F');
     }},
    {"VAL-zero-row", kDynamic,
     [](CheckpointEditor& e) { std::fill_n(e[kUp + ".weight"].bytes.begin() + 64, 64, '\0'); }},
    {"VAL-constant-row", kDynamic,
     [](CheckpointEditor& e) { std::fill_n(e[kUp + ".weight"].bytes.begin() + 64, 64, '\x05'); }},
    {"VAL-bf16-provenance", kDynamic,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".weight_scale", 0, 0.0123456F); }},
};

class Spoiled : public testing::TestWithParam<Case> {};

TEST_P(Spoiled, FiresItsRuleAndTheSoundOneDoesNot) {
  CheckpointEditor sound(GetParam().base);
  EXPECT_EQ(Find(Verify(sound), GetParam().rule), nullptr);

  CheckpointEditor spoiled(GetParam().base);
  GetParam().spoil(spoiled);
  const VerifyReport report = Verify(spoiled);
  const Finding* finding = Find(report, GetParam().rule);
  ASSERT_NE(finding, nullptr);
  const Rule* rule = FindRule(GetParam().rule);
  ASSERT_NE(rule, nullptr);
  EXPECT_EQ(finding->severity, rule->severity);
  EXPECT_EQ(finding->why, rule->why);
  EXPECT_FALSE(finding->message.empty());
  EXPECT_FALSE(finding->path.empty());
  EXPECT_EQ(report.ok(), report.Count(Severity::kError) == 0);
  // --rules keeps this rule and no other.
  const VerifyReport only = Verify(spoiled, {.deep = true, .rules = {GetParam().rule}});
  for (const Finding& kept : only.findings) EXPECT_TRUE(kept.rule.starts_with(GetParam().rule));
  EXPECT_NE(Find(only, GetParam().rule), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Files, Spoiled, testing::ValuesIn(kFileCases));
INSTANTIATE_TEST_SUITE_P(Metadata, Spoiled, testing::ValuesIn(kMetadataCases));
INSTANTIATE_TEST_SUITE_P(Layers, Spoiled, testing::ValuesIn(kLayerCases));
INSTANTIATE_TEST_SUITE_P(Values, Spoiled, testing::ValuesIn(kValueCases));

TEST(Coverage, EveryRuleHasACase) {
  std::set<std::string> tested = RulesWithContainerCases();
  tested.merge(RulesWithManifestCases());
  tested.merge(RulesWithLoaderCases());
  tested.merge(RulesWithForeignCases());
  tested.merge(RulesWithPartsCases());
  tested.merge(RulesWithFileCases());
  tested.insert("SIDE-no-configuration");  // below
  for (const Case& c : kFileCases) tested.insert(c.rule);
  for (const Case& c : kMetadataCases) tested.insert(c.rule);
  for (const Case& c : kLayerCases) tested.insert(c.rule);
  for (const Case& c : kValueCases) tested.insert(c.rule);
  for (const Rule& rule : AllRules()) EXPECT_TRUE(tested.contains(std::string(rule.id))) << rule.id;
}

TEST(Coverage, EveryRuleHasANearMiss) {
  std::set<std::string> tested = RulesWithNearCases();
  tested.merge(RulesWithNearContainerCases());
  tested.merge(RulesWithNearManifestCases());
  tested.merge(RulesWithNearLoaderCases());
  tested.merge(RulesWithNearForeignCases());
  tested.merge(RulesWithNearPartsCases());
  tested.merge(RulesWithNearFileCases());
  for (const Rule& rule : AllRules()) EXPECT_TRUE(tested.contains(std::string(rule.id))) << rule.id;
}

// msModelSlim does not copy it, so no golden has it.
TEST(SideFiles, ConfigurationIsMissedInMindieOnly) {
  CheckpointEditor editor(kMindIE);
  EXPECT_NE(Find(Verify(editor), "SIDE-no-configuration"), nullptr);
  editor.files["configuration.json"] = R"({"framework": "pytorch"})";
  EXPECT_EQ(Find(Verify(editor), "SIDE-no-configuration"), nullptr);
  CheckpointEditor other(kStatic);
  EXPECT_EQ(Find(Verify(other), "SIDE-no-configuration"), nullptr);
}

// Values are read with --deep only, but the inputs of fused layers always.
TEST(Depth, HeadersOnlySeesNoValues) {
  CheckpointEditor editor(kStatic);
  editor.Set<uint16_t>("model.norm.weight", 5, 0x7FC0);
  EXPECT_TRUE(Verify(editor, {.deep = false}).findings.empty());
  editor.Set<float>(kK + ".input_offset", 0, 3.0F);
  EXPECT_NE(Find(Verify(editor, {.deep = false}), "FUSE-input-scale"), nullptr);
}

TEST(Message, NamesElementAndCount) {
  CheckpointEditor editor(kDynamic);
  editor.Set<float>(kQ + ".weight_scale", 2, -1.0F);
  editor.Set<float>(kQ + ".weight_scale", 9, 0.0F);
  const VerifyReport report = Verify(editor);
  const Finding* finding = Find(report, "VAL-scale-not-positive");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->tensor, kQ + ".weight_scale");
  EXPECT_EQ(finding->message, "2 of 64 values are not above 0, the first is -1 at element [2, 0]");
}

// formats.md 12: quant_bias may be off by one and by the rounding of the bias term, not by more.
TEST(QuantBias, OneIsWithinToleranceThreeIsNot) {
  CheckpointEditor editor(kStatic);  // up_proj has no bias: exact in msModelSlim's output
  const auto stored = LoadLe<int32_t>(editor[kUp + ".quant_bias"].bytes.data());
  editor.Set<int32_t>(kUp + ".quant_bias", 0, stored + 1);
  EXPECT_EQ(Find(Verify(editor), "VAL-quant-bias"), nullptr);
  editor.Set<int32_t>(kUp + ".quant_bias", 0, stored + 3);
  EXPECT_NE(Find(Verify(editor), "VAL-quant-bias"), nullptr);
}

// torch.allclose: relative 1e-5.
TEST(FusedInputs, TinyDifferencesAreEqual) {
  CheckpointEditor editor(kStatic);
  const auto scale = LoadLe<float>(editor[kQ + ".input_scale"].bytes.data());
  editor.Set<float>(kK + ".input_scale", 0, scale * (1 + 4e-6F));
  EXPECT_EQ(Find(Verify(editor, {}), "FUSE-input-scale"), nullptr);
  editor.Set<float>(kK + ".input_scale", 0, scale * (1 + 4e-5F));
  EXPECT_NE(Find(Verify(editor, {}), "FUSE-input-scale"), nullptr);
}

TEST(Options, StrictAndUnknownWords) {
  CheckpointEditor editor(kMindIE);  // twelve warnings, no error
  const std::string path = editor.Write();
  EXPECT_TRUE(VerifyCheckpoint(path, {}, SilentListener())->ok());
  EXPECT_FALSE(VerifyCheckpoint(path, {.strict = true}, SilentListener())->ok());
  const auto nothing = VerifyCheckpoint(path + "/none", {}, SilentListener());
  ASSERT_FALSE(nothing.ok());
  EXPECT_EQ(nothing.error().code, ErrorCode::kInput);
}

// What an unreadable shard holds is not reported as missing tensor by tensor.
TEST(Incomplete, AMissingShardIsOneFinding) {
  CheckpointEditor editor(kStatic);
  editor.shard_count = 2;
  for (auto& [name, tensor] : editor.tensors) tensor.shard = name < "model.layers.1" ? 0 : 1;
  editor.after = [](const std::string& d) {
    std::filesystem::remove(d + "/quant_model_weights-00002-of-00002.safetensors");
  };
  const VerifyReport report = Verify(editor);
  ASSERT_EQ(report.Count(Severity::kError), 1U);
  EXPECT_NE(Find(report, "IX-missing-shard"), nullptr);
}

// The findings and their order do not depend on threads.
TEST(Threads, SameReport) {
  CheckpointEditor editor(kDynamic);
  for (auto& [name, tensor] : editor.tensors) {
    if (name.ends_with("weight_scale")) editor.Set<float>(name, 0, -1.0F);
  }
  const std::string path = editor.Write();
  const auto one = VerifyCheckpoint(path, {.deep = true, .threads = 1}, SilentListener());
  const auto many = VerifyCheckpoint(path, {.deep = true, .threads = 8}, SilentListener());
  ASSERT_EQ(one->findings.size(), many->findings.size());
  for (size_t i = 0; i < one->findings.size(); ++i) {
    EXPECT_EQ(one->findings[i].tensor, many->findings[i].tensor);
    EXPECT_EQ(one->findings[i].message, many->findings[i].message);
  }
}

}  // namespace
}  // namespace slim
