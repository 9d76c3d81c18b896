#include "model/model_config.h"

#include <gtest/gtest.h>

#include "model/modules.h"
#include "os/file.h"

namespace slim {
namespace {

ModelConfig Load(const std::string& model) {
  const auto text = ReadWholeFile(std::string(SLIM_TESTDATA) + "/models/" + model + "/config.json");
  return ParseModelConfig(ParseJson(text.value()).value()).value();
}

std::string RuleOf(std::string_view json) {
  const auto config = ParseModelConfig(ParseJson(json).value());
  return config.ok() ? "" : config.error().rule;
}

TEST(ModelConfig, ReadsBothGenerations) {
  const ModelConfig llama = Load("tiny-llama");
  EXPECT_EQ(llama.architecture, Architecture::kLlama);
  EXPECT_EQ(llama.dtype, DType::kF16);
  EXPECT_EQ(llama.head_dim, 32U);
  EXPECT_FALSE(llama.qkv_bias);
  EXPECT_EQ(llama.eos_token_ids, std::vector<int64_t>{2});
  const ModelConfig qwen2 = Load("tiny-qwen2");
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_FALSE(qwen2.o_bias);
  EXPECT_EQ(qwen2.rope.theta, 1000000.0);
  const ModelConfig qwen3 = Load("tiny-qwen3");  // written by transformers 5
  EXPECT_TRUE(qwen3.qk_norm);
  EXPECT_TRUE(qwen3.tie_word_embeddings);
  EXPECT_EQ(qwen3.dtype, DType::kF16);
}

constexpr std::string_view kBase =
    R"("model_type":"llama","hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":100)";

std::string With(std::string_view more) {
  return "{" + std::string(kBase) + "," + std::string(more) + "}";
}

TEST(ModelConfig, RopeScalingOfEveryKind) {
  const auto parse = [](std::string_view more) {
    return ParseModelConfig(ParseJson(With(more)).value()).value().rope;
  };
  EXPECT_EQ(parse(R"("rope_scaling":{"type":"linear","factor":2.0})").kind, RopeKind::kLinear);
  EXPECT_EQ(parse(R"("rope_scaling":{"rope_type":"dynamic","factor":4})").factor, 4.0);
  EXPECT_EQ(parse(R"("rope_scaling":{"rope_type":"yarn","factor":4,"beta_fast":16})").beta_fast,
            16.0);
  const RopeConfig llama3 = parse(
      R"("rope_parameters":{"rope_type":"llama3","rope_theta":500000.0,"factor":8.0,"low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192})");
  EXPECT_EQ(llama3.kind, RopeKind::kLlama3);
  EXPECT_EQ(llama3.theta, 500000.0);
  EXPECT_EQ(llama3.original_max_position, 8192U);
}

TEST(ModelConfig, RefusesByName) {
  EXPECT_EQ(RuleOf("{}"), "CF-missing-key");
  EXPECT_EQ(RuleOf(R"({"model_type":"mamba"})"), "CF-unknown-architecture");
  EXPECT_EQ(RuleOf(R"({"model_type":"llama"})"), "CF-missing-key");
  EXPECT_EQ(RuleOf(With(R"("num_key_value_heads":3)")), "CF-bad-value");
  EXPECT_EQ(RuleOf(With(R"("head_dim":15)")), "CF-bad-value");
  EXPECT_EQ(RuleOf(With(R"("num_key_value_heads":-1)")), "CF-bad-value");
  EXPECT_EQ(RuleOf(With(R"("rms_norm_eps":"x")")), "CF-bad-value");
  EXPECT_EQ(RuleOf(With(R"("torch_dtype":"int8")")), "CF-bad-value");
  EXPECT_EQ(RuleOf(With(R"("hidden_act":"gelu")")), "CF-unsupported");
  EXPECT_EQ(RuleOf(With(R"("rope_scaling":{"rope_type":"longrope","factor":2})")),
            "CF-unsupported");
  EXPECT_EQ(RuleOf(With(R"("rope_scaling":{"rope_type":"linear"})")), "CF-missing-key");
}

// Defaults: MistralConfig and Qwen2Config of transformers 5.
TEST(ModelConfig, SlidingWindows) {
  const auto parse = [](std::string text) {
    return ParseModelConfig(ParseJson(text).value()).value();
  };
  std::string mistral = With(R"("rms_norm_eps":1e-5)");
  mistral.replace(mistral.find("llama"), 5, "mistral");
  EXPECT_EQ(parse(mistral).sliding_window, 4096U);
  std::string open = With(R"("sliding_window":null)");
  open.replace(open.find("llama"), 5, "mistral");
  EXPECT_FALSE(parse(open).sliding_window);
  const auto qwen = [&](std::string_view more) {
    std::string text = With(more);
    return text.replace(text.find("llama"), 5, "qwen2");
  };
  EXPECT_FALSE(parse(qwen(R"("sliding_window":32)")).sliding_window);
  EXPECT_EQ(parse(qwen(R"("sliding_window":32,"use_sliding_window":true)")).first_window_layer,
            28U);
  const ModelConfig typed = parse(qwen(
      R"("sliding_window":32,"use_sliding_window":true,"layer_types":["full_attention","sliding_attention"])"));
  EXPECT_EQ(typed.first_window_layer, 1U);
  EXPECT_EQ(
      RuleOf(qwen(
          R"("sliding_window":32,"use_sliding_window":true,"layer_types":["sliding_attention","full_attention"])")),
      "CF-unsupported");
}

TEST(GenerationConfig, TakesANumberOrAList) {
  const auto parse = [](std::string_view text) {
    return ParseGenerationConfig(ParseJson(text).value());
  };
  EXPECT_EQ(parse(R"({"eos_token_id":2})")->eos_token_ids, std::vector<int64_t>{2});
  EXPECT_EQ(parse(R"({"eos_token_id":[1,2],"temperature":0.7})")->eos_token_ids.size(), 2U);
  EXPECT_FALSE(parse(R"({"eos_token_id":"x"})").ok());
}

TEST(Modules, MatchTheCheckpointOrder) {
  const ModelConfig config = Load("tiny-qwen3");
  const std::vector<Module> modules = BlockModules(config, 0);
  EXPECT_EQ(modules[4].name, "model.layers.0.self_attn.q_norm");
  EXPECT_EQ(modules.back().name, "model.layers.0.post_attention_layernorm");
  EXPECT_EQ(AllModules(config).back().name, "lm_head");
  EXPECT_EQ(SharedInputs(config, 1)[2].norm, "model.layers.1.post_attention_layernorm");
}

}  // namespace
}  // namespace slim
