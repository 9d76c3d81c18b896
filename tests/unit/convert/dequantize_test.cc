// --dequantize: a float checkpoint out of every type that has weights, held against codes times
// scales computed here.
#include "convert/dequantize.h"

#include <cmath>

#include "convert/testing.h"
#include "dtype/scalar_convert.h"

namespace slim {
namespace {

ConvertOptions Dequantize(std::optional<DType> dtype) {
  ConvertOptions options = To(Dialect::kHf);
  options.dequantize = true;
  options.dtype = dtype;
  return options;
}

std::vector<float> Floats(const Checkpoint& checkpoint, const std::string& name) {
  const auto tensor = checkpoint.Read(name);
  EXPECT_TRUE(tensor.ok()) << name;
  std::vector<float> values;
  for (uint64_t i = 0; tensor.ok() && i < tensor->elements(); ++i)
    values.push_back(static_cast<float>(ElementAsDouble(tensor->view(), i)));
  return values;
}

TEST(Dequantize, CodesTimesScalesRoundedOnce) {
  const std::string input = Golden("one-click/mini-qwen2-bfloat16/w8a8-dynamic");
  const ScratchFolder scratch;
  MustConvert(input, scratch.Path("f32"), Dequantize(DType::kF32));
  MustConvert(input, scratch.Path("bf16"), Dequantize(DType::kBF16));
  const auto source = Checkpoint::Open(input);
  const auto wide = Checkpoint::Open(scratch.Path("f32"));
  const auto narrow = Checkpoint::Open(scratch.Path("bf16"));
  ASSERT_TRUE(source.ok() && wide.ok() && narrow.ok());
  EXPECT_EQ(wide->dialect(), Dialect::kHf);
  const std::string module = "model.layers.1.mlp.up_proj";
  const std::vector<float> codes = Floats(*source, module + ".weight");
  const std::vector<float> scales = Floats(*source, module + ".weight_scale");
  const std::vector<float> f32 = Floats(*wide, module + ".weight");
  const std::vector<float> bf16 = Floats(*narrow, module + ".weight");
  ASSERT_EQ(f32.size(), codes.size());
  for (size_t i = 0; i < codes.size(); ++i) {
    const float value = codes[i] * scales[i / 64];
    ASSERT_EQ(f32[i], value);
    ASSERT_EQ(bf16[i], Bf16ToFloat(FloatToBf16(value)));
  }
  EXPECT_EQ(wide->Find(module + ".weight_scale"), nullptr);
  EXPECT_NE(wide->config_text().find("\"float32\""), std::string::npos);
}

TEST(Dequantize, StaticLayersGiveTheWeightOfDeqOverInputScale) {
  // One-click stores no weight_scale beside static layers: deq_scale / input_scale stands in, a
  // bfloat16 rounding away from the scale of the dynamic golden of the same model.
  const ScratchFolder scratch;
  MustConvert(Golden("one-click/mini-qwen2-bfloat16/w8a8-static"), scratch.Path("s"),
              Dequantize(DType::kF32));
  MustConvert(Golden("one-click/mini-qwen2-bfloat16/w8a8-dynamic"), scratch.Path("d"),
              Dequantize(DType::kF32));
  const auto a = Checkpoint::Open(scratch.Path("s"));
  const auto b = Checkpoint::Open(scratch.Path("d"));
  const std::string name = "model.layers.0.self_attn.q_proj.";
  const std::vector<float> x = Floats(*a, name + "weight");
  const std::vector<float> y = Floats(*b, name + "weight");
  for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], std::abs(y[i]) * 0x1p-7);
  EXPECT_EQ(Floats(*a, name + "bias"), Floats(*b, name + "bias"));
}

TEST(Dequantize, BiasComesBackOutOfQuantBias) {
  LinearRecord record;
  record.scheme = Scheme::kW8A8;
  record[Role::kWeight] = Tensor(DType::kI8, {2, 3});
  const int8_t codes[] = {1, 2, 3, -4, 5, 6};
  std::copy(std::begin(codes), std::end(codes), record[Role::kWeight].as<int8_t>().begin());
  record[Role::kInputScale] = Tensor::FromFloats({1}, std::vector<float>{0.5F});
  record[Role::kInputOffset] = Tensor::FromFloats({1}, std::vector<float>{10});
  record[Role::kDeqScale] = Tensor::FromFloats({2}, std::vector<float>{0.25F, 0.5F});
  record[Role::kQuantBias] = Tensor(DType::kI32, {2});
  // No bias: exactly the correction −10 · Σ codes.
  record[Role::kQuantBias].as<int32_t>()[0] = -60;
  record[Role::kQuantBias].as<int32_t>()[1] = -70;
  EXPECT_TRUE(FloatBias(record).empty());
  record[Role::kQuantBias].as<int32_t>()[1] = -66;
  EXPECT_EQ(FloatBias(record), (std::vector<float>{0, 2}));
}

TEST(Dequantize, EveryTraditionalTypeGivesTheTensorsOfTheFloatModel) {
  for (const char* name : {"traditional/mini-qwen2-bfloat16/m0-w8a8-m4",
                           "traditional/mini-qwen2-bfloat16/a0-w8a16-asym",
                           "one-click/mini-qwen3-float16/mindie-w8a8-static"}) {
    const ScratchFolder scratch;
    MustConvert(Golden(name), scratch.Path("out"), Dequantize(DType::kF16));
    const auto out = Checkpoint::Open(scratch.Path("out"));
    ASSERT_TRUE(out.ok());
    for (const TensorEntry& entry : out->tensors()) {
      EXPECT_EQ(entry.dtype, DType::kF16) << entry.name;
      EXPECT_EQ(entry.name.find(".module."), std::string::npos) << entry.name;
    }
    EXPECT_EQ(out->config_text().find("quanti"), std::string::npos);
  }
}

TEST(Dequantize, OverflowNamesTheTensorAndWritesNothing) {
  const ScratchFolder scratch;
  CopyFolder(Golden("one-click/mini-qwen2-bfloat16/w8a8-dynamic"), scratch.Path("in"));
  Poke(scratch.Path("in"), "model.layers.0.mlp.up_proj.weight_scale", 0,
       std::string("\x00\x00\x80\x49", 4));  // 2^20
  const auto plan = ConvertTo(scratch.Path("in"), scratch.Path("out"), Dequantize(DType::kF16));
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().rule, "CV-overflow");
  EXPECT_EQ(plan.error().tensor, "model.layers.0.mlp.up_proj.weight");
  EXPECT_FALSE(std::filesystem::exists(scratch.Path("out")));
}

}  // namespace
}  // namespace slim
