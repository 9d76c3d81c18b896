// GGUF against its layout spelled out here from the facts (ecosystem.md 1.3 G).
#include <algorithm>
#include <cstring>
#include <random>

#include "checkpoint/dialects/gguf_names.h"
#include "checkpoint/dialects/rotary_factors.h"
#include "checkpoint/gguf_header.h"
#include "convert/testing.h"
#include "dtype/scalar_convert.h"

namespace slim {
namespace {

std::string Model(const std::string& name) {
  return std::string(SLIM_TESTDATA) + "/models/" + name;
}

TEST(Gguf, FloatModelsComeBackByteForByte) {
  for (const std::string name : {"tiny-llama", "tiny-qwen2", "tiny-qwen3"}) {
    const ScratchFolder scratch;
    MustConvert(Model(name), scratch.Path("gguf"), To(Dialect::kGguf));
    MustConvert(scratch.Path("gguf"), scratch.Path("back"), To(Dialect::kHf));
    EXPECT_EQ(Differences(Model(name), scratch.Path("back")), std::vector<std::string>()) << name;
    // From the file alone: the weights and the tokenizer that it carries.
    MustConvert(scratch.Path("gguf") + "/model.gguf", scratch.Path("alone"), To(Dialect::kHf));
    for (const std::string file : {"model.safetensors", "tokenizer.json"})
      EXPECT_EQ(Slurp(Model(name) + "/" + file), Slurp(scratch.Path("alone") + "/" + file)) << name;
  }
}

TEST(Gguf, RotaryScalingOfLlama3IsATensor) {
  const ScratchFolder scratch;
  CopyFolder(Model("tiny-llama"), scratch.Path("in"));
  std::string config = Slurp(scratch.Path("in") + "/config.json");
  const std::string from = "\"rope_scaling\": null";
  config.replace(
      config.find(from), from.size(),
      "\"rope_scaling\": " + DumpJson(Llama3Scaling{.original_max_position = 256}.ToJson()));
  Spit(scratch.Path("in") + "/config.json", config);
  MustConvert(scratch.Path("in"), scratch.Path("gguf"), To(Dialect::kGguf));
  const auto header = ReadGgufHeader(*File::Open(scratch.Path("gguf") + "/model.gguf"));
  const auto factors = std::ranges::find(header->tensors, kRotaryFactors, &GgufTensor::name);
  ASSERT_NE(factors, header->tensors.end());
  EXPECT_EQ(factors->shape, Shape{16});
  MustConvert(scratch.Path("gguf") + "/model.gguf", scratch.Path("alone"), To(Dialect::kHf));
  EXPECT_EQ(Slurp(scratch.Path("in") + "/model.safetensors"),
            Slurp(scratch.Path("alone") + "/model.safetensors"));
  const auto alone = Checkpoint::Open(scratch.Path("alone"));
  const auto scaling = Llama3Scaling::Of(*alone->config()->Find("rope_scaling"));
  ASSERT_TRUE(scaling);
  EXPECT_EQ(scaling->factor, 8);
  EXPECT_EQ(scaling->original_max_position, 256);
}

TEST(Gguf, QueriesAndKeysOfLlamaAreInterleaved) {
  Tensor rows(DType::kF32, {8, 1});
  for (int i = 0; i < 8; ++i) rows.as<float>()[static_cast<size_t>(i)] = static_cast<float>(i);
  const Tensor mixed = ReorderRotaryRows(rows, 2, RotaryOrder::kInterleaved);
  const float wanted[] = {0, 2, 1, 3, 4, 6, 5, 7};  // heads of four: halves (0 1)(2 3)
  for (size_t i = 0; i < 8; ++i) EXPECT_EQ(mixed.as<float>()[i], wanted[i]);
  const Tensor back = ReorderRotaryRows(mixed, 2, RotaryOrder::kHalves);
  EXPECT_TRUE(std::ranges::equal(back.data.bytes(), rows.data.bytes()));
}

TEST(Gguf, NamesGoBothWays) {
  EXPECT_EQ(HfNameOfGguf("blk.12.ffn_down.weight"), "model.layers.12.mlp.down_proj.weight");
  EXPECT_EQ(GgufNameOfHf("model.layers.0.self_attn.k_norm.weight"), "blk.0.attn_k_norm.weight");
  EXPECT_EQ(HfNameOfGguf("output.weight"), "lm_head.weight");
  for (const char* name :
       {"blk.weight", "blk..attn_q.weight", "blk.1.attn_q", "blk.x.attn_q.weight",
        "blk.1.attn_q.scale", "", "token_embd", "blk.1234567.attn_q.weight"})
    EXPECT_EQ(HfNameOfGguf(name), "") << name;
}

// A tiny-llama in which one matrix is Q8_0, made by hand.
struct Quantized {
  std::vector<uint16_t> scales;  // a block
  std::vector<int8_t> codes;
  uint64_t n = 128;
  uint64_t k = 384;
};

Quantized QuantizeDown(const std::string& folder, bool one_scale_a_row) {
  Quantized quantized;
  std::mt19937 random(5);
  for (uint64_t block = 0; block < quantized.n * quantized.k / 32; ++block) {
    const uint64_t step = one_scale_a_row ? block / (quantized.k / 32) : block;
    quantized.scales.push_back(FloatToF16(0.001F * static_cast<float>(1 + step % 7)));
    for (int i = 0; i < 32; ++i)
      quantized.codes.push_back(static_cast<int8_t>(static_cast<int>(random() % 255) - 127));
  }
  const auto file = File::Open(folder + "/model.gguf");
  const auto header = ReadGgufHeader(*file);
  std::string bytes = Slurp(folder + "/model.gguf");
  std::vector<TensorSpec> specs;
  for (const GgufTensor& tensor : header->tensors) {
    const bool down = tensor.name == "blk.0.ffn_down.weight";
    specs.push_back({tensor.name, down ? DType::kU8 : *tensor.type->dtype,
                     down ? StoredQ8_0Shape(tensor.shape) : tensor.shape});
  }
  const auto layout = LayOutGguf(specs, header->metadata);
  std::string out = layout->header;
  out.resize(layout->file_size);
  for (size_t i = 0; i < specs.size(); ++i) {
    const GgufTensor& tensor = header->tensors[i];
    if (specs[i].dtype != DType::kU8) {
      out.replace(layout->offsets[i], tensor.size,
                  bytes.substr(header->data_start + tensor.offset, tensor.size));
      continue;
    }
    for (size_t block = 0; block < quantized.scales.size(); ++block) {
      std::memcpy(out.data() + layout->offsets[i] + block * 34, &quantized.scales[block], 2);
      std::memcpy(out.data() + layout->offsets[i] + block * 34 + 2, &quantized.codes[block * 32],
                  32);
    }
  }
  Spit(folder + "/model.gguf", out);
  return quantized;
}

TEST(Gguf, Q8_0IsCodesTimesScales) {
  for (const bool one : {true, false}) {
    const ScratchFolder scratch;
    MustConvert(Model("tiny-llama"), scratch.Path("gguf"), To(Dialect::kGguf));
    const Quantized quantized = QuantizeDown(scratch.Path("gguf"), one);
    const auto refused = ConvertTo(scratch.Path("gguf"), scratch.Path("hf"), To(Dialect::kHf));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().rule, "CV-float-dialect");
    ConvertOptions floats = To(Dialect::kHf);
    floats.dequantize = true;
    floats.dtype = DType::kF32;
    MustConvert(scratch.Path("gguf"), scratch.Path("hf"), floats);
    const auto hf = Checkpoint::Open(scratch.Path("hf"));
    const auto weight = hf->Read("model.layers.0.mlp.down_proj.weight");
    ASSERT_TRUE(weight.ok());
    for (size_t i = 0; i < quantized.codes.size(); ++i) {
      ASSERT_EQ(weight->as<float>()[i],
                static_cast<float>(quantized.codes[i]) * F16ToFloat(quantized.scales[i / 32]));
    }
    MustConvert(scratch.Path("gguf"), scratch.Path("a1"), To(Dialect::kAscendV1));
    const auto a1 = Checkpoint::Open(scratch.Path("a1"));
    const auto record = a1->ReadLinear("model.layers.0.mlp.down_proj");
    ASSERT_TRUE(record.ok());
    EXPECT_EQ(record->scheme, Scheme::kW8A16);
    EXPECT_TRUE(std::ranges::equal((*record)[Role::kWeight].as<int8_t>(), quantized.codes));
    EXPECT_EQ((*record)[Role::kWeightScale].shape, (Shape{128, one ? 1U : 12U}));
    if (!one) continue;
    // Scales that are F16 already lose nothing on the way back.
    MustConvert(scratch.Path("a1"), scratch.Path("again"), To(Dialect::kGguf));
    EXPECT_EQ(Slurp(scratch.Path("again") + "/model.gguf"),
              Slurp(scratch.Path("gguf") + "/model.gguf"));
  }
}

TEST(Gguf, WhatItCannotHoldIsRefusedByName) {
  const ScratchFolder scratch;
  CopyFolder(Model("tiny-llama"), scratch.Path("in"));
  std::string config = Slurp(scratch.Path("in") + "/config.json");
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = config;
    text.replace(text.find(from), from.size(), to);
    Spit(scratch.Path("in") + "/config.json", text);
    const auto plan = ConvertTo(scratch.Path("in"), scratch.Path("out"), To(Dialect::kGguf));
    return plan.ok() ? "" : plan.error().ToString();
  };
  EXPECT_NE(with("\"model_type\": \"llama\"", "\"model_type\": \"gemma\"").find("GG-metadata"),
            std::string::npos);
  EXPECT_NE(
      with("\"rope_scaling\": null", R"("rope_scaling": {"rope_type": "llama3", "factor": 8})")
          .find("llama3"),
      std::string::npos);
  EXPECT_NE(with("\"num_attention_heads\": 4", "\"num_attention_heads\": 3").find("attn"),
            std::string::npos);
}

}  // namespace
}  // namespace slim
