#include "run/rope.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace slim {
namespace {

// What LlamaRotaryEmbedding of transformers 5.23 gives for position 77 of a sequence of 100, with
// hidden_size 64, 4 heads, max_position_embeddings 64.
struct Case {
  const char* name;
  RopeConfig rope;
  std::array<float, 8> cosines;
  std::array<float, 8> sines;
};

std::vector<Case> Cases() {
  RopeConfig linear;
  linear.kind = RopeKind::kLinear;
  linear.factor = 4;
  RopeConfig dynamic;
  dynamic.kind = RopeKind::kDynamic;
  dynamic.factor = 2;
  RopeConfig yarn;
  yarn.kind = RopeKind::kYarn;
  yarn.factor = 4;
  yarn.original_max_position = 16;
  RopeConfig yarn_mscale;
  yarn_mscale.kind = RopeKind::kYarn;
  yarn_mscale.theta = 500000;
  yarn_mscale.factor = 8;
  yarn_mscale.original_max_position = 32;
  yarn_mscale.beta_fast = 16;
  yarn_mscale.beta_slow = 2;
  yarn_mscale.mscale = 1.0;
  yarn_mscale.mscale_all_dim = 0.7;
  yarn_mscale.truncate = false;
  RopeConfig llama3;
  llama3.kind = RopeKind::kLlama3;
  llama3.theta = 500000;
  llama3.factor = 8;
  llama3.original_max_position = 32;
  llama3.low_frequency_factor = 1;
  llama3.high_frequency_factor = 4;
  return {
      {"default",
       {},
       {-0.0309750326F, 0.708656371F, 0.153373584F, -0.760548592F, 0.717910707F, 0.970501184F,
        0.997036934F, 0.999703586F},
       {0.999520183F, -0.70555383F, 0.988168299F, 0.649281025F, 0.696135223F, 0.241096377F,
        0.0769239441F, 0.0243471339F}},
      {"linear",
       linear,
       {0.920887947F, 0.980892122F, -0.34684366F, 0.820370018F, 0.981528997F, 0.998147726F,
        0.999814749F, 0.999981463F},
       {0.389827341F, -0.194552377F, 0.937922955F, 0.571833014F, 0.191313311F, 0.0608362593F,
        0.0192488134F, 0.0060873474F}},
      {"dynamic",
       dynamic,
       {-0.0309750326F, -0.991898954F, 0.997183383F, -0.190790191F, 0.87732923F, 0.989917576F,
        0.99918586F, 0.999934375F},
       {0.999520183F, 0.127029181F, -0.0750020966F, 0.981630862F, 0.479888916F, 0.141644552F,
        0.0403440483F, 0.0114583559F}},
      {"yarn",
       yarn,
       {-0.0352690853F, 1.11687267F, -0.394926399F, 0.934097469F, 1.11759782F, 1.13652039F,
        1.13841856F, 1.13860834F},
       {1.1380831F, -0.221523061F, 1.06794667F, 0.651105881F, 0.217834964F, 0.0692699552F,
        0.0219172649F, 0.00693123275F}},
      {"yarn with mscale",
       yarn_mscale,
       {-0.0326618254F, -0.307289034F, 0.986133277F, 1.05185997F, 1.05435884F, 1.05445278F,
        1.05445635F, 1.05445647F},
       {1.05395055F, 1.00868821F, 0.373389453F, 0.0739535466F, 0.0143526122F, 0.00278338091F,
        0.000539761502F, 0.000104672028F}},
      {"llama3",
       llama3,
       {-0.0309750326F, -0.291419357F, 0.935205281F, 0.997537553F, 0.999907374F, 0.999996543F,
        0.999999881F, 1.0F},
       {0.999520183F, 0.956595421F, 0.354106098F, 0.0701342821F, 0.0136113847F, 0.0026396357F,
        0.00051188597F, 9.92663336e-05F}},
  };
}

ModelConfig SmallConfig(const RopeConfig& rope) {
  ModelConfig config;
  config.head_dim = 16;
  config.max_position = 64;
  config.rope = rope;
  return config;
}

TEST(RopeTable, GivesTheRotationsOfTransformers) {
  for (const Case& wanted : Cases()) {
    SCOPED_TRACE(wanted.name);
    const RopeTable table(SmallConfig(wanted.rope), 100);
    // Rotating (1, 0) gives cosine and sine themselves.
    std::array<float, 16> head{};
    for (size_t i = 0; i < 8; ++i) head[i] = 1;
    table.Rotate(head.data(), 77);
    for (size_t i = 0; i < 8; ++i) {
      // A last bit of the inverse frequency moves an angle of up to 77 by 77 * 2^-24.
      EXPECT_NEAR(head[i], wanted.cosines[i], 1e-5) << i;
      EXPECT_NEAR(head[i + 8], wanted.sines[i], 1e-5) << i;
    }
  }
}

TEST(RopeTable, PositionZeroRotatesNothing) {
  const RopeTable table(SmallConfig({}), 1);
  std::array<float, 16> head{};
  for (size_t i = 0; i < head.size(); ++i) head[i] = static_cast<float>(i) - 7.5F;
  const std::array<float, 16> before = head;
  table.Rotate(head.data(), 0);
  EXPECT_EQ(head, before);
}

TEST(RopeTable, OnlyDynamicRowsDependOnTheLengthAskedFor) {
  for (const Case& wanted : Cases()) {
    SCOPED_TRACE(wanted.name);
    const RopeTable whole(SmallConfig(wanted.rope), 100);
    RopeTable grown(SmallConfig(wanted.rope), 10);
    grown.Extend(100);
    EXPECT_EQ(grown.length(), 100U);
    std::array<float, 16> a{};
    a.fill(1);
    std::array<float, 16> b = a;
    whole.Rotate(a.data(), 7);
    grown.Rotate(b.data(), 7);
    EXPECT_EQ(a == b, wanted.rope.kind != RopeKind::kDynamic);
  }
}

}  // namespace
}  // namespace slim
