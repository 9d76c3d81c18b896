#include "quant/weight_sparse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace slim {
namespace {

constexpr uint64_t kOutputs = 12;
constexpr uint64_t kInputs = 20;
constexpr uint64_t kTokens = 80;
using Matrix = std::vector<std::vector<double>>;

struct Problem {
  Tensor weight = Tensor(DType::kF32, {kOutputs, kInputs});
  Matrix inputs = Matrix(kTokens, std::vector<double>(kInputs));
  std::vector<float> moments = std::vector<float>(kInputs * kInputs);
};

Problem MakeProblem() {
  Problem problem;
  std::mt19937 random(5);
  std::normal_distribution<double> normal;
  for (float& value : problem.weight.as<float>()) value = static_cast<float>(normal(random));
  for (auto& x : problem.inputs) {
    double carried = 0;
    for (uint64_t j = 0; j < kInputs; ++j) {
      carried = 0.8 * carried + normal(random);
      x[j] = carried * (j % 3 == 0 ? 4 : 1);
    }
    for (uint64_t i = 0; i < kInputs * kInputs; ++i)
      problem.moments[i] += static_cast<float>(x[i / kInputs] * x[i % kInputs]);
  }
  return problem;
}

Matrix Product(const Matrix& a, const Matrix& b) {
  Matrix c(a.size(), std::vector<double>(b[0].size()));
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t k = 0; k < b.size(); ++k) {
      for (size_t j = 0; j < b[0].size(); ++j) c[i][j] += a[i][k] * b[k][j];
    }
  }
  return c;
}

Matrix Inverse(Matrix a) {
  const size_t n = a.size();
  Matrix b(n, std::vector<double>(n));
  for (size_t i = 0; i < n; ++i) b[i][i] = 1;
  for (size_t i = 0; i < n; ++i) {
    const double pivot = a[i][i];
    for (size_t j = 0; j < n; ++j) {
      a[i][j] /= pivot;
      b[i][j] /= pivot;
    }
    for (size_t r = 0; r < n; ++r) {
      const double factor = r == i ? 0 : a[r][i];
      for (size_t j = 0; j < n; ++j) {
        a[r][j] -= factor * a[i][j];
        b[r][j] -= factor * b[i][j];
      }
    }
  }
  return b;
}

// facts/algorithms.md 5.2, line by line, in double: Z is [inputs, outputs].
Matrix Reference(const Problem& problem, double ratio) {
  Matrix h(kInputs, std::vector<double>(kInputs));
  std::vector<double> norm(kInputs);
  for (size_t i = 0; i < kInputs; ++i)
    norm[i] = std::sqrt(static_cast<double>(problem.moments[i * kInputs + i])) + 1e-8;
  double trace = 0;
  for (size_t i = 0; i < kInputs; ++i) {
    for (size_t j = 0; j < kInputs; ++j)
      h[i][j] = problem.moments[i * kInputs + j] / norm[i] / norm[j];
    trace += h[i][i];
  }
  for (size_t i = 0; i < kInputs; ++i) h[i][i] += 0.1 * trace / kInputs;
  Matrix z(kInputs, std::vector<double>(kOutputs));
  for (size_t i = 0; i < kInputs; ++i) {
    for (size_t o = 0; o < kOutputs; ++o)
      z[i][o] = problem.weight.as<float>()[o * kInputs + i] * norm[i];
  }
  const Matrix g = Product(h, z);
  for (size_t i = 0; i < kInputs; ++i) h[i][i] += 1;
  const Matrix inverse = Inverse(h);
  Matrix u(kInputs, std::vector<double>(kOutputs));
  double threshold = 0;
  Matrix mask = u;
  for (int step = 0; step < 20; ++step) {
    if (step < 15) {
      std::vector<double> sizes;
      for (size_t i = 0; i < kInputs; ++i) {
        for (size_t o = 0; o < kOutputs; ++o) sizes.push_back(std::fabs(z[i][o] + u[i][o]));
      }
      std::sort(sizes.begin(), sizes.end());
      threshold = sizes[static_cast<size_t>(static_cast<double>(sizes.size()) * ratio)];
    }
    Matrix right = g;
    for (size_t i = 0; i < kInputs; ++i) {
      for (size_t o = 0; o < kOutputs; ++o) {
        const double sum = z[i][o] + u[i][o];
        if (step < 15) mask[i][o] = std::fabs(sum) >= threshold ? 1 : 0;
        const double s = sum * mask[i][o];
        u[i][o] += z[i][o] - s;
        right[i][o] += s - u[i][o];
      }
    }
    z = Product(inverse, right);
  }
  for (size_t i = 0; i < kInputs; ++i) {
    for (size_t o = 0; o < kOutputs; ++o) z[i][o] = (z[i][o] + u[i][o]) * mask[i][o] / norm[i];
  }
  return z;
}

TEST(PruneWeight, IsTheAlgorithmOfTheFacts) {
  const Problem problem = MakeProblem();
  ThreadPool pool(2);
  const auto pruned =
      PruneWeight({problem.weight.view(), {}, DType::kF32}, 0.4, problem.moments, pool).value();
  const Matrix wanted = Reference(problem, 0.4);
  uint64_t zeros = 0;
  for (uint64_t o = 0; o < kOutputs; ++o) {
    for (uint64_t i = 0; i < kInputs; ++i) {
      EXPECT_NEAR(pruned[o * kInputs + i], wanted[i][o], 2e-3) << o << ' ' << i;
      zeros += pruned[o * kInputs + i] == 0 ? 1 : 0;
    }
  }
  EXPECT_EQ(zeros, kOutputs * kInputs * 4 / 10);
}

TEST(PruneWeight, LosesLessThanDroppingTheSmallest) {
  const Problem problem = MakeProblem();
  ThreadPool pool(2);
  const WeightRows rows{problem.weight.view(), {}, DType::kF32};
  const auto loss = [&](const std::vector<float>& pruned) {
    double sum = 0;
    for (const auto& x : problem.inputs) {
      for (uint64_t o = 0; o < kOutputs; ++o) {
        double error = 0;
        for (uint64_t i = 0; i < kInputs; ++i) {
          const uint64_t at = o * kInputs + i;
          error += x[i] * static_cast<double>(problem.weight.as<float>()[at] - pruned[at]);
        }
        sum += error * error;
      }
    }
    return sum;
  };
  EXPECT_LT(loss(PruneWeight(rows, 0.4, problem.moments, pool).value()),
            0.5 * loss(PruneWeight(rows, 0.4, {}, pool).value()));
}

TEST(TrimMantissas, KeepsQuartersAndPowersOfTwo) {
  std::vector<float> weight(200, 0.3F);  // 1.2 · 2^-2: a quarter step of 1.25
  weight[0] = 1.9F;                      // the 2 % that lose most keep theirs: 4 of 200
  weight[1] = 1.9F;
  weight[2] = 1.9F;
  weight[3] = -1.9F;
  weight[4] = 0.00098F;  // 1.00352 · 2^-10
  weight[5] = -0.0018F;  // 1.8432 · 2^-10: two
  weight[6] = 0.00003F;  // below 2^-14
  weight[7] = 0.0F;
  TrimMantissas(weight, 1, std::vector<float>{1.0F});
  EXPECT_NEAR(weight[0], 1.9F, 1e-3F);
  EXPECT_NEAR(weight[3], -1.9F, 1e-3F);
  EXPECT_EQ(weight[4], 0x1p-10F);
  EXPECT_EQ(weight[5], -0x1p-9F);
  EXPECT_EQ(weight[6], 0.0F);
  EXPECT_EQ(weight[7], 0.0F);
  EXPECT_EQ(weight[100], 0.3125F);
}

}  // namespace
}  // namespace slim
