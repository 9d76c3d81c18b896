// Writing golden-stick: what it wrote itself comes back from ascendv1, and ascendv1 from it.
#include <gtest/gtest.h>

#include <cmath>

#include "convert/testing.h"

namespace slim {
namespace {

const std::string kGoldens = std::string(SLIM_TESTDATA) + "/foreign/golden-stick/";

std::map<std::string, Tensor> TensorsOf(const std::string& path) {
  const auto checkpoint = Checkpoint::OpenForeign(path);
  EXPECT_TRUE(checkpoint.ok());
  std::map<std::string, Tensor> tensors;
  for (const TensorEntry& entry : checkpoint->tensors())
    tensors.emplace(entry.name, checkpoint->Read(entry).value());
  return tensors;
}

// Its own checkpoints, to ascendv1 and back: every tensor but quant_bias, which it rounds, has its
// bytes, dtype and shape; the description names the same tensors with the same labels.
void ComesBack(const std::string& golden, bool renamed_embedding) {
  const ScratchFolder scratch;
  MustConvert(kGoldens + golden, scratch.Path("ascend"), To(Dialect::kAscendV1));
  MustConvert(scratch.Path("ascend"), scratch.Path("back"), To(Dialect::kGoldenStick));
  const auto before = TensorsOf(kGoldens + golden);
  const auto after = TensorsOf(scratch.Path("back"));
  EXPECT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) {
    const bool renamed = renamed_embedding && name.ends_with("embedding_table");
    const auto found = after.find(renamed ? "model.embed_tokens.weight" : name);
    ASSERT_NE(found, after.end()) << name;
    if (name.ends_with(".bias")) {  // config.json says bfloat16, the golden was made in float16
      for (uint64_t i = 0; i < tensor.elements(); ++i)
        EXPECT_EQ(ElementAsDouble(found->second.view(), i), ElementAsDouble(tensor.view(), i));
      continue;
    }
    EXPECT_EQ(found->second.dtype, tensor.dtype) << name;
    EXPECT_EQ(found->second.shape, tensor.shape) << name;
    if (name.ends_with(".quant_bias")) continue;
    EXPECT_TRUE(std::ranges::equal(found->second.data.bytes(), tensor.data.bytes())) << name;
  }
}

TEST(GoldenStickTarget, StaticComesBack) { ComesBack("mini-qwen2-a8w8-smooth", true); }
TEST(GoldenStickTarget, WeightOnlyComesBack) { ComesBack("mini-qwen3-a16w8", false); }

// The README of the goldens: up to 7 off in mini-qwen2.
TEST(GoldenStickTarget, QuantBiasIsExact) {
  const ScratchFolder scratch;
  const std::string golden = kGoldens + "mini-qwen2-a8w8-smooth";
  MustConvert(golden, scratch.Path("ascend"), To(Dialect::kAscendV1));
  MustConvert(scratch.Path("ascend"), scratch.Path("back"), To(Dialect::kGoldenStick));
  const auto before = TensorsOf(golden);
  const auto after = TensorsOf(scratch.Path("back"));
  int64_t largest = 0;
  for (const auto& [name, tensor] : after) {
    if (!name.ends_with(".quant_bias")) continue;
    const std::string module(SplitTensorName(name).module);
    const auto codes = after.at(module + ".weight").as<int8_t>();
    const int64_t offset = after.at(module + ".input_offset").as<int8_t>()[0];
    const uint64_t k = after.at(module + ".weight").shape[1];
    for (uint64_t i = 0; i < tensor.elements(); ++i) {
      int64_t sum = 0;
      for (const int8_t code : codes.subspan(i * k, k)) sum += code;
      EXPECT_EQ(tensor.as<int32_t>()[i], -offset * sum) << name;
      largest = std::max(largest, std::abs(static_cast<int64_t>(tensor.as<int32_t>()[i]) -
                                           before.at(name).as<int32_t>()[i]));
    }
  }
  EXPECT_EQ(largest, 7);
}

// Without a bias exact: tensors, index, description, config.json come back byte for byte.
TEST(GoldenStickTarget, AscendComesBack) {
  const ScratchFolder scratch;
  for (const char* golden :
       {"one-click/mini-qwen3-float16/w8a8-static-all",
        "one-click/mini-qwen2-bfloat16/w8a8-dynamic", "one-click/mini-qwen3-float16/w8a16"}) {
    MustConvert(Golden(golden), scratch.Path("gs"), To(Dialect::kGoldenStick));
    MustConvert(scratch.Path("gs"), scratch.Path("back"), To(Dialect::kAscendV1));
    EXPECT_EQ(Differences(Golden(golden), scratch.Path("back")), std::vector<std::string>())
        << golden;
  }
}

// The writer rounds bias / deq_scale to the model's dtype inside quant_bias: that is told, and
// needs a permission.
TEST(GoldenStickTarget, BiasInsideQuantBiasIsALoss) {
  const ScratchFolder scratch;
  const std::string golden = Golden("one-click/mini-qwen2-bfloat16/w8a8-static-all");
  ConvertOptions options = To(Dialect::kGoldenStick);
  const auto refused = ConvertTo(golden, scratch.Path("gs"), options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().rule, "CV-loss");
  options.allow_loss = true;
  const auto plan = ConvertTo(golden, scratch.Path("gs"), options);
  ASSERT_TRUE(plan.ok()) << plan.error().ToString();
  EXPECT_EQ(plan->loss, LossClass::kNear);
  EXPECT_LT(plan->WorstTensor()->worst_relative_error, 0.05);  // one, of a small quant_bias
}

}  // namespace
}  // namespace slim
