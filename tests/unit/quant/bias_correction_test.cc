#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "quant/linear_parts.h"
#include "quant/weights.h"

namespace slim {
namespace {

constexpr uint64_t kOutputs = 24;
constexpr uint64_t kInputs = 64;
constexpr uint64_t kTokens = 200;

struct Problem {
  Tensor weight = Tensor(DType::kF32, {kOutputs, kInputs});
  Tensor bias = Tensor(DType::kF32, {kOutputs});
  std::vector<float> inputs;  // [tokens, k], far from centred
  std::vector<float> mean;
};

Problem MakeProblem() {
  Problem problem;
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  for (float& value : problem.weight.as<float>()) value = 0.1F * normal(random);
  for (float& value : problem.bias.as<float>()) value = normal(random);
  problem.mean.resize(kInputs);
  for (uint64_t i = 0; i < kTokens * kInputs; ++i) {
    problem.inputs.push_back(static_cast<float>(i % kInputs % 5) + normal(random));
    problem.mean[i % kInputs] += problem.inputs.back() / kTokens;
  }
  return problem;
}

LinearPlan PlanOf(Scheme scheme, bool has_bias, bool correct) {
  const LinearSettings settings = SettingsOf(scheme);
  LinearPlan plan;
  plan.name = "model.layers.0.self_attn.q_proj";
  plan.n = kOutputs;
  plan.k = kInputs;
  plan.has_bias = has_bias;
  plan.scheme = scheme;
  plan.activation = settings.activation;
  plan.weight = settings.weight;
  plan.weight.bias_correction = correct;
  return plan;
}

LinearRecord Quantized(const Problem& problem, const LinearPlan& plan) {
  ThreadPool pool(2);
  WeightInput input;
  input.weight = problem.weight.view();
  if (plan.has_bias) input.bias = problem.bias.view();
  input.activation = QuantizationRange{0.04F, -30.0F};
  input.mean = problem.mean;
  QuantOptions options;
  options.recipe.layout = Dialect::kMindIE;  // int4 codes one a byte
  return QuantizeLinear(plan, input, options, DType::kF32, pool).value();
}

// The largest mean error of an output over the tokens: float inputs, integer weights, and the bias
// as the loaders have it: inside quant_bias for static types.
double LargestMeanError(const Problem& problem, const LinearPlan& plan,
                        const LinearRecord& record) {
  const auto codes = record[Role::kWeight].as<int8_t>();
  const std::vector<float> bias = PartAsFloats(record, Role::kBias);
  const std::vector<float> deq = PartAsFloats(record, Role::kDeqScale);
  double largest = 0;
  for (uint64_t i = 0; i < kOutputs; ++i) {
    const double scale = record.Has(Role::kDeqScale)
                             ? static_cast<double>(deq[i]) / 0.04F
                             : static_cast<double>(record[Role::kWeightScale].as<float>()[i]);
    double sum = 0;
    double code_sum = 0;
    for (uint64_t j = 0; j < kInputs; ++j) {
      const double code = codes[i * kInputs + j];
      code_sum += code;
      const double lost = problem.weight.as<float>()[i * kInputs + j] - code * scale;
      for (uint64_t t = 0; t < kTokens; ++t) sum += lost * problem.inputs[t * kInputs + j];
    }
    double added = bias.empty() ? 0.0 : static_cast<double>(bias[i]);
    if (record.Has(Role::kQuantBias))
      added = (record[Role::kQuantBias].as<int32_t>()[i] - 30.0 * code_sum) * deq[i];
    const double wanted = plan.has_bias ? static_cast<double>(problem.bias.as<float>()[i]) : 0.0;
    largest = std::max(largest, std::fabs(sum / kTokens + wanted - added));
  }
  return largest;
}

TEST(BiasCorrection, TakesTheMeanErrorOffEveryOutput) {
  const Problem problem = MakeProblem();
  for (const Scheme scheme : {Scheme::kW8A8, Scheme::kW8A8Dynamic, Scheme::kW4A8Dynamic}) {
    for (const bool has_bias : {true, false}) {
      const LinearPlan plain = PlanOf(scheme, has_bias, false);
      const LinearPlan corrected = PlanOf(scheme, has_bias, true);
      const double before = LargestMeanError(problem, plain, Quantized(problem, plain));
      const LinearRecord record = Quantized(problem, corrected);
      const double after = LargestMeanError(problem, corrected, record);
      EXPECT_GT(before, 0.005);
      EXPECT_EQ(record.Has(Role::kBias), has_bias) << SchemeName(scheme);
      if (has_bias || scheme == Scheme::kW8A8) {
        EXPECT_LT(after, 0.05 * before) << SchemeName(scheme) << has_bias;
      } else {
        EXPECT_EQ(after, before);  // nowhere to put it
      }
      EXPECT_EQ(CorrectsBias(corrected), has_bias || scheme == Scheme::kW8A8);
    }
  }
}

}  // namespace
}  // namespace slim
