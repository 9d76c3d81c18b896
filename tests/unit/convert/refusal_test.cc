// What a conversion refuses, and that it leaves nothing behind.
#include <gmock/gmock.h>

#include "convert/testing.h"
#include "json/edit.h"

namespace slim {
namespace {

const std::string kM0 = "traditional/mini-qwen2-bfloat16/m0-w8a8";

Error MustFail(const std::string& input, const std::string& output, const ConvertOptions& options) {
  const auto plan = ConvertTo(input, output, options);
  EXPECT_FALSE(plan.ok());
  EXPECT_EQ(KindOf(output), FileKind::kMissing);
  return plan.ok() ? Error() : plan.error();
}

TEST(Refusal, NormCopyThatDiffersIsNamed) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kM0 + "-m1"), scratch.Path("in"));
  Poke(scratch.Path("in"), "model.layers.1.input_layernorm.module.weight", 4, "\x01");
  for (const Dialect to : {Dialect::kAscendV1, Dialect::kAscendV1V0}) {
    const Error error = MustFail(scratch.Path("in"), scratch.Path("out"), To(to));
    EXPECT_EQ(error.rule, "NORM-copy-differs");
    EXPECT_EQ(error.tensor, "model.layers.1.input_layernorm.module.weight");
    EXPECT_EQ(error.code, ErrorCode::kInput);
    EXPECT_FALSE(error.hint.empty());
  }
}

TEST(Refusal, QuantizedLayersDoNotGoToHf) {
  const ScratchFolder scratch;
  const Error error = MustFail(Golden(kM0), scratch.Path("out"), To(Dialect::kHf));
  EXPECT_EQ(error.rule, "CV-float-dialect");
  EXPECT_THAT(error.message, testing::HasSubstr("W8A8"));
}

TEST(Refusal, UnknownTypeNamesTheTensor) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kM0), scratch.Path("in"));
  const std::string path = scratch.Path("in/quant_model_description_w8a8.json");
  std::string text = Slurp(path);
  const std::string entry = R"("model.layers.1.mlp.up_proj.weight": "W8A8")";
  text.replace(text.find(entry), entry.size(), R"("model.layers.1.mlp.up_proj.weight": "W8A8SC")");
  Spit(path, text);
  const Error error = MustFail(scratch.Path("in"), scratch.Path("out"), To(Dialect::kAscendV1));
  EXPECT_EQ(error.rule, "CV-scheme");
  EXPECT_EQ(error.tensor, "model.layers.1.mlp.up_proj.weight");
}

TEST(Refusal, TypeThatWouldBecomeAPath) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kM0), scratch.Path("in"));
  const std::string path = scratch.Path("in/quant_model_description_w8a8.json");
  std::string text = Slurp(path);
  const std::string entry = R"("model_quant_type": "W8A8")";
  text.replace(text.find(entry), entry.size(), R"("model_quant_type": "../../x")");
  Spit(path, text);
  EXPECT_EQ(MustFail(scratch.Path("in"), scratch.Path("out"), To(Dialect::kAscendV1V0)).rule,
            "CV-scheme");
}

TEST(Refusal, LossNeedsAPermission) {
  const ScratchFolder scratch;
  ConvertOptions options = To(Dialect::kMindIE);
  options.dtype = DType::kBF16;
  const std::string source = Golden(kM0 + "-m4");  // smoothed: values no longer fit in bf16
  const Error error = MustFail(source, scratch.Path("out"), options);
  EXPECT_EQ(error.rule, "CV-loss");
  EXPECT_FALSE(error.tensor.empty());
  options.allow_loss = true;
  const auto plan = ConvertTo(source, scratch.Path("out"), options);
  ASSERT_TRUE(plan.ok()) << plan.error().ToString();
  EXPECT_EQ(plan->loss, LossClass::kNear);
  ASSERT_NE(plan->WorstTensor(), nullptr);
  // Half a unit in the last of bf16's 8 significant bits: at most 2^-8 of the value.
  EXPECT_LE(plan->WorstTensor()->worst_relative_error, 0x1p-8);
  EXPECT_GT(plan->WorstTensor()->worst_relative_error, 0);
}

TEST(Refusal, OverflowInFp16IsNamedEvenWhereLossIsAllowed) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kM0), scratch.Path("in"));
  // 1e6 as float32.
  Poke(scratch.Path("in"), "model.norm.weight", 8, std::string("\x00\x24\x74\x49", 4));
  ConvertOptions options = To(Dialect::kMindIE);
  options.dtype = DType::kF16;
  options.allow_loss = true;
  const Error error = MustFail(scratch.Path("in"), scratch.Path("out"), options);
  EXPECT_EQ(error.rule, "CV-overflow");
  EXPECT_EQ(error.tensor, "model.norm.weight");
}

TEST(Refusal, DeqScaleThatIsNoFloatBits) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kM0), scratch.Path("in"));
  Poke(scratch.Path("in"), "model.layers.0.mlp.up_proj.deq_scale", 4, "\x01");
  ConvertOptions options = To(Dialect::kMindIE);
  options.dtype = DType::kBF16;
  const Error error = MustFail(scratch.Path("in"), scratch.Path("out"), options);
  EXPECT_EQ(error.rule, "CV-deq-bits");
  EXPECT_EQ(error.tensor, "model.layers.0.mlp.up_proj.deq_scale");
}

TEST(Refusal, OutputThatIsOrHoldsTheInput) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kM0), scratch.Path("in"));
  for (const std::string& output : {scratch.Path("in"), scratch.Path("in/out")}) {
    const auto plan = ConvertTo(scratch.Path("in"), output, To(Dialect::kAscendV1));
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(plan.error().code, ErrorCode::kUsage);
  }
  EXPECT_EQ(Differences(Golden(kM0), scratch.Path("in")), std::vector<std::string>());
}

TEST(Refusal, MissingPartsOfTheInput) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kM0), scratch.Path("in"));
  std::filesystem::remove(scratch.Path("in/config.json"));
  const Error error = MustFail(scratch.Path("in"), scratch.Path("out"), To(Dialect::kAscendV1));
  EXPECT_EQ(error.rule, "IN-missing");
  EXPECT_THAT(error.path, testing::EndsWith("config.json"));
}

TEST(Refusal, EntryWithoutTensorAndTensorWithoutEntry) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kM0), scratch.Path("in"));
  const std::string path = scratch.Path("in/quant_model_description_w8a8.json");
  const std::string text = Slurp(path);
  const std::string entry = R"("model.norm.weight": "FLOAT",)";
  std::string without = text;
  without.erase(without.find(entry), entry.size());
  Spit(path, without);
  Error error = MustFail(scratch.Path("in"), scratch.Path("out"), To(Dialect::kAscendV1));
  EXPECT_EQ(error.rule, "CK-missing-label");
  EXPECT_EQ(error.tensor, "model.norm.weight");
  std::string with = text;
  with.insert(with.find(entry), R"("model.norm.bias": "FLOAT",)");
  Spit(path, with);
  error = MustFail(scratch.Path("in"), scratch.Path("out"), To(Dialect::kAscendV1));
  EXPECT_EQ(error.rule, "CK-missing-tensor");
  EXPECT_EQ(error.tensor, "model.norm.bias");
}

// vLLM would take this block for the quant description: verification of the output stops it.
TEST(Refusal, WhatVerificationFindsIsTheSourcesFault) {
  const ScratchFolder scratch;
  CopyFolder(Golden("one-click/mini-qwen2-bfloat16/w8a16"), scratch.Path("in"));
  Spit(scratch.Path("in/config.json"),
       SetMember(Slurp(scratch.Path("in/config.json")), "quantization_config",
                 R"({"quant_method": "fp8"})")
           .value());
  const Error error = MustFail(scratch.Path("in"), scratch.Path("out"), To(Dialect::kAscendV1V0));
  EXPECT_EQ(error.rule, "CF-leftover-quantization-config");
  EXPECT_EQ(error.code, ErrorCode::kInput);
  EXPECT_EQ(error.path, scratch.Path("in"));
}

TEST(Refusal, MemoryBelowTheLargestTensor) {
  const ScratchFolder scratch;
  ConvertOptions options = To(Dialect::kAscendV1);
  options.max_memory = 1 << 20;
  EXPECT_EQ(MustFail(Golden(kM0), scratch.Path("out"), options).code, ErrorCode::kUsage);
  options.max_memory = 100 << 20;
  EXPECT_TRUE(ConvertTo(Golden(kM0), scratch.Path("out"), options).ok());
}

// Changes a file of the input once the first tensors were converted.
class Meddler : public Listener {
 public:
  explicit Meddler(std::string path) : path_(std::move(path)) {}
  void Progress(std::string_view, uint64_t, uint64_t) override {
    std::ofstream(path_, std::ios::app) << " ";
  }

 private:
  std::string path_;
};

TEST(Refusal, InputThatChangesWhileItIsRead) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kM0), scratch.Path("in"));
  Meddler meddler(scratch.Path("in/quant_model_weight_w8a8.safetensors"));
  ThreadPool pool(2);
  const auto plan = Convert(scratch.Path("in"), scratch.Path("out"), To(Dialect::kAscendV1),
                            {.force = false, .fsync = false}, pool, meddler);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kSystem);
  EXPECT_EQ(KindOf(scratch.Path("out")), FileKind::kMissing);
  EXPECT_EQ(KindOf(scratch.Path(".out.slim-partial")), FileKind::kMissing);
}

// A mindie checkpoint whose weights are packed already, or are no int4 at all.
TEST(Refusal, CodesThatAreNoInt4AreNamed) {
  const ScratchFolder scratch;
  CopyFolder(Golden("traditional/mini-qwen2-bfloat16/m0-w8a16"), scratch.Path("in"));
  const std::string path = scratch.Path("in/quant_model_description_w8a16.json");
  std::string text = Slurp(path);
  for (size_t at = 0; (at = text.find("\"W8A16\"", at)) != std::string::npos;)
    text.replace(at, 7, "\"W4A16\"");
  Spit(path, text);
  const Error error = MustFail(scratch.Path("in"), scratch.Path("out"), To(Dialect::kAscendV1));
  EXPECT_EQ(error.rule, "CV-int4");
  EXPECT_THAT(error.tensor, testing::HasSubstr("self_attn"));
}

// mindie labels W8A8_MIX as W8A8: a W8A8 layer with the same tensors would come back as MIX.
TEST(Refusal, MixBesideStaticLayersOfTheSameTensors) {
  const ScratchFolder scratch;
  CopyFolder(Golden("traditional/mini-qwen2-bfloat16/a0-w8a8"), scratch.Path("in"));
  const std::string path = scratch.Path("in/quant_model_description.json");
  std::string text = Slurp(path);
  for (size_t at = 0; (at = text.find("self_attn", at)) != std::string::npos; ++at) {
    const size_t label = text.find("\"W8A8\"", at);
    if (label != std::string::npos && label < text.find(',', at))
      text.replace(label, 6, "\"W8A8_MIX\"");
  }
  Spit(path, text);
  const Error error = MustFail(scratch.Path("in"), scratch.Path("out"), To(Dialect::kMindIE));
  EXPECT_EQ(error.rule, "CV-mix");
  EXPECT_THAT(error.tensor, testing::HasSubstr("mlp"));
}

// Loaders round F32 scales to the model's dtype.
TEST(Refusal, ScalesThatUnderflowInFp16WhenLoaded) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kM0), scratch.Path("in"));
  const std::string name = "model.layers.1.self_attn.o_proj.input_scale";
  // 1e-9 as float32.
  Poke(scratch.Path("in"), name, 0, std::string("\x5f\x70\x89\x30", 4));
  ConvertOptions options = To(Dialect::kMindIE);
  options.dtype = DType::kF16;
  options.allow_loss = true;
  const Error error = MustFail(scratch.Path("in"), scratch.Path("out"), options);
  EXPECT_EQ(error.rule, "CV-underflow");
  EXPECT_EQ(error.tensor, name);
}

}  // namespace
}  // namespace slim
