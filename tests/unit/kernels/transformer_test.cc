#include "kernels/transformer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "every_isa.h"
#include "kernels/math.h"
#include "kernels/matmul.h"

namespace slim {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> Inputs(uint64_t n, uint32_t seed) {
  return seed % 3 == 0 ? AnyFloats(n, seed) : NormalFloats(n, seed, 5.0F);
}

TEST(Transformer, SameBitsOnEveryInstructionSet) {
  for (uint64_t n = 1; n <= 70; ++n) {
    for (uint32_t seed = 0; seed < 4; ++seed) {
      const std::vector<float> a = Inputs(n, seed);
      const std::vector<float> b = Inputs(n, seed + 50);
      ExpectSameBits([&] {
        std::vector<float> y(n);
        RmsNorm(a.data(), b.data(), n, 1e-6F, y.data());
        return y;
      });
      ExpectSameBits([&] {
        std::vector<float> y(n);
        SiluMul(a.data(), b.data(), n, y.data());
        return y;
      });
      OnEveryIsa([&] {
        if (n % 2 != 0) return;
        std::vector<float> whole(n);
        SiluMul(a.data(), b.data(), n, whole.data());
        std::vector<float> rows(n + 3, 0.0F);
        SiluMulRows(a.data(), b.data(), 2, n / 2, rows.data(), n / 2 + 3);
        rows.erase(rows.begin() + static_cast<ptrdiff_t>(n / 2),
                   rows.begin() + static_cast<ptrdiff_t>(n / 2) + 3);
        EXPECT_EQ(AllBits(rows), AllBits(whole));
      });
      ExpectSameBits([&] {
        std::vector<float> y = a;
        Softmax(y.data(), n);
        return y;
      });
      ExpectSameBits([&] {
        std::vector<float> y = a;
        AddInPlace(y.data(), b.data(), n);
        Axpy(1.37F, b.data(), y.data(), n);
        return y;
      });
    }
  }
}

TEST(RmsNorm, FollowsTheDefinition) {
  OnEveryIsa([] {
    const std::vector<float> x = NormalFloats(37, 1);
    const std::vector<float> weight = NormalFloats(37, 2);
    std::vector<float> y(37);
    RmsNorm(x.data(), weight.data(), 37, 1e-6F, y.data());
    const float factor = RsqrtF(Dot(x.data(), x.data(), 37) / 37.0F + 1e-6F);
    for (size_t i = 0; i < 37; ++i) EXPECT_EQ(y[i], weight[i] * (x[i] * factor));
  });
}

TEST(SiluMul, UsesTheExpOfMathAndDefinesTheEnds) {
  OnEveryIsa([] {
    const std::vector<float> gate = {-3.5F, 0.0F, 2.25F, 200.0F, -200.0F, kInf, 88.9F, -103.5F};
    const std::vector<float> up(gate.size(), 1.0F);
    std::vector<float> out(gate.size());
    SiluMul(gate.data(), up.data(), gate.size(), out.data());
    for (size_t i = 0; i < gate.size(); ++i) {
      EXPECT_EQ(Bits(out[i]), Bits(gate[i] / (1.0F + ExpF(-gate[i])))) << gate[i];
    }
    EXPECT_EQ(out[3], 200.0F);
    EXPECT_EQ(out[5], kInf);
  });
}

// The vector exp and ExpF run the same operations.
TEST(SiluMul, ExpAgreesEverywhere) {
  OnEveryIsa([] {
    std::vector<float> gate = AnyFloats(20000, 9);
    for (float x = -110.0F; x < 95.0F; x += 0.0137F) gate.push_back(x);
    const std::vector<float> up(gate.size(), 1.0F);
    std::vector<float> out(gate.size());
    SiluMul(gate.data(), up.data(), gate.size(), out.data());
    for (size_t i = 0; i < gate.size(); ++i) {
      ASSERT_EQ(Bits(out[i]), Bits(gate[i] / (1.0F + ExpF(-gate[i])))) << gate[i];
    }
  });
}

TEST(Softmax, SumsToOneInTheLanes) {
  OnEveryIsa([] {
    for (const uint64_t n : {1U, 5U, 16U, 17U, 64U, 100U}) {
      const std::vector<float> logits = NormalFloats(n, static_cast<uint32_t>(n), 4.0F);
      std::vector<float> y = logits;
      Softmax(y.data(), n);
      float max = -kInf;
      for (const float v : logits) max = std::max(max, v);
      float lanes[16] = {};
      for (uint64_t i = 0; i < n; ++i) lanes[i % 16] += ExpF(logits[i] - max);
      for (int half = 8; half >= 1; half /= 2) {
        for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
      }
      for (uint64_t i = 0; i < n; ++i) ASSERT_EQ(y[i], ExpF(logits[i] - max) / lanes[0]);
    }
  });
}

TEST(Softmax, MaskedEntriesGetNothing) {
  OnEveryIsa([] {
    std::vector<float> y = {1.0F, -kInf, 1.0F, -kInf};
    Softmax(y.data(), y.size());
    EXPECT_EQ(y, (std::vector<float>{0.5F, 0.0F, 0.5F, 0.0F}));
    std::vector<float> large = {1e30F, 1e30F};
    Softmax(large.data(), 2);
    EXPECT_EQ(large, (std::vector<float>{0.5F, 0.5F}));
  });
}

TEST(Axpy, IsFused) {
  OnEveryIsa([] {
    for (uint64_t n = 0; n <= 70; ++n) {
      const std::vector<float> x = NormalFloats(n, static_cast<uint32_t>(n));
      std::vector<float> y = NormalFloats(n, static_cast<uint32_t>(n) + 1000);
      std::vector<float> expected;
      for (uint64_t i = 0; i < n; ++i) expected.push_back(std::fma(0.3F, x[i], y[i]));
      Axpy(0.3F, x.data(), y.data(), n);
      EXPECT_EQ(y, expected);
    }
  });
}

TEST(AddInPlace, AddsEachElement) {
  OnEveryIsa([] {
    std::vector<float> y = {1.0F, -2.0F, 0.5F};
    const std::vector<float> x = {0.25F, 2.0F, -4.0F};
    AddInPlace(y.data(), x.data(), 3);
    EXPECT_EQ(y, (std::vector<float>{1.25F, 0.0F, -3.5F}));
  });
}

}  // namespace
}  // namespace slim
