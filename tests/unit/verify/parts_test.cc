// Rules of tensor-parallel parts and of the compressed streams inside of them (source document
// S003): each is fired by parts spoiled in one place, and the sound ones do not fire it.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <set>

#include "checkpoint/sparse_codec.h"
#include "verify/checkpoint_editor.h"

namespace slim {

std::set<std::string> RulesWithPartsCases();      // for findings_test.cc
std::set<std::string> RulesWithNearPartsCases();  // for findings_test.cc

namespace {

constexpr uint64_t kRows = 96;
constexpr uint64_t kColumns = 320;

// One compressed layer and a norm; the directory of the part.
class PartEditor : public CheckpointEditor {
 public:
  PartEditor() : CheckpointEditor("golden/traditional/mini-qwen2-bfloat16/a0-w8a8") {
    tensors.clear();
    files.clear();
    weight_stem = "quant_model_weight_w8a8sc";
    description_name = "quant_model_description.json";
    *Global("model_quant_type") = Json("W8A8SC");
    Add("transformer.ln_f.weight", DType::kF16, {64}, "FLOAT");
    Add(kLayer + "weight", DType::kI8, {1000}, "W8A8SC");
    Add(kLayer + "index", DType::kI8, {SparseIndexBytes(kRows, kColumns)}, "W8A8SC");
    Add(kLayer + "info", DType::kI64, {5}, "W8A8SC");
    const int64_t info[] = {8, 8, kColumns, kRows, 1};
    for (size_t i = 0; i < 5; ++i) Set<int64_t>(kLayer + "info", i, info[i]);
    Add(kLayer + "input_scale", DType::kF16, {1}, "W8A8S");
    Set<uint16_t>(kLayer + "input_scale", 0, 0x2C00);
    Add(kLayer + "input_offset", DType::kI8, {1}, "W8A8S");
    Add(kLayer + "deq_scale", DType::kI64, {kRows}, "W8A8S");
    for (size_t i = 0; i < kRows; ++i) Set<int64_t>(kLayer + "deq_scale", i, 0x38000000);
    Add(kLayer + "quant_bias", DType::kI32, {kRows}, "W8A8S");
  }
  static inline const std::string kLayer = "transformer.h.0.attn.c_attn.";
};

// The directory of all parts.
class PartsEditor : public CheckpointEditor {
 public:
  PartsEditor() : CheckpointEditor("golden/models/mini-qwen2-bfloat16") {
    SetConfig("torch_dtype", "float16");
    SetConfig("quantize", "w8a8sc");
    after = [this](const std::string& directory) {
      std::filesystem::remove(directory + "/model.safetensors");
      for (size_t i = 0; i < parts.size(); ++i)
        std::filesystem::copy(parts[i].Write(), directory + "/" + names[i]);
    };
  }
  std::array<PartEditor, 2> parts;
  std::array<std::string, 2> names = {"part0-of-2", "part1-of-2"};
};

struct PartsCase {
  const char* rule;
  void (*spoil)(PartsEditor&);
};

void PrintTo(const PartsCase& c, std::ostream* out) { *out << c.rule; }

const std::string kLayer = PartEditor::kLayer;

const PartsCase kPartsCases[] = {
    {"PART-missing", [](PartsEditor& e) { e.names[1] = "part2-of-3"; }},
    {"PART-missing",
     [](PartsEditor& e) {
       e.names = {"part0-of-3", "part1-of-3"};
     }},
    {"PART-extra", [](PartsEditor& e) { e.names[1] = "part1-of-4"; }},
    {"PART-extra", [](PartsEditor& e) { e.names[1] = "part7-of-2"; }},
    {"PART-differs", [](PartsEditor& e) { e.parts[1].tensors.erase("transformer.ln_f.weight"); }},
    {"PART-differs", [](PartsEditor& e) { e.parts[1][kLayer + "deq_scale"].label = "W8A8"; }},
    {"PART-dtype", [](PartsEditor& e) { e.SetConfig("torch_dtype", "bfloat16"); }},
    {"SIDE-sparse-special-tokens",
     [](PartsEditor& e) { e.files.erase("special_tokens_map.json"); }},
    {"LIN-missing-part", [](PartsEditor& e) { e.parts[0].tensors.erase(kLayer + "index"); }},
    {"LIN-shape",
     [](PartsEditor& e) {
       e.parts[1].Add(kLayer + "index", DType::kI8, {SparseIndexBytes(kRows, kColumns) + 8},
                      "W8A8SC");
     }},
    {"LIN-shape",
     [](PartsEditor& e) {
       e.parts[1].Add(kLayer + "weight", DType::kI8, {kRows * kColumns}, "W8A8SC");
     }},
    {"LIN-shape", [](PartsEditor& e) { e.parts[0].Set<int64_t>(kLayer + "info", 3, kRows + 1); }},
    {"DE-missing-entry", [](PartsEditor& e) { e.parts[1][kLayer + "info"].label = ""; }},
    {"VAL-deq-bits", [](PartsEditor& e) { e.parts[1].Set<int64_t>(kLayer + "deq_scale", 3, -1); }},
};

VerifyReport VerifyParts(PartsEditor& editor) {
  auto report = VerifyCheckpoint(editor.Write(), {.deep = true, .threads = 1}, SilentListener());
  if (!report.ok()) throw std::runtime_error(report.error().ToString());
  return std::move(*report);
}

const PartsCase kNearPartsCases[] = {
    {"PART-missing",
     [](PartsEditor& e) {
       e.names = {"part1-of-2", "part0-of-2"};
     }},
    {"PART-extra", [](PartsEditor& e) { e.files["part2-of-4.txt"] = "?"; }},
    {"PART-differs",
     [](PartsEditor& e) { e.parts[1].Set<uint16_t>("transformer.ln_f.weight", 0, 0x3C00); }},
    {"PART-dtype",
     [](PartsEditor& e) {
       e.SetConfig("torch_dtype", Json());
       e.SetConfig("dtype", "float16");
     }},
};

class Parts : public testing::TestWithParam<PartsCase> {};

TEST_P(Parts, SpoiledIsFoundAndTheSoundOneIsNot) {
  PartsEditor sound;
  const VerifyReport clean = VerifyParts(sound);
  EXPECT_EQ(Find(clean, GetParam().rule), nullptr);
  EXPECT_EQ(clean.Count(Severity::kError), 0U)
      << (clean.findings.empty() ? "" : clean.findings.front().message);
  EXPECT_EQ(clean.DialectName(), "mindie-parts");
  EXPECT_EQ(clean.tensors, 16U);

  PartsEditor spoiled;
  GetParam().spoil(spoiled);
  EXPECT_NE(Find(VerifyParts(spoiled), GetParam().rule), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Rules, Parts, testing::ValuesIn(kPartsCases));

class NearParts : public testing::TestWithParam<PartsCase> {};

TEST_P(NearParts, DoesNotFireItsRule) {
  PartsEditor editor;
  GetParam().spoil(editor);
  const VerifyReport report = VerifyParts(editor);
  const Finding* finding = Find(report, GetParam().rule);
  EXPECT_EQ(finding, nullptr) << finding->message;
}

INSTANTIATE_TEST_SUITE_P(Rules, NearParts, testing::ValuesIn(kNearPartsCases));

// ---- streams

// Sparse codes, as slim-convert compresses them.
void MakeStream(PartEditor& part, int8_t largest) {
  std::vector<std::byte> codes(kRows * kColumns);
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto noise = static_cast<uint32_t>(i * 2654435761U) >> 20;
    if (noise % 3 == 0) codes[i] = static_cast<std::byte>(static_cast<int>(noise % 9) - 4);
  }
  codes[7] = static_cast<std::byte>(largest);
  const auto made = CompressMatrix(codes, kRows, kColumns);
  ASSERT_TRUE(made.ok()) << made.error().ToString();
  const auto set = [&](const std::string& leaf, const Tensor& tensor) {
    part.Add(kLayer + leaf, tensor.dtype, tensor.shape, "W8A8SC");
    std::memcpy(part[kLayer + leaf].bytes.data(), tensor.data.data(), tensor.data.size());
  };
  set("weight", made->weight);
  set("index", made->index);
  set("info", made->info);
  part.metadata = {{std::string(kSparseCodecKey), std::string(kSparseCodecName)}};
}

// What no reader of CANN's format could say: the codes themselves are looked at.
TEST(Streams, AreUnpackedAndTheirCodesJudged) {
  PartsEditor sound;
  for (PartEditor& part : sound.parts) MakeStream(part, 127);
  const VerifyReport clean = VerifyParts(sound);
  for (const char* rule : {"VAL-stream", "VAL-closed-stream", "VAL-minus-128", "VAL-zero-row"})
    EXPECT_EQ(Find(clean, rule), nullptr) << rule;
  PartsEditor edge;
  for (PartEditor& part : edge.parts) MakeStream(part, -128);
  EXPECT_NE(Find(VerifyParts(edge), "VAL-minus-128"), nullptr);
}

TEST(Streams, ADamagedOneIsNamed) {
  for (size_t at : {0U, 40U, 300U, 2000U}) {
    PartsEditor spoiled;
    for (PartEditor& part : spoiled.parts) MakeStream(part, 127);
    std::string& stream = spoiled.parts[1][kLayer + "weight"].bytes;
    stream[at % stream.size()] ^= 4;
    const VerifyReport report = VerifyParts(spoiled);
    const Finding* finding = Find(report, "VAL-stream");
    ASSERT_NE(finding, nullptr) << at;
    EXPECT_EQ(finding->tensor, kLayer + "weight");
    EXPECT_NE(finding->path.find("part1-of-2"), std::string::npos);
  }
  PartsEditor other;
  for (PartEditor& part : other.parts) MakeStream(part, 127);
  std::swap(other.parts[0][kLayer + "index"].bytes[0], other.parts[0][kLayer + "index"].bytes[8]);
  EXPECT_NE(Find(VerifyParts(other), "VAL-stream"), nullptr);
}

// CANN's stream is closed, and said to be unread.
TEST(Streams, AClosedOneIsANote) {
  PartsEditor editor;
  const VerifyReport report = VerifyParts(editor);
  ASSERT_NE(Find(report, "VAL-closed-stream"), nullptr);
  EXPECT_EQ(Find(report, "VAL-stream"), nullptr);
}

VerifyReport JudgeParts(const std::string& loader, uint32_t tp, Chip chip) {
  PartsEditor editor;
  VerifyOptions options;
  options.targets.push_back(ParseLoaderTarget(loader).value());
  options.targets.back().tp = tp;
  options.targets.back().chip = chip;
  return VerifyCheckpoint(editor.Write(), options, SilentListener()).value();
}

TEST(Parts, LoadAtTheirOwnDegreeOnThe300IOnly) {
  for (const char* loader : {"mindie", "mindie-atb"}) {
    EXPECT_EQ(JudgeParts(loader, 2, Chip::k300I).Count(Severity::kError), 0U) << loader;
    EXPECT_NE(Find(JudgeParts(loader, 4, Chip::k300I), "LD-parallel"), nullptr);
    EXPECT_NE(Find(JudgeParts(loader, 2, Chip::kA2), "LD-chip"), nullptr);
  }
  EXPECT_NE(Find(JudgeParts("vllm-ascend", 2, Chip::k300I), "LD-foreign-format"), nullptr);
}

}  // namespace

std::set<std::string> RulesWithPartsCases() {
  std::set<std::string> rules = {"VAL-stream", "VAL-closed-stream"};
  for (const PartsCase& c : kPartsCases) rules.insert(c.rule);
  return rules;
}

std::set<std::string> RulesWithNearPartsCases() {
  // Streams have both sides of these.
  std::set<std::string> rules = {"VAL-stream", "VAL-closed-stream"};
  for (const PartsCase& c : kNearPartsCases) rules.insert(c.rule);
  return rules;
}

}  // namespace slim
