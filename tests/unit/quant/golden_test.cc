// slim-quant against checkpoints that msModelSlim 26.1.0 wrote (testdata/golden, see
// ../shared/golden/README.md).
#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "dtype/scalar_convert.h"
#include "kernels/isa.h"
#include "quant/quantize.h"

namespace slim {
namespace {

namespace fs = std::filesystem;

const std::string kGolden = std::string(SLIM_TESTDATA) + "/golden";

class Golden : public testing::Test {
 protected:
  Golden()
      : folder_(fs::temp_directory_path() / ("slim-quant-golden-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~Golden() override { fs::remove_all(folder_); }

  std::string Run(const std::string& model, const QuantFlags& flags, int threads = 2) {
    const QuantOptions options = {.recipe = RecipeOf(flags), .threads = threads};
    const std::string target = (folder_ / std::to_string(++runs_)).string();
    const auto source = Checkpoint::Open(kGolden + "/models/" + model);
    EXPECT_TRUE(source.ok());
    const auto plan = PlanQuantization(*source, options, SilentListener());
    EXPECT_TRUE(plan.ok()) << plan.error().ToString();
    const auto summary =
        Quantize(*source, *plan, options, target, {.fsync = false}, SilentListener());
    EXPECT_TRUE(summary.ok()) << summary.error().ToString();
    return target;
  }

  static QuantFlags Options(Scheme type, std::optional<SmoothMethod> smooth) {
    QuantFlags options;
    options.type = type;
    options.smooth = smooth;
    options.compute = ComputeMode::kModel;
    options.float_names = DefaultFloatNames(type);
    options.calibration_file = kGolden + "/calib.jsonl";
    return options;
  }

  fs::path folder_;

 private:
  int runs_ = 0;
};

void ExpectSameFiles(const std::string& expected, const std::string& actual) {
  size_t compared = 0;
  for (const auto& entry : fs::directory_iterator(expected)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("quant_model")) continue;
    EXPECT_TRUE(ReadWholeFile(entry.path().string()).value() ==
                ReadWholeFile(JoinPath(actual, name)).value())
        << name;
    ++compared;
  }
  EXPECT_EQ(compared, 3U);
}

float Number(const Checkpoint& checkpoint, const std::string& name) {
  return static_cast<float>(ElementAsDouble(checkpoint.Read(name).value().view(), 0));
}

float Round(DType dtype, float value) {
  if (dtype == DType::kBF16) return Bf16ToFloat(FloatToBf16(value));
  if (dtype == DType::kF16) return F16ToFloat(FloatToF16(value));
  return value;
}

struct CodeDifference {
  double share = 0;
  int largest = 0;
};

CodeDifference CompareCodes(const Tensor& a, const Tensor& b) {
  CodeDifference difference;
  const auto x = a.as<int8_t>();
  const auto y = b.as<int8_t>();
  size_t differing = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const int distance = std::abs(x[i] - y[i]);
    differing += distance > 0 ? 1 : 0;
    difference.largest = std::max(difference.largest, distance);
  }
  difference.share = static_cast<double>(differing) / static_cast<double>(x.size());
  return difference;
}

// deq_scale and quant_bias are exactly what the layer's own codes, input_scale, offset and the
// source's weight and bias give, each step rounded to the model's dtype (facts:
// formats.md 6.1, 6.4).
void ExpectExactFold(const Checkpoint& source, const Checkpoint& output,
                     const std::string& linear) {
  const LinearRecord record = output.ReadLinear(linear).value();
  const LinearRecord original = source.ReadLinear(linear).value();
  const DType dtype = original[Role::kWeight].dtype;
  const float scale = PartAsFloats(record, Role::kInputScale)[0];
  const float offset = PartAsFloats(record, Role::kInputOffset)[0];
  const std::vector<float> deq = PartAsFloats(record, Role::kDeqScale);
  const std::vector<float> bias = PartAsFloats(original, Role::kBias);
  std::vector<float> row(original.k());
  for (uint64_t n = 0; n < original.n(); ++n) {
    DequantizeWeightRow(original, n, row);
    float amax = 0;
    for (const float value : row) amax = std::max(amax, std::fabs(value));
    const float want_deq = Round(dtype, scale * std::max(Round(dtype, amax / 127.0F), 0x1p-23F));
    ASSERT_EQ(std::bit_cast<uint32_t>(deq[n]), std::bit_cast<uint32_t>(want_deq))
        << linear << " row " << n;
    int64_t sum = 0;
    for (const int8_t code : record[Role::kWeight].as<int8_t>().subspan(n * record.k(), record.k()))
      sum += code;
    const float quotient = bias.empty() ? 0.0F : Round(dtype, bias[n] / want_deq);
    const float want_bias = std::nearbyint(quotient - static_cast<float>(sum) * offset);
    ASSERT_EQ(static_cast<float>(record[Role::kQuantBias].as<int32_t>()[n]), want_bias)
        << linear << " row " << n;
  }
}

TEST_F(Golden, DataFreeTypesAreByteIdentical) {
  for (const char* model : {"mini-qwen2-bfloat16", "mini-qwen3-float16", "mini-qwen2-float32"}) {
    ExpectSameFiles(kGolden + "/one-click/" + model + "/w8a16",
                    Run(model, Options(Scheme::kW8A16, std::nullopt)));
  }
  for (const char* model : {"mini-qwen2-bfloat16", "mini-qwen3-float16"}) {
    ExpectSameFiles(kGolden + "/one-click/" + model + "/w8a8-dynamic",
                    Run(model, Options(Scheme::kW8A8Dynamic, std::nullopt)));
  }
}

TEST_F(Golden, StaticHasThePeersCodesAndAnExactFold) {
  for (const std::string model :
       {"mini-qwen2-bfloat16", "mini-qwen3-float16", "mini-qwen2-float32"}) {
    const Checkpoint source = Checkpoint::Open(kGolden + "/models/" + model).value();
    const Checkpoint expected =
        Checkpoint::Open(kGolden + "/one-click/" + model + "/w8a8-static").value();
    const Checkpoint actual =
        Checkpoint::Open(Run(model, Options(Scheme::kW8A8, std::nullopt))).value();
    ASSERT_EQ(actual.tensors().size(), expected.tensors().size());
    size_t linears = 0;
    for (const TensorEntry& entry : expected.tensors()) {
      if (!entry.name.ends_with(".input_scale")) continue;
      const std::string linear(SplitTensorName(entry.name).module);
      ++linears;
      const Tensor want = expected.Read(linear + ".weight").value();
      EXPECT_EQ(CompareCodes(want, actual.Read(linear + ".weight").value()).largest, 0) << linear;
      const bool first = model == "mini-qwen2-float32" &&
                         linear.find("layers.0.self_attn") != std::string::npos &&
                         linear.find("o_proj") == std::string::npos;
      const float scale = Number(expected, entry.name);
      EXPECT_NEAR(Number(actual, entry.name), scale, scale * (first ? 1e-5F : 0.05F)) << entry.name;
      if (first) {
        EXPECT_NEAR(Number(actual, linear + ".input_offset"),
                    Number(expected, linear + ".input_offset"), 1)
            << linear;
      }
      ExpectExactFold(source, actual, linear);
    }
    EXPECT_EQ(linears, 12U);
  }
}

// Later blocks of the static golden saw a fake-quantized predecessor; ours sees the float one.
TEST_F(Golden, SmoothedCodesAreThePeers) {
  struct Case {
    const char* golden;
    Scheme type;
    double alpha;
    const char* blocks;
  };
  const std::string model = "mini-qwen2-float32";
  for (const Case& test : {Case{"w8a8-smooth-dynamic", Scheme::kW8A8Dynamic, 0.9, ".layers."},
                           Case{"w8a8-smooth-static", Scheme::kW8A8, 0.9, ".layers.0."},
                           Case{"w8a8-smooth05-static", Scheme::kW8A8, 0.5, ".layers.0."}}) {
    QuantFlags options = Options(test.type, SmoothMethod::kIter);
    options.alpha = test.alpha;
    const Checkpoint expected =
        Checkpoint::Open(kGolden + "/one-click/" + model + "/" + test.golden).value();
    const Checkpoint actual = Checkpoint::Open(Run(model, options)).value();
    size_t compared = 0;
    for (const TensorEntry& entry : expected.tensors()) {
      if (entry.dtype != DType::kI8 || entry.name.find(test.blocks) == std::string::npos) continue;
      const CodeDifference difference =
          CompareCodes(expected.Read(entry).value(), actual.Read(entry.name).value());
      EXPECT_LE(difference.share, 0.001) << test.golden << " " << entry.name;
      EXPECT_LE(difference.largest, 1) << test.golden << " " << entry.name;
      ++compared;
    }
    EXPECT_GE(compared, 6U);
  }
}

TEST_F(Golden, ThreadsAndInstructionSetsDoNotShow) {
  const std::string best(IsaName(CurrentIsa()));
  for (const ComputeMode compute : {ComputeMode::kModel, ComputeMode::kFp32}) {
    QuantFlags options = Options(Scheme::kW8A8, SmoothMethod::kIter);
    options.compute = compute;
    std::string first;
    for (const Isa isa : SupportedIsas()) {
      ASSERT_TRUE(SetIsa(IsaName(isa)).ok());
      // The scalar path emulates fused multiply-add: one run of it is enough.
      const std::vector<int> thread_counts =
          isa == Isa::kScalar ? std::vector<int>{2} : std::vector<int>{1, 2, 8};
      for (const int threads : thread_counts) {
        const std::string output = Run("mini-qwen3-float16", options, threads);
        if (first.empty()) first = output;
        ExpectSameFiles(first, output);
        EXPECT_EQ(ReadWholeFile(first + "/slim_receipt.json").value(),
                  ReadWholeFile(output + "/slim_receipt.json").value());
      }
    }
    ASSERT_TRUE(SetIsa(best).ok());
  }
}

// Source document S001: input_scale and input_offset in the model's dtype, deq_scale I64 for fp16,
// F32 for bf16.
// Steps that search: flex_smooth_quant and gptq, static ranges judged at the outputs, corrected
// biases.
TEST_F(Golden, NeitherDoTheyInSearches) {
  QuantFlags searched = Options(Scheme::kW4A8Dynamic, SmoothMethod::kFlex);
  QuantFlags ranges = Options(Scheme::kW8A8, std::nullopt);
  ranges.bias_correction = true;
  const std::string text = (folder_ / "text.txt").string();
  std::ofstream(text) << "It was the best of times, it was the worst of times,\n"
                         "it was the age of wisdom, it was the age of foolishness\n";
  const std::string best(IsaName(CurrentIsa()));
  for (QuantFlags flags : {searched, ranges}) {
    flags.compute = ComputeMode::kFp32;
    flags.calibration_file = text;
    std::string first;
    for (const Isa isa : SupportedIsas()) {
      ASSERT_TRUE(SetIsa(IsaName(isa)).ok());
      for (const int threads :
           IsaName(isa) == best ? std::vector<int>{1, 8} : std::vector<int>{2}) {
        const std::string output = Run("mini-qwen2-float32", flags, threads);
        if (first.empty()) first = output;
        ExpectSameFiles(first, output);
      }
    }
    ASSERT_TRUE(SetIsa(best).ok());
  }
}

TEST_F(Golden, TraditionalLayoutsKeepScalesInTheModelsDtype) {
  QuantFlags options = Options(Scheme::kW8A8, SmoothMethod::kIter);
  options.layout = Dialect::kMindIE;
  options.compute = ComputeMode::kFp32;
  for (const auto& [model, dtype, deq] :
       {std::tuple{"mini-qwen2-bfloat16", DType::kBF16, DType::kF32},
        std::tuple{"mini-qwen3-float16", DType::kF16, DType::kI64}}) {
    const Checkpoint output = Checkpoint::Open(Run(model, options)).value();
    EXPECT_EQ(output.dialect(), Dialect::kMindIE);
    const std::string linear = "model.layers.1.mlp.up_proj";
    EXPECT_EQ(output.Find(linear + ".input_scale")->dtype, dtype);
    EXPECT_EQ(output.Find(linear + ".input_offset")->dtype, dtype);
    EXPECT_EQ(output.Find(linear + ".deq_scale")->dtype, deq);
    EXPECT_EQ(output.config()->Find("quantize")->text(), "w8a8");
  }
}

}  // namespace
}  // namespace slim
