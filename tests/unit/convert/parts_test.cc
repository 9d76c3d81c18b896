// To mindie-parts and back, for every degree that divides, and what is refused on the way.
#include "convert/parts.h"

#include <gmock/gmock.h>

#include "checkpoint/sparse_codec.h"
#include "convert/deltas.h"
#include "json/edit.h"

namespace slim {
namespace {

Result<ConvertPlan> ToParts(const std::string& input, const std::string& output, uint64_t ranks,
                            bool to_fp16 = false) {
  ThreadPool pool(2);
  PartsOptions options;
  options.ranks = ranks;
  options.to_fp16 = to_fp16;
  options.allow_loss = to_fp16;
  return ConvertToParts(input, output, options, {.force = true, .fsync = false}, pool,
                        SilentListener());
}

Result<ConvertPlan> FromParts(const std::string& input, const std::string& output,
                              Dialect to = Dialect::kAscendV1V0) {
  ThreadPool pool(2);
  PartsOptions options;
  options.to = to;
  return ConvertFromParts(input, output, options, {.force = true, .fsync = false}, pool,
                          SilentListener());
}

Error MustFail(const Result<ConvertPlan>& plan, const std::string& output) {
  EXPECT_FALSE(plan.ok());
  EXPECT_EQ(KindOf(output), FileKind::kMissing);
  return plan.ok() ? Error() : plan.error();
}

// A float16 W8A8S checkpoint as S001 has it: scales and offsets in F16. 4 query heads, 2 key heads.
class Parts : public testing::Test {
 protected:
  void SetUp() override {
    Compose("w8a8s", Path("m0"));
    ASSERT_FALSE(testing::Test::HasFatalFailure());
    const auto split = ToParts(Path("m0"), Path("first"), 2, true);
    ASSERT_TRUE(split.ok()) << split.error().ToString();
    const auto joined = FromParts(Path("first"), Path("half"));
    ASSERT_TRUE(joined.ok()) << joined.error().ToString();
    std::filesystem::remove(Path("half/slim_receipt.json"));
  }
  std::string Path(const std::string& name) const { return scratch_.Path(name); }

  ScratchFolder scratch_;
};

TEST_F(Parts, ComeBackByteForByte) {
  for (const uint64_t ranks : {1U, 2U, 4U}) {
    const auto split = ToParts(Path("half"), Path("parts"), ranks);
    ASSERT_TRUE(split.ok()) << split.error().ToString();
    EXPECT_EQ(split->loss, LossClass::kExact);
    for (const Dialect through : {Dialect::kAscendV1V0, Dialect::kMindIE, Dialect::kAscendV1}) {
      const auto joined = FromParts(Path("parts"), Path("joined"), through);
      ASSERT_TRUE(joined.ok()) << joined.error().ToString();
      MustConvert(Path("joined"), Path("back"), To(Dialect::kAscendV1V0));
      EXPECT_EQ(Differences(Path("half"), Path("back")), std::vector<std::string>())
          << ranks << " ranks through " << DialectName(through);
    }
  }
}

TEST_F(Parts, TensorsAreThoseOfS003) {
  ASSERT_TRUE(ToParts(Path("half"), Path("parts"), 2).ok());
  const Checkpoint part = Checkpoint::Open(Path("parts/part1-of-2")).value();
  const std::string layer = "transformer.h.0.attn.c_attn.";
  const auto entry = [&](const std::string& suffix) { return part.Find(layer + suffix); };
  ASSERT_NE(entry("weight"), nullptr);
  // 2 query heads, 1 key and 1 value head of 16 rows; 64 columns.
  EXPECT_EQ(entry("weight")->shape.size(), 1U);
  EXPECT_LT(entry("weight")->shape[0], 64U * 64U);
  EXPECT_EQ(entry("index")->shape, Shape{8});
  EXPECT_EQ(entry("info")->dtype, DType::kI64);
  const Tensor info = part.Read(layer + "info").value();
  EXPECT_THAT(info.as<int64_t>(), testing::ElementsAre(8, 8, 64, 64, 1));
  EXPECT_EQ(entry("input_scale")->dtype, DType::kF16);
  EXPECT_EQ(entry("input_offset")->dtype, DType::kI8);
  EXPECT_EQ(entry("deq_scale")->dtype, DType::kI64);
  EXPECT_EQ(*part.description()->Label(layer + "weight"), "W8A8SC");
  EXPECT_EQ(*part.description()->Label(layer + "index"), "W8A8SC");
  EXPECT_EQ(*part.description()->Label(layer + "deq_scale"), "W8A8S");
  EXPECT_EQ(part.description()->Global("model_quant_type")->text(), "W8A8SC");
  // Added over ranks: the second one must add nothing.
  const Tensor bias = part.Read("transformer.h.0.attn.c_proj.quant_bias").value();
  EXPECT_THAT(bias.as<int32_t>(), testing::Each(0));
  const auto& metadata = part.shards().front().header.metadata;
  EXPECT_THAT(metadata, testing::Contains(testing::Pair(std::string(kSparseCodecKey),
                                                        std::string(kSparseCodecName))));
  const Json config = ParseJson(Slurp(Path("parts/config.json"))).value();
  EXPECT_EQ(config.Find("quantize")->text(), "w8a8sc");
  EXPECT_EQ(config.Find("torch_dtype")->text(), "float16");
}

TEST_F(Parts, LlamaKeepsItsNames) {
  const std::string config = Path("half/config.json");
  Spit(config, SetMember(Slurp(config), "model_type", "\"llama\"").value());
  Spit(config, SetMember(Slurp(config), "architectures", "[\"LlamaForCausalLM\"]").value());
  Spit(config, SetMember(Slurp(config), "attention_bias", "true").value());
  ASSERT_TRUE(ToParts(Path("half"), Path("parts"), 2).ok());
  const Checkpoint part = Checkpoint::Open(Path("parts/part0-of-2")).value();
  EXPECT_NE(part.Find("model.layers.0.self_attn.query_key_value.index"), nullptr);
  EXPECT_NE(part.Find("model.layers.1.mlp.gate_up_proj.info"), nullptr);
  EXPECT_NE(part.Find("model.layers.1.mlp.down_proj.weight"), nullptr);
  ASSERT_TRUE(FromParts(Path("parts"), Path("back")).ok());
  std::filesystem::remove(Path("back/slim_receipt.json"));
  EXPECT_EQ(Differences(Path("half"), Path("back")), std::vector<std::string>());
}

TEST_F(Parts, RefusalsNameTheTensor) {
  const std::string out = Path("out");
  Error error = MustFail(ToParts(Path("m0"), out, 2), out);
  EXPECT_EQ(error.rule, "CV-bf16");
  error = MustFail(ToParts(Path("half"), out, 3), out);
  EXPECT_EQ(error.rule, "CV-tp");
  EXPECT_EQ(error.tensor, "model.layers.0.self_attn.q_proj.weight");
  error = MustFail(ToParts(Golden("one-click/mini-qwen3-float16/w8a8-static"), out, 2), out);
  EXPECT_EQ(error.rule, "CV-scheme");
  EXPECT_FALSE(error.tensor.empty());
  CopyFolder(Path("half"), Path("scale"));
  Poke(Path("scale"), "model.layers.1.self_attn.k_proj.input_scale", 0, "\x11");
  error = MustFail(ToParts(Path("scale"), out, 2), out);
  EXPECT_EQ(error.rule, "CV-fused-scale");
  EXPECT_EQ(error.tensor, "model.layers.1.self_attn.k_proj.input_scale");
}

TEST_F(Parts, DamagedPartsAreRefused) {
  const std::string out = Path("out");
  ASSERT_TRUE(ToParts(Path("half"), Path("parts"), 2).ok());
  Poke(Path("parts/part1-of-2"), "transformer.h.0.attn.c_attn.index", 0, "\xff\xff\xff\xff\xff");
  Error error = MustFail(FromParts(Path("parts"), out), out);
  EXPECT_EQ(error.rule, "SC-index");
  EXPECT_EQ(error.tensor, "transformer.h.0.attn.c_attn.weight");
  ASSERT_TRUE(ToParts(Path("half"), Path("parts"), 2).ok());
  Poke(Path("parts/part1-of-2"), "transformer.ln_f.weight", 0, "\x01");
  error = MustFail(FromParts(Path("parts"), out), out);
  EXPECT_EQ(error.rule, "CV-parts");
  EXPECT_EQ(error.tensor, "transformer.ln_f.weight");
  std::filesystem::remove_all(Path("parts/part1-of-2"));
  error = MustFail(FromParts(Path("parts"), out), out);
  EXPECT_EQ(error.rule, "CV-parts");
  EXPECT_THAT(error.message, testing::HasSubstr("part1-of-2 is missing"));
}

// F16 weights with zeros, seen as int8 of twice the width.
TEST_F(Parts, SparseFloatWeights) {
  const std::string description = Path("half/quant_model_description.json");
  MustConvert(Golden("models/mini-qwen3-float16"), Path("float"), To(Dialect::kAscendV1V0));
  std::string text = Slurp(Path("float/quant_model_description.json"));
  for (const char* name : {"mlp.up_proj.weight", "mlp.gate_proj.weight"}) {
    for (size_t at = 0; (at = text.find(name, at)) != std::string::npos; at += 10)
      text.replace(text.find("FLOAT", at), 5, "W16A16S");
  }
  text.replace(text.find("\"model_quant_type\": \"FLOAT\""), 27,
               "\"model_quant_type\": \"W16A16S\"");
  Spit(Path("float/quant_model_description.json"), text);
  const Checkpoint source = Checkpoint::Open(Path("float")).value();
  for (const TensorEntry& entry : source.tensors()) {
    if (entry.name.find("up_proj") != std::string::npos ||
        entry.name.find("gate_proj") != std::string::npos)
      Poke(Path("float"), entry.name, 0, std::string(entry.size / 2, '\0'));
  }
  const auto split = ToParts(Path("float"), Path("parts"), 1);
  ASSERT_TRUE(split.ok()) << split.error().ToString();
  EXPECT_EQ(split->quant_type, "W16A16SC");
  const auto joined = FromParts(Path("parts"), Path("back"));
  ASSERT_TRUE(joined.ok()) << joined.error().ToString();
  const Checkpoint back = Checkpoint::Open(Path("back")).value();
  for (const TensorEntry& entry : source.tensors()) {
    const Tensor before = source.Read(entry).value();
    const Tensor after = back.Read(entry.name).value();
    EXPECT_TRUE(std::ranges::equal(before.data.bytes(), after.data.bytes())) << entry.name;
  }
}

}  // namespace
}  // namespace slim
