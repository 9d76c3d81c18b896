#include "run/linear_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "dtype/scalar_convert.h"
#include "kernels/every_isa.h"
#include "kernels/transformer.h"
#include "run/loaded.h"

namespace slim {
namespace {

template <class T>
Tensor Make(DType dtype, Shape shape, const std::vector<T>& values) {
  Tensor tensor(dtype, std::move(shape));
  std::copy(values.begin(), values.end(), tensor.as<T>().begin());
  return tensor;
}

LinearRecord StaticRecord(int32_t quant_bias) {
  LinearRecord record;
  record.name = "layer";
  record.scheme = Scheme::kW8A8;
  record[Role::kWeight] = Make<int8_t>(DType::kI8, {1, 2}, {127, 127});
  record[Role::kInputScale] = Make<float>(DType::kF32, {1}, {1.0F});
  record[Role::kInputOffset] = Make<float>(DType::kF32, {1}, {0.0F});
  record[Role::kQuantBias] = Make<int32_t>(DType::kI32, {1}, {quant_bias});
  record[Role::kDeqScale] = Make<int64_t>(DType::kI64, {1}, {FloatToDeqBits(0.5F)});
  return record;
}

// Every module of the file that tests/peers/make_quantized_linears.py made with the judge.
void CheckAgainstJudge(Backend backend) {
  auto golden = Checkpoint::Open(kGolden + "run/quantized-linears.safetensors");
  ASSERT_TRUE(golden.ok()) << golden.error().ToString();
  ThreadPool pool(3);
  size_t checked = 0;
  for (const TensorEntry& entry : golden->tensors()) {
    if (!entry.name.ends_with(".x")) continue;
    const std::string name = entry.name.substr(0, entry.name.size() - 2);
    SCOPED_TRACE(name);
    const size_t colon = name.find(':');
    auto checkpoint = Checkpoint::Open(kGolden + name.substr(0, colon));
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
    auto x = golden->Read(entry);
    auto y = golden->Read(name + ".y");
    ASSERT_TRUE(x.ok() && y.ok());
    const uint64_t t = x->shape[0];
    auto layer =
        LinearLayer::Load(*checkpoint, name.substr(colon + 1), y->shape[1], x->shape[1], backend);
    ASSERT_TRUE(layer.ok()) << layer.error().ToString();
    if (golden->Find(name + ".codes") != nullptr) {
      auto codes = golden->Read(name + ".codes");
      ASSERT_TRUE(codes.ok());
      std::vector<int8_t> found(t * layer->k());
      std::vector<float> scales(t);
      layer->QuantizeInput(x->as<float>().data(), t, found.data(), scales.data(), pool);
      EXPECT_TRUE(std::equal(found.begin(), found.end(), codes->as<int8_t>().begin()));
    }
    std::vector<float> found(t * layer->n());
    layer->Forward(x->as<float>().data(), t, found.data(), backend, pool);
    for (uint64_t row = 0; row < t; ++row) {
      float largest = 0;
      for (uint64_t j = 0; j < layer->n(); ++j)
        largest = std::max(largest, std::fabs(y->as<float>()[row * layer->n() + j]));
      for (uint64_t j = 0; j < layer->n(); ++j) {
        const float wanted = y->as<float>()[row * layer->n() + j];
        // Integer schemes end in the same products; float sums may differ in order.
        const float tolerance = layer->scheme() == Scheme::kW8A16 ? largest : std::fabs(wanted);
        ASSERT_NEAR(found[row * layer->n() + j], wanted, 1e-6F * tolerance) << row << ", " << j;
      }
    }
    ++checked;
  }
  EXPECT_GE(checked, 20U);
}

TEST(LinearLayer, ReferenceComputesWhatTheJudgeComputes) {
  OnEveryIsa([] { CheckAgainstJudge(Backend::kReference); });
}

TEST(LinearLayer, FastComputesWhatTheJudgeComputes) { CheckAgainstJudge(Backend::kFast); }

TEST(LinearLayer, SumWithQuantBiasMayLeaveInt32) {
  auto layer = LinearLayer::FromRecord(StaticRecord(INT32_MAX), Backend::kReference);
  ASSERT_TRUE(layer.ok());
  ThreadPool pool(1);
  const std::vector<float> x = {100, 100};
  float y = 0;
  layer->Forward(x.data(), 1, &y, Backend::kReference, pool);
  EXPECT_EQ(y, 0.5F * static_cast<float>(int64_t{INT32_MAX} + 2 * 100 * 127));
}

TEST(LinearLayer, BiasOfAStaticLayerIsInItsQuantBiasOnly) {
  LinearRecord record = StaticRecord(4);
  record[Role::kBias] = Make<float>(DType::kF32, {1}, {1000.0F});
  auto layer = LinearLayer::FromRecord(std::move(record), Backend::kReference);
  ASSERT_TRUE(layer.ok());
  ThreadPool pool(1);
  const std::vector<float> x = {0, 0};
  float y = 0;
  layer->Forward(x.data(), 1, &y, Backend::kReference, pool);
  EXPECT_EQ(y, 2.0F);
}

// Layers with one input give the bits that each gives alone.
void CheckSharedInput(std::string_view folder, Phase phase) {
  auto checkpoint =
      Checkpoint::Open(kGolden + "one-click/mini-qwen2-bfloat16/" + std::string(folder));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
  const auto load = [&](const char* name) {
    return LinearLayer::Load(*checkpoint, std::string("model.layers.0.mlp.") + name, 160, 64,
                             Backend::kFast);
  };
  auto gate = load("gate_proj");
  auto up = load("up_proj");
  ASSERT_TRUE(gate.ok() && up.ok());
  ASSERT_TRUE(gate->SharesInput(*up, phase));
  const uint64_t t = 531;  // more than are quantized at a time
  const std::vector<float> x = NormalFloats(t * gate->k(), 9);
  std::vector<float> gates(t * gate->n());
  std::vector<float> ups(gates.size());
  ThreadPool pool(2);
  gate->Forward(x.data(), t, gates.data(), Backend::kFast, pool, phase);
  up->Forward(x.data(), t, ups.data(), Backend::kFast, pool, phase);
  std::vector<float> together[] = {std::vector<float>(gates.size()),
                                   std::vector<float>(gates.size())};
  const LinearLayer* const layers[] = {&*gate, &*up};
  float* const outputs[] = {together[0].data(), together[1].data()};
  LinearLayer::ForwardTogether(layers, x.data(), t, outputs, pool, phase);
  EXPECT_EQ(together[0], gates);
  EXPECT_EQ(together[1], ups);
  std::vector<float> gated(gates.size());
  LinearLayer::ForwardGated(*gate, *up, x.data(), t, gated.data(), pool, phase);
  SiluMul(gates.data(), ups.data(), gates.size(), gates.data());
  EXPECT_EQ(gated, gates);
}

TEST(LinearLayer, SharingAnInputChangesNoBit) {
  CheckSharedInput("w8a8-static", Phase::kPrefill);
  CheckSharedInput("w8a8-dynamic", Phase::kPrefill);
}

TEST(LinearLayer, InputsAreSharedOnlyWhereTheirCodesAreTheSame) {
  const auto load = [](float scale, float offset) {
    LinearRecord record = StaticRecord(0);
    record[Role::kInputScale] = Make<float>(DType::kF32, {1}, {scale});
    record[Role::kInputOffset] = Make<float>(DType::kF32, {1}, {offset});
    auto layer = LinearLayer::FromRecord(std::move(record), Backend::kFast);
    EXPECT_TRUE(layer.ok());
    return std::move(*layer);
  };
  const LinearLayer layer = load(1, 0);
  EXPECT_TRUE(layer.SharesInput(load(1, 0), Phase::kPrefill));
  EXPECT_FALSE(layer.SharesInput(load(2, 0), Phase::kPrefill));
  EXPECT_FALSE(layer.SharesInput(load(1, 3), Phase::kPrefill));
}

TEST(LinearLayer, BitsDoNotDependOnThreadsOrRowsACall) {
  auto checkpoint = Checkpoint::Open(kGolden + "one-click/mini-qwen2-bfloat16/w8a16");
  ASSERT_TRUE(checkpoint.ok());
  auto layer =
      LinearLayer::Load(*checkpoint, "model.layers.0.mlp.up_proj", 160, 64, Backend::kReference);
  ASSERT_TRUE(layer.ok()) << layer.error().ToString();
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(7 * layer->k());
  for (float& value : x) value = normal(random);
  ThreadPool one(1);
  ThreadPool eight(8);
  std::vector<float> whole(7 * layer->n());
  layer->Forward(x.data(), 7, whole.data(), Backend::kReference, one);
  std::vector<float> other(7 * layer->n());
  layer->Forward(x.data(), 7, other.data(), Backend::kReference, eight);
  EXPECT_EQ(whole, other);
  for (uint64_t i = 0; i < 7; ++i)
    layer->Forward(x.data() + i * layer->k(), 1, other.data() + i * layer->n(), Backend::kReference,
                   one);
  EXPECT_EQ(whole, other);
}

TEST(LinearLayer, RefusesTypesItCannotComputeByName) {
  LinearRecord record;
  record.name = "model.layers.0.mlp.up_proj";
  record.scheme = Scheme::kW8A8SC;
  const auto layer = LinearLayer::FromRecord(std::move(record), Backend::kReference);
  ASSERT_FALSE(layer.ok());
  EXPECT_EQ(layer.error().rule, "RUN-unsupported-type");
  EXPECT_NE(layer.error().message.find("W8A8SC"), std::string::npos);
  EXPECT_EQ(layer.error().tensor, "model.layers.0.mlp.up_proj.weight");
}

// y of one token through a layer of one record.
std::vector<float> Output(LinearRecord record, const std::vector<float>& x,
                          Backend backend = Backend::kReference, Phase phase = Phase::kPrefill) {
  record.name = "layer";
  EXPECT_TRUE(CheckRecord(record).ok());
  auto layer = LinearLayer::FromRecord(std::move(record), backend);
  EXPECT_TRUE(layer.ok()) << layer.error().ToString();
  ThreadPool pool(1);
  std::vector<float> y(layer->n());
  layer->Forward(x.data(), 1, y.data(), backend, pool, phase);
  return y;
}

LinearRecord DynamicRecord(Scheme scheme, const std::vector<float>& scales) {
  LinearRecord record;
  record.scheme = scheme;
  record[Role::kWeight] = Make<int8_t>(DType::kI8, {2, 4}, {7, -8, 3, 1, 1, 2, -3, 4});
  record[Role::kWeightScale] = Make<float>(DType::kF32, {2, scales.size() / 2}, scales);
  return record;
}

TEST(LinearLayer, Int4TypesSumExactly) {
  const std::vector<float> x = {127, -64, 2, 0};
  EXPECT_EQ(Output(DynamicRecord(Scheme::kW4A8Dynamic, {0.5F, 2}), x),
            (std::vector<float>{0.5F * (889 + 512 + 6), 2.0F * (127 - 128 - 6)}));
  const std::vector<float> seven = {7, -3, 2.4F, 0};
  EXPECT_EQ(Output(DynamicRecord(Scheme::kW4A4Dynamic, {0.5F, 2}), seven),
            (std::vector<float>{0.5F * (49 + 24 + 6), 2.0F * (7 - 6 - 6)}));
}

TEST(LinearLayer, GroupsHaveTheirOwnScales) {
  const std::vector<float> x = {127, -64, 2, 1};
  EXPECT_EQ(Output(DynamicRecord(Scheme::kW8A8Dynamic, {0.5F, 4, 2, 1}), x),
            (std::vector<float>{0.5F * (889 + 512) + 4 * 7, 2.0F * -1 + 1 * -2}));
  LinearRecord two = DynamicRecord(Scheme::kW4A8Dynamic, {2, 1});
  two[Role::kWeightScaleSecond] = Make<float>(DType::kF32, {2, 2}, {0.25F, 2, 2, 1});
  EXPECT_EQ(Output(std::move(two), x),
            (std::vector<float>{0.5F * (889 + 512) + 4 * 7, 2.0F * -1 + 1 * -2}));
}

// Kernels add the stored scale_bias; where it is what the codes give, it cancels.
TEST(LinearLayer, AWrongScaleBiasShows) {
  const std::vector<float> x = {127, 0, 0, 0};
  LinearRecord right = DynamicRecord(Scheme::kW4A8Dynamic, {0.5F, 2});
  right[Role::kScaleBias] = Make<float>(DType::kF32, {2, 1}, {12, 64});
  EXPECT_EQ(Output(std::move(right), x), (std::vector<float>{0.5F * 889, 2.0F * 127}));
  LinearRecord wrong = DynamicRecord(Scheme::kW4A8Dynamic, {0.5F, 2});
  wrong[Role::kScaleBias] = Make<float>(DType::kF32, {2, 1}, {22, 64});
  EXPECT_EQ(Output(std::move(wrong), x), (std::vector<float>{0.5F * 889 + 10, 2.0F * 127}));
}

TEST(LinearLayer, MixIsDynamicInPrefillAndStaticInDecode) {
  LinearRecord record = StaticRecord(4);
  record.scheme = Scheme::kW8A8Mix;
  record[Role::kWeightScale] = Make<float>(DType::kF32, {1, 1}, {1.0F});
  record[Role::kBias] = Make<float>(DType::kF32, {1}, {1000.0F});
  LinearRecord other = StaticRecord(4);
  other.scheme = Scheme::kW8A8Mix;
  other[Role::kWeightScale] = Make<float>(DType::kF32, {1, 1}, {1.0F});
  EXPECT_EQ(Output(std::move(record), {127, 2.4F}), (std::vector<float>{127.0F * 129 + 1000}));
  EXPECT_EQ(Output(std::move(other), {127, 2.4F}, Backend::kReference, Phase::kDecode),
            (std::vector<float>{0.5F * (127 * 129 + 4)}));
}

TEST(LinearLayer, Fp8AndMxRoundTheirInputs) {
  for (const Backend backend : {Backend::kReference, Backend::kFast}) {
    LinearRecord fp8;
    fp8.scheme = Scheme::kWFP8AFP8Dynamic;
    // 1, -2, 0, 448
    fp8[Role::kWeight] = Make<uint8_t>(DType::kF8E4M3, {1, 4}, {0x38, 0xC0, 0, 0x7E});
    fp8[Role::kWeightScale] = Make<float>(DType::kF32, {1, 1}, {0.5F});
    EXPECT_EQ(Output(std::move(fp8), {448, 17, 3, 0}, backend),
              (std::vector<float>{0.5F * (448 - 32)}));
    LinearRecord mx;
    mx.scheme = Scheme::kW4A4MXFP4;
    mx[Role::kWeight] = Make<uint8_t>(DType::kU8, {1, 4}, {2, 12, 0, 7});  // 1, -2, 0, 6
    mx[Role::kWeightScale] = Make<uint8_t>(DType::kU8, {1, 1}, {128});
    EXPECT_EQ(Output(std::move(mx), {4, 0.25F, 3, -5}, backend),
              (std::vector<float>{2.0F * (4 - 24)}));
  }
}

TEST(LinearLayer, RefusesSumsThatCouldWrap) {
  LinearRecord record = StaticRecord(0);
  record[Role::kWeight] = Tensor(DType::kI8, {1, 65537});
  const auto layer = LinearLayer::FromRecord(std::move(record), Backend::kReference);
  ASSERT_FALSE(layer.ok());
  EXPECT_EQ(layer.error().rule, "RUN-unsupported-shape");
}

TEST(LinearLayer, RefusesAWeightOfAnotherShapeThanTheConfigs) {
  auto checkpoint = Checkpoint::Open(SLIM_TESTDATA "/models/tiny-llama");
  ASSERT_TRUE(checkpoint.ok());
  const auto layer = LinearLayer::Load(*checkpoint, "model.layers.0.self_attn.q_proj", 128, 64,
                                       Backend::kReference);
  ASSERT_FALSE(layer.ok());
  EXPECT_EQ(layer.error().rule, "LIN-shape");
  EXPECT_EQ(layer.error().tensor, "model.layers.0.self_attn.q_proj.weight");
}

TEST(LinearLayer, WeightRowsAreTheSameInBothPreparations) {
  auto checkpoint = Checkpoint::Open(kGolden + "one-click/mini-qwen2-bfloat16/w8a16");
  ASSERT_TRUE(checkpoint.ok());
  const std::string module = "model.layers.0.mlp.up_proj";
  auto reference = LinearLayer::Load(*checkpoint, module, 160, 64, Backend::kReference);
  auto fast = LinearLayer::Load(*checkpoint, module, 160, 64, Backend::kFast);
  ASSERT_TRUE(reference.ok() && fast.ok());
  EXPECT_GT(fast->bytes(), reference->bytes());
  std::vector<float> a(reference->k());
  std::vector<float> b(a.size());
  for (uint64_t i = 0; i < reference->n(); ++i) {
    reference->WeightRow(i, a.data());
    fast->WeightRow(i, b.data());
    ASSERT_EQ(a, b);
  }
}

}  // namespace
}  // namespace slim
