#include "quant/weight_gptq.h"

#include <gtest/gtest.h>

#include <random>

namespace slim {
namespace {

constexpr uint64_t kOutputs = 40;
constexpr uint64_t kInputs = 96;
constexpr uint64_t kTokens = 256;

struct Problem {
  Tensor weight = Tensor(DType::kF32, {kOutputs, kInputs});
  std::vector<float> inputs;   // [tokens, k], neighbours correlated, the last channel dead
  std::vector<float> moments;  // [k, k]
};

Problem MakeProblem() {
  Problem problem;
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (float& value : problem.weight.as<float>()) value = normal(random);
  problem.inputs.resize(kTokens * kInputs);
  for (uint64_t t = 0; t < kTokens; ++t) {
    float carried = 0;
    for (uint64_t j = 0; j + 1 < kInputs; ++j) {
      carried = 0.9F * carried + normal(random);
      problem.inputs[t * kInputs + j] = carried;
    }
  }
  problem.moments.resize(kInputs * kInputs);
  for (uint64_t t = 0; t < kTokens; ++t) {
    const float* x = problem.inputs.data() + t * kInputs;
    for (uint64_t i = 0; i < kInputs; ++i) {
      for (uint64_t j = 0; j < kInputs; ++j) problem.moments[i * kInputs + j] += x[i] * x[j];
    }
  }
  return problem;
}

// Σ (x · (w − ŵ))².
double OutputError(const Problem& problem, const IntegerWeight& quantized) {
  const uint64_t groups = quantized.scale.size() / kOutputs;
  double total = 0;
  for (uint64_t i = 0; i < kOutputs; ++i) {
    std::vector<double> lost(kInputs);
    for (uint64_t j = 0; j < kInputs; ++j) {
      const uint64_t at = i * groups + j / (kInputs / groups);
      const double code = quantized.codes.as<int8_t>()[i * kInputs + j];
      lost[j] = problem.weight.as<float>()[i * kInputs + j] -
                (code - quantized.offset[at]) * quantized.scale[at];
    }
    for (uint64_t t = 0; t < kTokens; ++t) {
      double sum = 0;
      for (uint64_t j = 0; j < kInputs; ++j) sum += problem.inputs[t * kInputs + j] * lost[j];
      total += sum * sum;
    }
  }
  return total;
}

TEST(Gptq, LosesLessAtTheOutputThanRounding) {
  const Problem problem = MakeProblem();
  const WeightRows rows{problem.weight.view(), {}, DType::kF32};
  ThreadPool pool(2);
  for (const bool grouped : {false, true}) {
    WeightSettings settings;
    settings.dtype = CodeType::kInt4;
    settings.block_size = 32;
    if (grouped) {
      settings.granularity = Granularity::kPerGroup;
      settings.group_size = 16;
      settings.symmetric = false;
    }
    const IntegerWeight plain = QuantizeIntegers(rows, settings, {}, false, pool);
    settings.method = WeightMethod::kGptq;
    const IntegerWeight gptq = QuantizeGptq(rows, settings, problem.moments, false, pool).value();
    EXPECT_LT(OutputError(problem, gptq), 0.4 * OutputError(problem, plain));
  }
}

TEST(Gptq, ThreadsDoNotShow) {
  const Problem problem = MakeProblem();
  const WeightRows rows{problem.weight.view(), {}, DType::kF32};
  WeightSettings settings;
  settings.method = WeightMethod::kGptq;
  ThreadPool one(1);
  ThreadPool eight(8);
  const IntegerWeight a = QuantizeGptq(rows, settings, problem.moments, false, one).value();
  const IntegerWeight b = QuantizeGptq(rows, settings, problem.moments, false, eight).value();
  EXPECT_TRUE(std::equal(a.codes.as<int8_t>().begin(), a.codes.as<int8_t>().end(),
                         b.codes.as<int8_t>().begin()));
}

TEST(Gptq, MomentsThatAreNotFiniteAreAnError) {
  Problem problem = MakeProblem();
  problem.moments[5 * kInputs] = std::numeric_limits<float>::infinity();
  const WeightRows rows{problem.weight.view(), {}, DType::kF32};
  ThreadPool pool(1);
  EXPECT_EQ(QuantizeGptq(rows, {}, problem.moments, false, pool).error().rule, "QU-gptq");
}

TEST(Sparse, BulkKeepsWithinFourBitsAndOutliersDoNot) {
  const Problem problem = MakeProblem();
  const WeightRows rows{problem.weight.view(), {}, DType::kF32};
  ThreadPool pool(1);
  for (const bool sigma : {false, true}) {
    WeightSettings settings;
    settings.sparse_fraction = 0.05;
    if (sigma) settings.sparse_sigma = 2;
    const IntegerWeight sparse = QuantizeSparse(rows, settings, pool);
    size_t zeros = 0;
    size_t wide = 0;
    for (const int8_t code : sparse.codes.as<int8_t>()) {
      zeros += code == 0 ? 1 : 0;
      wide += code > 7 || code < -7 ? 1 : 0;
    }
    EXPECT_GT(zeros, kOutputs * kInputs / 12);
    EXPECT_GT(wide, 0U);
    EXPECT_LT(wide, kOutputs * kInputs / 15);
  }
}

}  // namespace
}  // namespace slim
