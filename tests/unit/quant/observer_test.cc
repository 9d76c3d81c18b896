#include "quant/observer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace slim {
namespace {

ActivationSettings Settings(ActivationMethod method, bool symmetric = false) {
  ActivationSettings settings;
  settings.dtype = CodeType::kInt8;
  settings.symmetric = symmetric;
  settings.method = method;
  return settings;
}

// Normal values with a few far out.
std::vector<float> LongTailed(size_t count, float outlier) {
  std::mt19937 generator(7);
  std::vector<float> values(count);
  for (float& value : values) {
    double sum = 0;  // of uniforms: nearly normal, the same everywhere
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(generator()) / 4294967296.0;
    value = static_cast<float>(sum - 6.0);
  }
  values[count / 2] = outlier;
  return values;
}

double SquaredError(const std::vector<float>& values, const ValueRange& range) {
  const double scale = (static_cast<double>(range.max) - static_cast<double>(range.min)) / 255.0;
  double sum = 0;
  for (const float value : values) {
    const double clamped = std::clamp(static_cast<double>(value), static_cast<double>(range.min),
                                      static_cast<double>(range.max));
    const double quantized = std::nearbyint(clamped / scale) * scale;
    sum += (quantized - static_cast<double>(value)) * (quantized - static_cast<double>(value));
  }
  return sum;
}

TEST(Observer, MinMaxAggregates) {
  ActivationSettings settings = Settings(ActivationMethod::kMinMax);
  const std::vector<float> first = {-1, 2};
  const std::vector<float> second = {-3, 1};
  ActivationObserver widest(settings);
  settings.aggregation = Aggregation::kMean;
  ActivationObserver mean(settings);
  for (ActivationObserver* observer : {&widest, &mean}) {
    observer->AddSample(first.data(), 2);
    observer->AddSample(second.data(), 2);
  }
  EXPECT_EQ(widest.Range().min, -3.0F);
  EXPECT_EQ(widest.Range().max, 2.0F);
  EXPECT_EQ(mean.Range().min, -2.0F);
  EXPECT_EQ(mean.Range().max, 1.5F);
}

TEST(Observer, HistogramClipsWhereThatPays) {
  const std::vector<float> values = LongTailed(200000, 60.0F);
  for (const bool symmetric : {false, true}) {
    ActivationObserver observer(Settings(ActivationMethod::kHistogram, symmetric));
    observer.AddSample(values.data(), values.size());
    const ValueRange range = observer.Range();
    const ValueRange full = {symmetric ? -60.0F : -6.0F, 60.0F};
    EXPECT_LT(range.max, 60.0F);
    EXPECT_LT(SquaredError(values, range), SquaredError(values, full));
  }
  // Without outliers nothing is worth clipping by much.
  std::vector<float> flat(10000);
  for (size_t i = 0; i < flat.size(); ++i) flat[i] = static_cast<float>(i) / 5000.0F - 1.0F;
  ActivationObserver observer(Settings(ActivationMethod::kHistogram));
  observer.AddSample(flat.data(), flat.size());
  EXPECT_NEAR(observer.Range().min, -1.0F, 0.02F);
  EXPECT_NEAR(observer.Range().max, 1.0F, 0.02F);
}

TEST(Observer, PercentileLeavesTheTailsOut) {
  std::vector<float> values(100000);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) / 100000.0F;
  ActivationSettings settings = Settings(ActivationMethod::kPercentile);
  settings.percentile = 90.0;
  ActivationObserver observer(settings);
  observer.AddSample(values.data(), values.size());
  EXPECT_NEAR(observer.Range().min, 0.05F, 0.001F);
  EXPECT_NEAR(observer.Range().max, 0.95F, 0.001F);
  settings.symmetric = true;
  ActivationObserver symmetric(settings);
  symmetric.AddSample(values.data(), values.size());
  EXPECT_NEAR(symmetric.Range().max, 0.9F, 0.001F);
}

TEST(Observer, HistogramDoesNotDependOnTheOrderOfSamples) {
  const std::vector<float> narrow = LongTailed(5000, 0.5F);
  const std::vector<float> wide = LongTailed(5000, 300.0F);
  ActivationObserver first(Settings(ActivationMethod::kHistogram));
  first.AddSample(narrow.data(), narrow.size());
  first.AddSample(wide.data(), wide.size());
  ActivationObserver second(Settings(ActivationMethod::kHistogram));
  second.AddSample(wide.data(), wide.size());
  second.AddSample(narrow.data(), narrow.size());
  EXPECT_EQ(first.Range().min, second.Range().min);
  EXPECT_EQ(first.Range().max, second.Range().max);
}

// Traditional act_method 3: max|x| / std above 50 takes the full range.
TEST(Observer, AutoChoosesByTheOutliers) {
  const std::vector<float> mild = LongTailed(200000, 20.0F);
  const std::vector<float> peaked = LongTailed(200000, 80.0F);
  ActivationObserver first(Settings(ActivationMethod::kAuto));
  first.AddSample(mild.data(), mild.size());
  EXPECT_LT(first.Range().max, 20.0F);
  ActivationObserver second(Settings(ActivationMethod::kAuto));
  second.AddSample(peaked.data(), peaked.size());
  EXPECT_EQ(second.Range().max, 80.0F);
}

// Two channels: a wide one that the linears hardly read, a narrow one that they do.
struct WeighedProblem {
  std::vector<float> values;
  std::vector<float> weights = {0.0004F, 1.0F};
};

WeighedProblem MakeWeighed() {
  WeighedProblem problem;
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int i = 0; i < 3000; ++i) {
    problem.values.push_back(40.0F * normal(random));
    problem.values.push_back(0.5F + normal(random));
  }
  return problem;
}

double WeighedError(const WeighedProblem& problem, double low, double high) {
  const double scale = (high - low) / 255.0;
  const double offset = std::nearbyint(-low / scale) - 128.0;
  double sum = 0;
  for (size_t i = 0; i < problem.values.size(); ++i) {
    const double x = problem.values[i];
    const double code = std::clamp(std::nearbyint(x / scale) + offset, -128.0, 127.0);
    const double error = x - (code - offset) * scale;
    sum += problem.weights[i % 2] * error * error;
  }
  return sum;
}

TEST(ActivationObserver, OutputIsTheBestRangeOfAGridOverTheValuesThemselves) {
  const WeighedProblem problem = MakeWeighed();
  ActivationObserver observer(Settings(ActivationMethod::kOutput), problem.weights);
  observer.AddSample(problem.values.data(), 2000);
  observer.AddSample(problem.values.data() + 2000, problem.values.size() - 2000);
  const auto [low, high] = std::minmax_element(problem.values.begin(), problem.values.end());
  double best = WeighedError(problem, *low, *high);
  const double widest = best;
  for (double a = 1; a > 0.02; a *= 0.9) {
    for (double b = 1; b > 0.02; b *= 0.9)
      best = std::min(best, WeighedError(problem, *low * a, *high * b));
  }
  const ValueRange range = observer.Range();
  const double found = WeighedError(problem, range.min, range.max);
  EXPECT_LT(found, 1.02 * best);
  EXPECT_LT(found, 0.5 * widest);
}

}  // namespace
}  // namespace slim
