// Conversions against what msModelSlim itself wrote (testdata/golden: traditional scripts with and
// without --mindie_format, and one-click).
#include <algorithm>
#include <bit>

#include "convert/testing.h"
#include "json/json.h"

namespace slim {
namespace {

const std::string kTraditional = "traditional/mini-qwen2-bfloat16/";

class TraditionalPair : public testing::TestWithParam<std::string> {};

TEST_P(TraditionalPair, MindIEGivesWeightsIndexAndDescriptionOfAscendV1V0) {
  const ScratchFolder scratch;
  MustConvert(Golden(kTraditional + "m0-" + GetParam()), scratch.Path("out"),
              To(Dialect::kAscendV1V0));
  auto files = FilesOf(scratch.Path("out"));
  const std::string peer = Golden(kTraditional + "a0-" + GetParam());
  int compared = 0;
  for (const auto& [name, content] : FilesOf(peer)) {
    if (!name.starts_with("quant_model")) continue;
    EXPECT_TRUE(files[name] == content) << name;
    ++compared;
  }
  EXPECT_EQ(compared, GetParam() == "w8a8-parts" ? 3 : 2);
}

TEST_P(TraditionalPair, AscendV1V0GivesWeightsIndexAndDescriptionOfMindIE) {
  const ScratchFolder scratch;
  MustConvert(Golden(kTraditional + "a0-" + GetParam()), scratch.Path("out"), To(Dialect::kMindIE));
  auto files = FilesOf(scratch.Path("out"));
  for (const auto& [name, content] : FilesOf(Golden(kTraditional + "m0-" + GetParam()))) {
    const bool compared = name.starts_with("quant_model");
    EXPECT_TRUE(!compared || files[name] == content) << name;
  }
  const Json config = ParseJson(files["config.json"]).value();
  EXPECT_EQ(config.Find("quantize")->text(), GetParam().starts_with("w8a16") ? "w8a16"
                                             : GetParam() == "w8a8-dynamic"  ? "w8a8_dynamic"
                                                                             : "w8a8");
  EXPECT_EQ(config.Find("torch_dtype")->text(), "bfloat16");
}

TEST_P(TraditionalPair, RoundTripsWithoutTheReceipt) {
  for (const Dialect through : {Dialect::kAscendV1, Dialect::kAscendV1V0, Dialect::kMindIE}) {
    for (const Dialect home : {Dialect::kMindIE, Dialect::kAscendV1V0}) {
      // A numbered single part cannot come back from ascendv1, which numbers always.
      if (GetParam() == "w8a8-parts" && through == Dialect::kAscendV1) continue;
      const ScratchFolder scratch;
      const std::string source =
          Golden(kTraditional + (home == Dialect::kMindIE ? "m0-" : "a0-") + GetParam());
      MustConvert(source, scratch.Path("b"), To(through));
      MustConvert(scratch.Path("b"), scratch.Path("a"), To(home));
      EXPECT_EQ(Differences(source, scratch.Path("a")), std::vector<std::string>())
          << DialectName(home) << " through " << DialectName(through);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, TraditionalPair,
                         testing::Values("w8a8", "w8a8-dynamic", "w8a16", "w8a16-asym", "w8a8-m1",
                                         "w8a8-m2", "w8a8-m3", "w8a8-m4", "w8a8-m5", "w8a8-m6",
                                         "w8a8-act2", "w8a8-act3", "w8a8-parts"),
                         [](const testing::TestParamInfo<std::string>& type) {
                           std::string name = type.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(OneClick, RoundTripsThroughEveryDialect) {
  int checked = 0;
  for (const auto& model : std::filesystem::directory_iterator(Golden("one-click"))) {
    for (const auto& recipe : std::filesystem::directory_iterator(model)) {
      if (recipe.path().filename().string().starts_with("mindie")) continue;
      for (const Dialect through : {Dialect::kAscendV1V0, Dialect::kMindIE}) {
        const ScratchFolder scratch;
        MustConvert(recipe.path(), scratch.Path("b"), To(through));
        MustConvert(scratch.Path("b"), scratch.Path("a"), To(Dialect::kAscendV1));
        EXPECT_EQ(Differences(recipe.path(), scratch.Path("a")), std::vector<std::string>())
            << recipe.path() << " through " << DialectName(through);
        ++checked;
      }
    }
  }
  EXPECT_GE(checked, 20);
}

// The one-click writer of the mindie layout has its own order of entries and leaves config.json
// alone; what comes back is the traditional writer's order with the same weights.
TEST(OneClick, MindIEComesBackWithTheSameWeights) {
  for (const char* type : {"w8a8", "w8a8_dynamic"}) {
    const ScratchFolder scratch;
    const std::string source =
        Golden(std::string("one-click/mini-qwen3-float16/mindie-") +
               (std::string(type) == "w8a8" ? "w8a8-static" : "w8a8-dynamic"));
    MustConvert(source, scratch.Path("b"), To(Dialect::kAscendV1));
    MustConvert(scratch.Path("b"), scratch.Path("a"), To(Dialect::kMindIE));
    const std::string weights = std::string("/quant_model_weight_") + type + ".safetensors";
    EXPECT_TRUE(Slurp(source + weights) == Slurp(scratch.Path("a") + weights));
  }
}

TEST(Float, HfComesBackFromEveryDialect) {
  for (const char* model : {"mini-qwen2-bfloat16", "mini-qwen3-float16"}) {
    for (const Dialect through : {Dialect::kAscendV1, Dialect::kAscendV1V0, Dialect::kMindIE}) {
      const ScratchFolder scratch;
      const std::string source = Golden(std::string("models/") + model);
      MustConvert(source, scratch.Path("b"), To(through));
      const auto b = Checkpoint::Open(scratch.Path("b"));
      ASSERT_TRUE(b.ok());
      EXPECT_EQ(b->dialect(), through);
      EXPECT_EQ(b->description()->Global("model_quant_type")->text(), "FLOAT");
      MustConvert(scratch.Path("b"), scratch.Path("a"), To(Dialect::kHf));
      EXPECT_EQ(Differences(source, scratch.Path("a")), std::vector<std::string>()) << model;
    }
  }
}

TEST(Golden, PartsComeBackThroughMindIE) {
  const ScratchFolder scratch;
  ConvertOptions parts = To(Dialect::kAscendV1);
  parts.part_size = 100'000;
  MustConvert(Golden(kTraditional + "a0-w8a8"), scratch.Path("a"), parts);
  ASSERT_EQ(Checkpoint::Open(scratch.Path("a")).value().shards().size(), 4U);
  MustConvert(scratch.Path("a"), scratch.Path("b"), To(Dialect::kMindIE));
  EXPECT_EQ(Checkpoint::Open(scratch.Path("b")).value().shards().size(), 4U);
  MustConvert(scratch.Path("b"), scratch.Path("c"), To(Dialect::kAscendV1));
  EXPECT_EQ(Differences(scratch.Path("a"), scratch.Path("c")), std::vector<std::string>());
}

// An index of transformers is sorted by tensor: it may mention the last file first.
TEST(Golden, ShardsKeepTheNumberOfTheirName) {
  const ScratchFolder scratch;
  ConvertOptions parts = To(Dialect::kHf);
  parts.part_size = 100'000;
  MustConvert(Golden("models/mini-qwen2-bfloat16"), scratch.Path("in"), parts);
  const std::string path = scratch.Path("in/model.safetensors.index.json");
  const ShardIndex index = ParseShardIndex(Slurp(path)).value();
  ShardIndex reversed;
  reversed.total_size = index.total_size;
  for (size_t i = index.weight_map().size(); i-- > 0;)
    reversed.Add(std::string(index.weight_map()[i].tensor), index.FileOf(index.weight_map()[i]));
  ASSERT_GT(reversed.files().size(), 1U);
  ASSERT_EQ(reversed.files().front().find("-00001-of-"), std::string::npos);
  Spit(path, WriteShardIndex(reversed));
  MustConvert(scratch.Path("in"), scratch.Path("out"), To(Dialect::kAscendV1));
  const Checkpoint in = Checkpoint::Open(scratch.Path("in")).value();
  const Checkpoint out = Checkpoint::Open(scratch.Path("out")).value();
  for (const TensorEntry& entry : in.tensors()) {
    const std::string& before = in.shards()[entry.shard].name;
    const std::string& after = out.shards()[out.Find(entry.name)->shard].name;
    EXPECT_EQ(before.substr(before.find("-0000")), after.substr(after.find("-0000")));
  }
}

// The traditional writer on a CPU puts F32 tensors and I64 deq_scale under torch_dtype bfloat16
// (facts: formats.md 13.2); every value of this one fits in bf16.
TEST(Golden, DTypeRepairsTheTraditionalWriterOnACpu) {
  const ScratchFolder scratch;
  ConvertOptions options = To(Dialect::kMindIE);
  options.dtype = DType::kBF16;
  const std::string source = Golden(kTraditional + "m0-w8a8");
  const auto plan = ConvertTo(source, scratch.Path("out"), options);
  ASSERT_TRUE(plan.ok()) << plan.error().ToString();
  EXPECT_EQ(plan->loss, LossClass::kExact);
  const Checkpoint before = Checkpoint::Open(source).value();
  const Checkpoint after = Checkpoint::Open(scratch.Path("out")).value();
  const std::string name = "model.layers.0.self_attn.q_proj.deq_scale";
  const Tensor bits = before.Read(name).value();
  const Tensor values = after.Read(name).value();
  ASSERT_EQ(bits.dtype, DType::kI64);
  ASSERT_EQ(values.dtype, DType::kF32);
  for (size_t i = 0; i < values.elements(); ++i)
    EXPECT_EQ(static_cast<int64_t>(std::bit_cast<int32_t>(values.as<float>()[i])),
              bits.as<int64_t>()[i]);
  EXPECT_EQ(after.Find("model.embed_tokens.weight")->dtype, DType::kBF16);
  EXPECT_EQ(after.Find("model.layers.0.self_attn.q_proj.input_scale")->dtype, DType::kF32);
}

}  // namespace
}  // namespace slim
