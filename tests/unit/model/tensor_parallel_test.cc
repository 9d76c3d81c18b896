#include "model/tensor_parallel.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

ModelConfig Config(Architecture architecture) {
  ModelConfig config;
  config.architecture = architecture;
  config.hidden_size = 64;
  config.intermediate_size = 160;
  config.num_layers = 1;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 16;
  config.vocab_size = 320;
  return config;
}

TEST(TensorParallel, RanksShareHeadsWhereThereAreFewer) {
  const PartMember keys{"k_proj", 2, 16};
  EXPECT_EQ(keys.RowsOf(1, 2).begin, 16U);
  EXPECT_EQ(keys.RowsOf(1, 4).begin, 0U);
  EXPECT_EQ(keys.RowsOf(2, 4).begin, 16U);
  EXPECT_EQ(keys.RowsOf(3, 4).end, 32U);
  EXPECT_TRUE(keys.IsFirst(2, 4));
  EXPECT_FALSE(keys.IsFirst(3, 4));
}

TEST(TensorParallel, NamesOfBothFamilies) {
  const auto qwen = PartModules(Config(Architecture::kQwen2), 2);
  ASSERT_TRUE(qwen.ok());
  EXPECT_EQ(qwen->front().name, "transformer.wte");
  EXPECT_EQ((*qwen)[1].name, "transformer.h.0.attn.c_attn");
  EXPECT_EQ((*qwen)[1].members.size(), 3U);
  const auto llama = PartModules(Config(Architecture::kLlama), 2);
  ASSERT_TRUE(llama.ok());
  EXPECT_EQ((*llama)[1].name, "model.layers.0.self_attn.query_key_value");
  EXPECT_EQ((*llama)[3].name, "model.layers.0.mlp.gate_up_proj");
}

TEST(TensorParallel, DegreesThatDoNotDivideNameTheTensor) {
  const auto modules = PartModules(Config(Architecture::kQwen2), 8);
  ASSERT_FALSE(modules.ok());
  EXPECT_EQ(modules.error().rule, "CV-tp");
  EXPECT_EQ(modules.error().tensor, "model.layers.0.self_attn.q_proj.weight");
  EXPECT_FALSE(PartModules(Config(Architecture::kQwen2Moe), 1).ok());
}

}  // namespace
}  // namespace slim
