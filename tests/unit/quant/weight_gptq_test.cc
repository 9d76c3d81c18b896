#include "quant/weight_gptq.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "kernels/every_isa.h"

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

// GPTQ as it is published, in double: after each column the inverse of H over the columns behind it
// says what its error does to them. Per-channel ranges; codes in the order of the rows.
std::vector<int> PublishedGptq(const std::vector<double>& weight, uint64_t n, uint64_t k,
                               std::vector<double> hessian, const std::vector<float>& scale) {
  // Gauss-Jordan: the inverse in place.
  for (uint64_t p = 0; p < k; ++p) {
    const double pivot = 1 / hessian[p * k + p];
    hessian[p * k + p] = 1;
    for (uint64_t j = 0; j < k; ++j) hessian[p * k + j] *= pivot;
    for (uint64_t i = 0; i < k; ++i) {
      if (i == p) continue;
      const double factor = hessian[i * k + p];
      hessian[i * k + p] = 0;
      for (uint64_t j = 0; j < k; ++j) hessian[i * k + j] -= factor * hessian[p * k + j];
    }
  }
  std::vector<double> left = weight;
  std::vector<int> codes(n * k);
  for (uint64_t p = 0; p < k; ++p) {
    const std::vector<double> row(hessian.begin() + static_cast<ptrdiff_t>(p * k),
                                  hessian.begin() + static_cast<ptrdiff_t>((p + 1) * k));
    for (uint64_t i = 0; i < n; ++i) {
      const double code = std::clamp(std::nearbyint(left[i * k + p] / scale[i]), -8.0, 7.0);
      codes[i * k + p] = static_cast<int>(code);
      const double error = (left[i * k + p] - code * scale[i]) / row[p];
      for (uint64_t j = p; j < k; ++j) left[i * k + j] -= error * row[j];
    }
    for (uint64_t i = p + 1; i < k; ++i) {
      const double factor = hessian[i * k + p] / row[p];
      for (uint64_t j = p + 1; j < k; ++j) hessian[i * k + j] -= factor * row[j];
    }
  }
  return codes;
}

// Three blocks of columns, the last one short; the same bits on every instruction set.
TEST(Gptq, GivesThePublishedCodesOnEveryInstructionSet) {
  constexpr uint64_t n = 24;
  constexpr uint64_t k = 300;
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<float> inputs(400 * k);
  for (uint64_t i = 0; i < inputs.size(); ++i)
    inputs[i] = normal(random) + (i % k == 0 ? 0.0F : 0.8F * inputs[i - 1]);
  std::vector<float> moments(k * k);
  std::vector<double> hessian(k * k);
  double trace = 0;
  for (uint64_t i = 0; i < k; ++i) {
    for (uint64_t j = 0; j < k; ++j) {
      for (uint64_t t = 0; t < 400; ++t)
        hessian[i * k + j] += static_cast<double>(inputs[t * k + i]) * inputs[t * k + j];
      moments[i * k + j] = static_cast<float>(hessian[i * k + j]);
    }
    trace += hessian[i * k + i];
  }
  for (uint64_t i = 0; i < k; ++i) hessian[i * k + i] += 0.01 * trace / k;
  Tensor weight(DType::kF32, {n, k});
  for (float& value : weight.as<float>()) value = normal(random);
  const WeightRows rows{weight.view(), {}, DType::kF32};
  WeightSettings settings;
  settings.dtype = CodeType::kInt4;
  ThreadPool pool(2);
  std::vector<int8_t> first;
  OnEveryIsa([&] {
    const IntegerWeight found = QuantizeGptq(rows, settings, moments, false, pool).value();
    const auto codes = found.codes.as<const int8_t>();
    if (first.empty()) {
      first.assign(codes.begin(), codes.end());
      const auto floats = weight.as<float>();
      const std::vector<int> wanted = PublishedGptq(
          std::vector<double>(floats.begin(), floats.end()), n, k, hessian, found.scale);
      size_t other = 0;
      for (size_t i = 0; i < wanted.size(); ++i) other += wanted[i] != codes[i] ? 1 : 0;
      EXPECT_LE(other, wanted.size() / 100);
    }
    EXPECT_TRUE(std::equal(codes.begin(), codes.end(), first.begin()));
  });
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
