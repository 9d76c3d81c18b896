// Rules of other ecosystems' dialects: each is fired by a checkpoint spoiled in one place, and the
// sound one beside it does not fire it. Layouts: facts ecosystem.md 1.3.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/bytes.h"
#include "verify/checkpoint_editor.h"

namespace slim {

std::set<std::string> RulesWithForeignCases();      // for findings_test.cc
std::set<std::string> RulesWithNearForeignCases();  // for findings_test.cc

namespace {

constexpr const char* kFloatModel = "golden/models/mini-qwen2-bfloat16";
constexpr const char* kGoldenStick = "foreign/golden-stick/mini-qwen2-a8w8-smooth";
const std::string kQ = "model.layers.0.self_attn.q_proj";  // [64, 64]

void SetQuantization(CheckpointEditor& e, const std::string& json) {
  e.SetConfig("quantization_config", ParseJson(json).value());
}

template <class T>
void Fill(CheckpointEditor& e, const std::string& tensor, T value) {
  const size_t count = e[tensor].bytes.size() / sizeof(T);
  for (size_t i = 0; i < count; ++i) e.Set<T>(tensor, i, value);
}

// One layer of the float model in each format; everything else stays float.
void MakeGptq(CheckpointEditor& e) {
  SetQuantization(e, R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": true,
                         "desc_act": false, "checkpoint_format": "gptq"})");
  e.tensors.erase(kQ + ".weight");
  e.Add(kQ + ".qweight", DType::kI32, {8, 64}, "");
  e.Add(kQ + ".qzeros", DType::kI32, {2, 8}, "");
  e.Add(kQ + ".scales", DType::kF16, {2, 64}, "");
  e.Add(kQ + ".g_idx", DType::kI32, {64}, "");
  for (uint32_t i = 0; i < 8 * 64; ++i) e.Set<uint32_t>(kQ + ".qweight", i, i * 2654435761U);
  Fill<uint32_t>(e, kQ + ".qzeros", 0x77777777U);
  Fill<uint16_t>(e, kQ + ".scales", 0x2000);
  for (int32_t i = 0; i < 64; ++i) e.Set<int32_t>(kQ + ".g_idx", static_cast<size_t>(i), i / 32);
}

void MakeAwq(CheckpointEditor& e) {
  SetQuantization(e, R"({"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm",
                         "zero_point": true})");
  e.tensors.erase(kQ + ".weight");
  e.Add(kQ + ".qweight", DType::kI32, {64, 8}, "");
  e.Add(kQ + ".qzeros", DType::kI32, {2, 8}, "");
  e.Add(kQ + ".scales", DType::kF16, {2, 64}, "");
  for (uint32_t i = 0; i < 8 * 64; ++i) e.Set<uint32_t>(kQ + ".qweight", i, i * 2654435761U);
  Fill<uint16_t>(e, kQ + ".scales", 0x2000);
}

void MakeFp8(CheckpointEditor& e) {
  SetQuantization(e, R"({"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                         "weight_block_size": [32, 32]})");
  e.Add(kQ + ".weight", DType::kF8E4M3, {64, 64}, "");
  for (size_t i = 0; i < 64 * 64; ++i)
    e.Set<uint8_t>(kQ + ".weight", i, static_cast<uint8_t>(i * 37 % 0x70));
  e.Add(kQ + ".weight_scale_inv", DType::kF32, {2, 2}, "");
  Fill<float>(e, kQ + ".weight_scale_inv", 0.5F);
}

const std::string kCtGroups =
    R"({"quant_method": "compressed-tensors", "format": "pack-quantized",
        "quantization_status": "compressed", "config_groups": {"group_0": {"targets": ["Linear"],
        "weights": {"num_bits": 4, "type": "int", "symmetric": true, "strategy": "group",
        "group_size": 32, "dynamic": false}}}})";

// [64, 60]: the last word of a row has four unused codes.
void MakePacked(CheckpointEditor& e) {
  SetQuantization(e, kCtGroups);
  e.SetConfig("model_type", "other");  // no shapes to hold it against
  e.tensors.erase(kQ + ".weight");
  e.Add(kQ + ".weight_packed", DType::kI32, {64, 8}, "");
  e.Add(kQ + ".weight_scale", DType::kBF16, {64, 2}, "");
  e.Add(kQ + ".weight_shape", DType::kI64, {2}, "");
  for (uint32_t i = 0; i < 8 * 64; ++i)
    e.Set<uint32_t>(kQ + ".weight_packed", i, i % 8 == 7 ? 0x1234U : i * 2654435761U);
  Fill<uint16_t>(e, kQ + ".weight_scale", 0x3C00);
  e.Set<int64_t>(kQ + ".weight_shape", 0, 64);
  e.Set<int64_t>(kQ + ".weight_shape", 1, 60);
}

void KeepGoldenStick(CheckpointEditor&) {}

struct Case {
  const char* rule;
  const char* base;
  void (*make)(CheckpointEditor&);
  void (*spoil)(CheckpointEditor&);
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.rule; }

const Case kCases[] = {
    {"LIN-missing-part", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) { e.tensors.erase(kQ + ".qzeros"); }},
    {"LIN-shape", kFloatModel, MakeAwq,
     [](CheckpointEditor& e) {
       e.Add(kQ + ".qzeros", DType::kI32, {2, 4}, "");
     }},
    {"LIN-dtype", kFloatModel, MakeFp8,
     [](CheckpointEditor& e) {
       e.Add(kQ + ".weight_scale_inv", DType::kI8, {2, 2}, "");
     }},
    {"LIN-shape", kFloatModel, MakeFp8,
     [](CheckpointEditor& e) {
       e.Add(kQ + ".weight_scale_inv", DType::kF32, {2, 1}, "");
     }},
    {"LIN-shape", kGoldenStick, KeepGoldenStick,
     [](CheckpointEditor& e) { e.Add(kQ + ".input_scale", DType::kF16, {1}, "W8A8"); }},
    {"LIN-group-size", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) {
       e.Add(kQ + ".scales", DType::kF16, {3, 64}, "");
     }},
    {"LIN-group-index", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) { e.Set<int32_t>(kQ + ".g_idx", 5, 7); }},
    {"LIN-unread-type", kGoldenStick, KeepGoldenStick,
     [](CheckpointEditor& e) { e[kQ + ".weight"].label = "W4A4"; }},
    {"DE-unknown-label", kGoldenStick, KeepGoldenStick,
     [](CheckpointEditor& e) { e[kQ + ".weight"].label = "W9A9"; }},
    {"DE-missing-entry", kGoldenStick, KeepGoldenStick,
     [](CheckpointEditor& e) { e[kQ + ".weight"].label = ""; }},
    {"DE-group-size", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) {
       SetQuantization(e, R"({"quant_method": "gptq", "bits": 4, "group_size": 64, "sym": true})");
     }},
    {"MODEL-shape", kFloatModel, MakeAwq,
     [](CheckpointEditor& e) { e.SetConfig("num_attention_heads", 8); }},
    {"MODEL-missing-tensor", kFloatModel, MakeFp8,
     [](CheckpointEditor& e) { e.tensors.erase("model.layers.1.self_attn.o_proj.weight"); }},
    {"CT-config", kFloatModel, MakePacked,
     [](CheckpointEditor& e) { SetQuantization(e, R"({"quant_method": "compressed-tensors"})"); }},
    {"CT-scheme", kFloatModel, MakePacked,
     [](CheckpointEditor& e) {
       std::string text = kCtGroups;
       SetQuantization(e, text.replace(text.find("\"group\","), 8, "\"token\","));
     }},
    {"GQ-config", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) {
       SetQuantization(e, R"({"quant_method": "gptq", "bits": 4, "checkpoint_format": "marlin"})");
     }},
    {"GQ-group-order", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) { e.Set<int32_t>(kQ + ".g_idx", 0, 1); }},
    {"GQ-zero-points", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) {
       SetQuantization(e, R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": true,
                              "checkpoint_format": "gptq_v2"})");
     }},
    {"FP8-config", kFloatModel, MakeFp8,
     [](CheckpointEditor& e) {
       SetQuantization(e, R"({"quant_method": "fp8", "activation_scheme": "static"})");
     }},
    {"FP8-fused-block", kFloatModel, MakeFp8,
     [](CheckpointEditor& e) {
       SetQuantization(e, R"({"quant_method": "fp8", "weight_block_size": [48, 32]})");
     }},
    {"GS-input-vector", kGoldenStick, KeepGoldenStick,
     [](CheckpointEditor& e) { e.Set<uint16_t>(kQ + ".input_scale", 3, 0x2E66); }},
    {"VAL-int4-padding", kFloatModel, MakePacked,
     [](CheckpointEditor& e) { e.Set<uint32_t>(kQ + ".weight_packed", 15, 0x81234U); }},
    {"VAL-scale-not-positive", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) { e.Set<uint16_t>(kQ + ".scales", 9, 0x8001); }},
    {"VAL-not-finite", kFloatModel, MakeFp8,
     [](CheckpointEditor& e) { e.Set<uint8_t>(kQ + ".weight", 77, 0x7F); }},
    {"VAL-deq-product", kGoldenStick, KeepGoldenStick,
     [](CheckpointEditor& e) { e.Set<float>(kQ + ".deq_scale", 4, 1.0F); }},
    {"VAL-quant-bias", kGoldenStick, KeepGoldenStick,
     [](CheckpointEditor& e) { e.Set<int32_t>(kQ + ".quant_bias", 4, 1 << 24); }},
};

// Changed where the rule looks, and still sound or another rule's business.
const Case kNearCases[] = {
    {"LIN-group-size", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) {
       e.Add(kQ + ".scales", DType::kF16, {4, 64}, "");
       e.Add(kQ + ".qzeros", DType::kI32, {4, 8}, "");
       Fill<uint16_t>(e, kQ + ".scales", 0x2000);
       Fill<uint32_t>(e, kQ + ".qzeros", 0x77777777U);
     }},
    {"LIN-group-index", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) { e.Set<int32_t>(kQ + ".g_idx", 5, 1); }},
    {"LIN-unread-type", kGoldenStick, KeepGoldenStick,
     [](CheckpointEditor& e) { e[kQ + ".weight"].label = "W8A16"; }},
    {"CT-config", kFloatModel, MakePacked,
     [](CheckpointEditor& e) {
       std::string text = kCtGroups;
       SetQuantization(e, text.insert(1, R"("version": "0.9", )"));
     }},
    {"CT-scheme", kFloatModel, MakePacked,
     [](CheckpointEditor& e) {
       std::string text = kCtGroups;
       SetQuantization(e, text.insert(text.find("\"num_bits\""), R"("observer": "minmax", )"));
     }},
    {"GQ-config", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) {
       SetQuantization(e, R"({"quant_method": "gptq", "bits": 4, "group_size": 32,
                              "checkpoint_format": "gptq_v2"})");
     }},
    {"GQ-group-order", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) {
       SetQuantization(e, R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": true,
                              "desc_act": true, "checkpoint_format": "gptq"})");
       e.Set<int32_t>(kQ + ".g_idx", 0, 1);
     }},
    {"GQ-zero-points", kFloatModel, MakeGptq,
     [](CheckpointEditor& e) {
       SetQuantization(e, R"({"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": false,
                              "checkpoint_format": "gptq_v2"})");
     }},
    {"FP8-config", kFloatModel, MakeFp8,
     [](CheckpointEditor& e) {
       SetQuantization(e, R"({"quant_method": "fp8", "activation_scheme": "dynamic",
                              "weight_block_size": [64, 32]})");
     }},
    {"FP8-fused-block", kFloatModel, MakeFp8,
     [](CheckpointEditor& e) {
       SetQuantization(e, R"({"quant_method": "fp8", "activation_scheme": "dynamic",
                              "weight_block_size": [64, 32]})");
       e.Add(kQ + ".weight_scale_inv", DType::kF32, {1, 2}, "");
       Fill<float>(e, kQ + ".weight_scale_inv", 0.5F);
     }},
    {"GS-input-vector", kGoldenStick, KeepGoldenStick,
     [](CheckpointEditor& e) { Fill<uint16_t>(e, kQ + ".input_scale", 0x2E66); }},
    {"VAL-int4-padding", kFloatModel, MakePacked,
     [](CheckpointEditor& e) { e.Set<uint32_t>(kQ + ".weight_packed", 15, 0xFFFFU); }},
};

VerifyReport Verify(CheckpointEditor& editor, const std::string& loader = "") {
  VerifyOptions options{.deep = true, .threads = 1};
  if (!loader.empty()) options.targets.push_back(ParseLoaderTarget(loader).value());
  auto report = VerifyCheckpoint(editor.Write(), options, SilentListener());
  if (!report.ok()) throw std::runtime_error(report.error().ToString());
  return std::move(*report);
}

class Foreign : public testing::TestWithParam<Case> {};

TEST_P(Foreign, SpoiledIsFoundAndTheSoundOneIsNot) {
  CheckpointEditor sound(GetParam().base);
  GetParam().make(sound);
  const VerifyReport clean = Verify(sound);
  EXPECT_EQ(Find(clean, GetParam().rule), nullptr);
  EXPECT_EQ(clean.Count(Severity::kError), 0U)
      << (clean.findings.empty() ? "" : clean.findings.front().message);

  CheckpointEditor spoiled(GetParam().base);
  GetParam().make(spoiled);
  GetParam().spoil(spoiled);
  const VerifyReport report = Verify(spoiled);
  const Finding* finding = Find(report, GetParam().rule);
  ASSERT_NE(finding, nullptr) << (report.findings.empty() ? "nothing"
                                                          : report.findings.front().rule);
  EXPECT_EQ(finding->severity, FindRule(GetParam().rule)->severity);
}

INSTANTIATE_TEST_SUITE_P(Rules, Foreign, testing::ValuesIn(kCases));

class NearForeign : public testing::TestWithParam<Case> {};

TEST_P(NearForeign, DoesNotFireItsRule) {
  CheckpointEditor editor(GetParam().base);
  GetParam().make(editor);
  GetParam().spoil(editor);
  const VerifyReport report = Verify(editor);
  const Finding* finding = Find(report, GetParam().rule);
  EXPECT_EQ(finding, nullptr) << finding->message;
}

INSTANTIATE_TEST_SUITE_P(Rules, NearForeign, testing::ValuesIn(kNearCases));

// Zero points are packed along n: those of 60 rows leave half of the last word.
TEST(Foreign, PaddingOfZeroPoints) {
  CheckpointEditor editor(kFloatModel);
  MakePacked(editor);
  editor.tensors.erase(kQ + ".bias");  // of 64 rows
  std::string groups = kCtGroups;
  SetQuantization(editor, groups.replace(groups.find("true"), 4, "false"));
  for (const auto& [leaf, row] :
       {std::pair(".weight_packed", 8 * 4), std::pair(".weight_scale", 2 * 2)}) {
    editor[kQ + leaf].shape[0] = 60;
    editor[kQ + leaf].bytes.resize(60 * static_cast<size_t>(row));
  }
  editor.Set<int64_t>(kQ + ".weight_shape", 0, 60);
  editor.Add(kQ + ".weight_zero_point", DType::kI32, {8, 2}, "");
  Fill<uint32_t>(editor, kQ + ".weight_zero_point", 0x00008888U);
  EXPECT_EQ(Find(Verify(editor), "VAL-int4-padding"), nullptr);
  editor.Set<uint32_t>(kQ + ".weight_zero_point", 15, 0x18888U);
  const VerifyReport report = Verify(editor);
  const Finding* finding = Find(report, "VAL-int4-padding");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->tensor, kQ + ".weight_zero_point");
}

// GPTQ, AWQ, golden-stick and msModelSlim pack whole words and bytes: there is nothing to pad, and
// a size that does not divide is another rule's finding.
TEST(Foreign, PackingsWithoutPadding) {
  CheckpointEditor gptq(kFloatModel);
  MakeGptq(gptq);
  gptq.Add(kQ + ".qweight", DType::kI32, {8, 60}, "");
  gptq.Add(kQ + ".scales", DType::kF16, {2, 60}, "");
  EXPECT_NE(Find(Verify(gptq), "LIN-group-size"), nullptr);
  CheckpointEditor awq(kFloatModel);
  MakeAwq(awq);
  awq.Add(kQ + ".qweight", DType::kI32, {63, 8}, "");
  EXPECT_NE(Find(Verify(awq), "LIN-group-size"), nullptr);
  CheckpointEditor stick(kGoldenStick);
  for (auto& [name, tensor] : stick.tensors) {
    if (name.starts_with(kQ + ".")) tensor.label = "W4A16";
  }
  EXPECT_NE(Find(Verify(stick), "LIN-shape"), nullptr);
}

// MindIE and vLLM-Ascend do not read these formats on NPUs.
TEST(Foreign, LoadersSayWhatTheyDo) {
  CheckpointEditor editor(kFloatModel);
  MakeAwq(editor);
  EXPECT_NE(Find(Verify(editor, "vllm-ascend"), "LD-foreign-format"), nullptr);
  EXPECT_NE(Find(Verify(editor, "mindie"), "LD-description"), nullptr);
  CheckpointEditor golden(kGoldenStick);
  EXPECT_EQ(Verify(golden, "vllm-mindspore").Count(Severity::kError), 0U);
}

// ---- msModelSlim's own

// S003's sample labels the layers of an uncompressed W8A8S checkpoint W8A8SC.
TEST(SparseLabel, IsANote) {
  CheckpointEditor editor("golden/traditional/mini-qwen2-bfloat16/a0-w8a8");
  *editor.Global("model_quant_type") = Json("W8A8S");
  for (auto& [name, tensor] : editor.tensors) {
    if (tensor.label == "W8A8") tensor.label = "W8A8SC";
  }
  const VerifyReport report = Verify(editor);
  ASSERT_NE(Find(report, "LIN-sparse-label"), nullptr);
  EXPECT_EQ(report.Count(Severity::kError), 0U) << report.findings.front().message;
  EXPECT_EQ(Find(report, "DE-model-quant-type"), nullptr);
  for (auto& [name, tensor] : editor.tensors) {
    if (tensor.label == "W8A8SC") tensor.label = "W8A8S";
  }
  EXPECT_EQ(Find(Verify(editor), "LIN-sparse-label"), nullptr);
}

// Two rows a byte, per channel: scale_bias is 8 · scale · Σ q.
void MakeW4A8(CheckpointEditor& e) {
  for (auto& [name, tensor] : e.tensors) {
    if (name.starts_with(kQ + ".") && !name.ends_with(".bias")) tensor.label = "W4A8_DYNAMIC";
  }
  EditedTensor& weight = e[kQ + ".weight"];
  weight.shape = {32, 64};
  weight.bytes.assign(32 * 64, '\x21');  // rows of ones, rows of twos
  e.Add(kQ + ".scale_bias", DType::kF32, {64, 1}, "W4A8_DYNAMIC");
  for (size_t i = 0; i < 64; ++i) {
    const auto scale = LoadLe<float>(e[kQ + ".weight_scale"].bytes.data() + 4 * i);
    const float sum = i % 2 == 0 ? 64.0F : 128.0F;
    e.Set<float>(kQ + ".scale_bias", i, 8 * sum * scale);
  }
}

TEST(ScaleBias, IsComputedFromTheCodes) {
  CheckpointEditor editor("golden/one-click/mini-qwen2-bfloat16/w8a8-dynamic");
  MakeW4A8(editor);
  EXPECT_EQ(Find(Verify(editor), "VAL-scale-bias"), nullptr);
  const auto right = LoadLe<float>(editor[kQ + ".scale_bias"].bytes.data() + 4 * 7);
  editor.Set<float>(kQ + ".scale_bias", 7, right * (1 + 1e-6F));
  EXPECT_EQ(Find(Verify(editor), "VAL-scale-bias"), nullptr);
  editor.Set<float>(kQ + ".scale_bias", 7, right * 1.02F);
  const VerifyReport report = Verify(editor);
  const Finding* finding = Find(report, "VAL-scale-bias");
  ASSERT_NE(finding, nullptr);
  EXPECT_EQ(finding->tensor, kQ + ".scale_bias");
}

}  // namespace

std::set<std::string> RulesWithNearForeignCases() {
  std::set<std::string> rules = {"VAL-scale-bias"};  // ScaleBias.IsComputedFromTheCodes
  for (const Case& c : kNearCases) rules.insert(c.rule);
  return rules;
}

std::set<std::string> RulesWithForeignCases() {
  std::set<std::string> rules = {"LIN-sparse-label", "VAL-scale-bias"};
  for (const Case& c : kCases) rules.insert(c.rule);
  return rules;
}

}  // namespace slim
