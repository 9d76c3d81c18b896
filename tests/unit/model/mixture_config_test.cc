#include "model/mixture_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/modules.h"
#include "model/read_config.h"

namespace slim {
namespace {

using testing::HasSubstr;

constexpr std::string_view kQwen3Moe =
    R"({"model_type":"qwen3_moe","hidden_size":64,"intermediate_size":128,"num_hidden_layers":4,
        "num_attention_heads":4,"head_dim":16,"vocab_size":100,"num_experts":8,
        "num_experts_per_tok":2,"moe_intermediate_size":32,"norm_topk_prob":true})";
constexpr std::string_view kDeepseekV3 =
    R"({"model_type":"deepseek_v3","hidden_size":64,"intermediate_size":128,"num_hidden_layers":4,
        "num_attention_heads":4,"num_key_value_heads":4,"vocab_size":100,"q_lora_rank":48,
        "kv_lora_rank":32,"qk_nope_head_dim":16,"qk_rope_head_dim":8,"v_head_dim":24,
        "n_routed_experts":8,"n_shared_experts":2,"num_experts_per_tok":2,
        "moe_intermediate_size":32,"first_k_dense_replace":1,"n_group":4,"topk_group":2,
        "scoring_func":"sigmoid","topk_method":"noaux_tc","norm_topk_prob":true,
        "routed_scaling_factor":2.5,"num_nextn_predict_layers":1})";

Json With(std::string_view base, std::string_view key, std::string_view value) {
  Json json = ParseJson(base).value();
  json.Set(key, ParseJson(value).value());
  return json;
}

std::string MessageOf(const Json& json) {
  const auto config = ParseModelConfig(json);
  if (config.ok()) return "";
  return config.error().rule + ": " + config.error().message;
}

TEST(MixtureConfig, Qwen3Moe) {
  const ModelConfig config = ParseModelConfig(With(kQwen3Moe, "decoder_sparse_step", "2")).value();
  EXPECT_TRUE(config.moe->normalize);
  EXPECT_FALSE(config.IsMoeLayer(0));
  EXPECT_TRUE(config.IsMoeLayer(1));
  const ModelConfig only = ParseModelConfig(With(kQwen3Moe, "mlp_only_layers", "[3,0]")).value();
  EXPECT_FALSE(only.IsMoeLayer(0));
  EXPECT_TRUE(only.IsMoeLayer(1));
  EXPECT_FALSE(only.IsMoeLayer(3));
}

TEST(MixtureConfig, DeepseekV3) {
  const ModelConfig config = ParseModelConfig(ParseJson(kDeepseekV3).value()).value();
  EXPECT_EQ(config.head_dim, 24U);
  EXPECT_EQ(config.ValueDim(), 24U);
  EXPECT_EQ(config.RopeDim(), 8U);
  EXPECT_EQ(config.moe->shared_width, 64U);
  EXPECT_EQ(config.moe->ranking, GroupRanking::kBestTwo);
  EXPECT_EQ(config.mtp_layers, 1U);
  EXPECT_FALSE(config.IsMoeLayer(0));
  EXPECT_TRUE(config.IsMoeLayer(1));
}

TEST(MixtureConfig, RefusesByName) {
  const auto qwen = [](std::string_view key, std::string_view value) {
    return MessageOf(With(kQwen3Moe, key, value));
  };
  EXPECT_THAT(qwen("num_experts", "5000"), HasSubstr("'num_experts' is 5000"));
  EXPECT_THAT(qwen("num_experts", "-1"), HasSubstr("'num_experts' is '-1'"));
  EXPECT_THAT(qwen("num_experts", "null"), HasSubstr("CF-missing-key"));
  EXPECT_THAT(qwen("num_experts_per_tok", "9"), HasSubstr("'num_experts_per_tok' is 9"));
  EXPECT_THAT(qwen("num_experts_per_tok", "0"), HasSubstr("'num_experts_per_tok'"));
  EXPECT_THAT(qwen("mlp_only_layers", "[4]"), HasSubstr("'mlp_only_layers'"));
  EXPECT_THAT(qwen("mlp_only_layers", "3"), HasSubstr("'mlp_only_layers'"));
  EXPECT_THAT(qwen("decoder_sparse_step", "0"), HasSubstr("'decoder_sparse_step'"));
  EXPECT_THAT(qwen("num_hidden_layers", "1000000"), HasSubstr("'num_hidden_layers'"));
  const auto deepseek = [](std::string_view key, std::string_view value) {
    return MessageOf(With(kDeepseekV3, key, value));
  };
  EXPECT_THAT(deepseek("n_group", "3"), HasSubstr("'n_group' is 3"));
  EXPECT_THAT(deepseek("n_group", "8"), HasSubstr("two best"));
  EXPECT_THAT(deepseek("n_group", "0"), HasSubstr("'n_group'"));
  EXPECT_THAT(deepseek("topk_group", "5"), HasSubstr("'topk_group' is 5"));
  EXPECT_THAT(deepseek("num_experts_per_tok", "5"), HasSubstr("leaves 4 of 8 experts"));
  EXPECT_THAT(deepseek("scoring_func", "\"tanh\""), HasSubstr("CF-unsupported"));
  EXPECT_THAT(deepseek("topk_method", "3"), HasSubstr("'topk_method'"));
  EXPECT_THAT(deepseek("kv_lora_rank", "null"), HasSubstr("kv_lora_rank"));
  EXPECT_THAT(deepseek("qk_rope_head_dim", "7"), HasSubstr("qk_rope_head_dim 7 is odd"));
}

TEST(Modules, LatentAttentionAndExperts) {
  const ModelConfig config = ParseModelConfig(ParseJson(kDeepseekV3).value()).value();
  std::vector<std::string> names;
  for (const Module& module : BlockModules(config, 1)) names.push_back(module.TensorName());
  EXPECT_EQ(names[0], "model.layers.1.self_attn.q_a_proj.weight");
  EXPECT_EQ(names[3], "model.layers.1.self_attn.kv_a_proj_with_mqa.weight");
  EXPECT_EQ(names[8], "model.layers.1.mlp.gate.e_score_correction_bias");
  EXPECT_EQ(names[9], "model.layers.1.mlp.experts.0.gate_proj.weight");
  EXPECT_EQ(names.size(), 7U + 2U + 9U * 3U + 2U);
  const std::vector<SharedInput> inputs = SharedInputs(config, 1);
  EXPECT_EQ(inputs[1].norm, "model.layers.1.self_attn.q_a_layernorm");
  EXPECT_EQ(inputs[4].linears.front(), "model.layers.1.mlp.gate");
  EXPECT_EQ(inputs[4].linears.size(), 1U + 9U * 2U);
}

TEST(Modules, PartsOfAModel) {
  ModelConfig config = ParseModelConfig(ParseJson(kDeepseekV3).value()).value();
  EXPECT_EQ(PartOf(config, "model.layers.3.mlp.gate.weight"), ModelPart::kDecoder);
  EXPECT_EQ(PartOf(config, "model.layers.4.eh_proj.weight"), ModelPart::kMtp);
  EXPECT_EQ(PartOf(config, "model.layers.5.eh_proj.weight"), ModelPart::kOther);
  EXPECT_EQ(PartOf(config, "visual.blocks.0.norm1.weight"), ModelPart::kOther);
  config.text_tower = true;
  EXPECT_EQ(PartOf(config, "visual.blocks.0.norm1.weight"), ModelPart::kVision);
}

TEST(ReadConfig, TextTowersByEitherName) {
  auto checkpoint = Checkpoint::Open(SLIM_TESTDATA "/mixtures/qwen2.5-vl");
  ASSERT_TRUE(checkpoint.ok());
  const ModelConfig config = ReadModelConfig(*checkpoint).value();
  EXPECT_EQ(config.prefix, "model");
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_EQ(config.hidden_size, 32U);  // of text_config
  EXPECT_EQ(config.rope.kind, RopeKind::kDefault);
}

TEST(ReadConfig, ExpertsThatTheConfigDoesNotCount) {
  auto checkpoint = Checkpoint::Open(SLIM_TESTDATA "/mixtures/qwen3-moe");
  ASSERT_TRUE(checkpoint.ok());
  ModelConfig config = ReadModelConfig(*checkpoint).value();
  EXPECT_TRUE(CheckExpertCount(*checkpoint, config).ok());
  config.moe->num_experts = 7;
  const Status status = CheckExpertCount(*checkpoint, config);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().rule, "CF-expert-count");
  EXPECT_THAT(status.error().tensor, HasSubstr("mlp.experts.7."));
}

TEST(Modules, LinearsByName) {
  auto checkpoint = Checkpoint::Open(SLIM_TESTDATA "/mixtures/qwen2.5-vl");
  ASSERT_TRUE(checkpoint.ok());
  std::vector<std::string> names;
  for (const Module& module : LinearsByName(*checkpoint)) names.push_back(module.name);
  EXPECT_THAT(names, testing::ElementsAreArray([] {
                std::vector<std::string> wanted = {"lm_head"};
                for (const char* layer : {"0", "1", "2"}) {
                  for (const char* module :
                       {"mlp.down_proj", "mlp.gate_proj", "mlp.up_proj", "self_attn.k_proj",
                        "self_attn.o_proj", "self_attn.q_proj", "self_attn.v_proj"})
                    wanted.push_back(std::string("model.layers.") + layer + "." + module);
                }
                return wanted;
              }()));
}

}  // namespace
}  // namespace slim
