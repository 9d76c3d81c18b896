#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "every_isa.h"
#include "kernels/convert.h"
#include "kernels/packed_matmul.h"

namespace slim {
namespace {

// The definition in kernels/matmul.h, word by word.
float ReferenceDot(const float* a, const float* b, uint64_t k) {
  float lanes[16] = {};
  for (uint64_t i = 0; i < (k + 15) / 16 * 16; ++i) {
    lanes[i % 16] = std::fma(i < k ? a[i] : 0.0F, i < k ? b[i] : 0.0F, lanes[i % 16]);
  }
  for (int half = 8; half >= 1; half /= 2) {
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

TEST(Dot, IsTheDefinitionAtEveryLength) {
  OnEveryIsa([] {
    for (uint64_t k = 0; k <= 70; ++k) {
      const std::vector<float> a = NormalFloats(k + 1, static_cast<uint32_t>(k));
      const std::vector<float> b = NormalFloats(k + 3, static_cast<uint32_t>(k) + 100);
      EXPECT_EQ(Bits(Dot(&a[1], &b[3], k)), Bits(ReferenceDot(&a[1], &b[3], k)));
    }
  });
}

// Sums that cancel, underflow, overflow and tie: where a multiply and an add differ from a fused
// one.
TEST(Dot, FusedMultiplyAddIsExactOnAnyBits) {
  OnEveryIsa([] {
    for (uint32_t seed = 0; seed < 3000; ++seed) {
      const std::vector<float> a = AnyFloats(32, seed);
      std::vector<float> b = AnyFloats(32, seed + 5000);
      if (seed % 3 == 0) {
        // The second step nearly cancels the first.
        for (size_t i = 0; i < 16; ++i) b[i + 16] = -a[i] * b[i] / a[i + 16];
      }
      ASSERT_EQ(Bits(Dot(a.data(), b.data(), 32)), Bits(ReferenceDot(a.data(), b.data(), 32)));
    }
  });
}

struct Matrix {
  std::vector<std::byte> storage;  // one byte ahead, so that rows are unaligned
  TensorView view;
  std::vector<float> values;
};

Matrix MakeWeights(DType dtype, uint64_t n, uint64_t k, uint32_t seed) {
  Matrix m;
  m.values = NormalFloats(n * k, seed, 0.05F);
  RoundToDType(dtype, m.values.data(), n * k);
  const uint64_t bytes = n * k * DTypeBits(dtype) / 8;
  m.storage.resize(bytes + 1);
  FromFloat(dtype, m.values.data(), m.storage.data() + 1, n * k);
  m.view = {dtype, {n, k}, std::span<const std::byte>(m.storage).subspan(1)};
  return m;
}

void CheckMatMul(DType dtype, uint64_t t, uint64_t n, uint64_t k) {
  const Matrix w = MakeWeights(dtype, n, k, 11);
  const std::vector<float> x = NormalFloats(t * k, 12);
  std::vector<uint32_t> expected;
  for (uint64_t i = 0; i < t; ++i) {
    for (uint64_t j = 0; j < n; ++j) {
      expected.push_back(Bits(ReferenceDot(&x[i * k], &w.values[j * k], k)));
    }
  }
  for (const int threads : {1, 2, 8}) {
    ThreadPool pool(threads);
    std::vector<float> y(t * n, -1.0F);
    MatMul(x.data(), t, w.view, y.data(), pool);
    ASSERT_EQ(AllBits(y), expected)
        << DTypeName(dtype) << " t " << t << " n " << n << " k " << k << " threads " << threads;
  }
}

TEST(MatMul, EveryElementIsTheSameDotProduct) {
  OnEveryIsa([] {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const uint64_t t : {1U, 3U, 4U, 7U, 8U, 13U}) {
        CheckMatMul(dtype, t, 29, 50);
        CheckMatMul(dtype, t, 12, 64);
      }
      CheckMatMul(dtype, 9, 101, 1);
      CheckMatMul(dtype, 2, 1, 33);
    }
  });
}

TEST(MatMul, EmptySidesWriteNothing) {
  ThreadPool pool(2);
  const Matrix w = MakeWeights(DType::kBF16, 5, 16, 1);
  MatMul(nullptr, 0, w.view, nullptr, pool);
  const Matrix empty = MakeWeights(DType::kF32, 0, 16, 1);
  const std::vector<float> x(16, 1.0F);
  MatMul(x.data(), 1, empty.view, nullptr, pool);
}

// |y - exact| <= gamma * sum |x||w| with gamma = (k / 16 + 4) * 2^-24: the depth of the lanes and
// of the tree (Higham, "Accuracy and Stability of Numerical Algorithms", 3.1 and 4.2).
template <class Product>
void CheckErrorBound(const Product& product, double depth, DType dtype, uint64_t t, uint64_t n,
                     uint64_t k) {
  const Matrix w = MakeWeights(dtype, n, k, 21);
  const std::vector<float> x = NormalFloats(t * k, 22);
  std::vector<float> y(t * n);
  ThreadPool pool(2);
  product(x.data(), t, w.view, y.data(), pool);
  for (uint64_t i = 0; i < t; ++i) {
    for (uint64_t j = 0; j < n; ++j) {
      double exact = 0;
      double norm = 0;
      for (uint64_t l = 0; l < k; ++l) {
        const double term =
            static_cast<double>(x[i * k + l]) * static_cast<double>(w.values[j * k + l]);
        exact += term;
        norm += std::fabs(term);
      }
      ASSERT_LE(std::fabs(static_cast<double>(y[i * n + j]) - exact), depth * 0x1p-24 * norm);
    }
  }
}

TEST(MatMul, ErrorIsWithinTheBoundFromNorms) {
  OnEveryIsa([] {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      CheckErrorBound(MatMul, 1000.0 / 16 + 5, dtype, 5, 17, 1000);
    }
  });
}

// As MatMul, with the weights packed on the way.
void PackAndMultiply(const float* x, uint64_t t, const TensorView& w, float* y, ThreadPool& pool) {
  const uint64_t stride = w.shape[1] * (DTypeBits(w.dtype) / 8);
  const PackedMatrix packed = PackMatrix(w.dtype, w.shape[0], w.shape[1], w.bytes.data(), stride);
  MatMulPacked(x, t, packed, y, pool);
}

// The definition in kernels/packed_matmul.h: one sum by rising k.
void CheckMatMulPacked(DType dtype, uint64_t t, uint64_t n, uint64_t k) {
  const Matrix w = MakeWeights(dtype, n, k, 11);
  const std::vector<float> x = NormalFloats(t * k, 12);
  std::vector<uint32_t> expected;
  for (uint64_t i = 0; i < t; ++i) {
    for (uint64_t j = 0; j < n; ++j) {
      float sum = 0;
      for (uint64_t l = 0; l < k; ++l) sum = std::fma(x[i * k + l], w.values[j * k + l], sum);
      expected.push_back(Bits(sum));
    }
  }
  for (const int threads : {1, 2, 8}) {
    ThreadPool pool(threads);
    std::vector<float> y(t * n, -1.0F);
    PackAndMultiply(x.data(), t, w.view, y.data(), pool);
    ASSERT_EQ(AllBits(y), expected)
        << DTypeName(dtype) << " t " << t << " n " << n << " k " << k << " threads " << threads;
  }
}

TEST(MatMulPacked, EveryElementIsOneSumByRisingK) {
  OnEveryIsa([] {
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
      for (const uint64_t t : {1U, 2U, 5U, 6U, 7U, 11U, 12U, 13U, 30U}) {
        CheckMatMulPacked(dtype, t, 29, 50);
        CheckMatMulPacked(dtype, t, 64, 17);
      }
      CheckMatMulPacked(dtype, 150, 101, 1);
      CheckMatMulPacked(dtype, 2, 1, 33);
      CheckMatMulPacked(dtype, 3, 40, 0);
      CheckMatMulPacked(dtype, 0, 40, 8);
    }
  });
}

TEST(MatMulPacked, ErrorIsWithinTheBoundOfAnyOrder) {
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) {
    CheckErrorBound(PackAndMultiply, 1000, dtype, 1, 33, 1000);
    CheckErrorBound(PackAndMultiply, 1000, dtype, 40, 130, 1000);
    CheckErrorBound(PackAndMultiply, 70, dtype, 65, 1, 70);
  }
}

// Every element against the float product of the same rounded inputs, in terms of the sum of
// magnitudes: an error of k roundings each.
void CheckMatMulBf16(uint64_t t, uint64_t n, uint64_t k) {
  const Matrix w = MakeWeights(DType::kBF16, n, k, 11);
  const PackedMatrix packed = PackMatrix(DType::kBF16, n, k, w.view.bytes.data(), k * 2);
  const std::vector<float> x = NormalFloats(t * k, 12);
  std::vector<float> rounded = x;
  RoundToDType(DType::kBF16, rounded.data(), rounded.size());
  std::vector<uint32_t> first;
  for (const int threads : {1, 2, 8}) {
    ThreadPool pool(threads);
    std::vector<float> y(t * n, -1.0F);
    MatMulBf16(x.data(), t, packed, y.data(), pool);
    for (uint64_t i = 0; i < t * n; ++i) {
      double exact = 0;
      double norm = 0;
      for (uint64_t l = 0; l < k; ++l) {
        const double term = static_cast<double>(rounded[i / n * k + l]) *
                            static_cast<double>(w.values[i % n * k + l]);
        exact += term;
        norm += std::fabs(term);
      }
      ASSERT_LE(std::fabs(static_cast<double>(y[i]) - exact),
                static_cast<double>(k) * 0x1p-24 * norm)
          << "t " << t << " n " << n << " k " << k;
    }
    if (first.empty()) first = AllBits(y);
    ASSERT_EQ(AllBits(y), first) << "threads " << threads;
  }
}

TEST(MatMulBf16, IsTheProductOfRoundedInputs) {
  OnEveryIsa([] {
    for (const uint64_t t : {1U, 2U, 11U, 12U, 13U, 30U}) {
      CheckMatMulBf16(t, 29, 50);
      CheckMatMulBf16(t, 64, 17);
    }
    CheckMatMulBf16(150, 101, 1);
    CheckMatMulBf16(3, 40, 0);
    CheckMatMulBf16(0, 40, 8);
  });
}

// Rows are computed alone or with others, whatever the caller hands in at once.
TEST(MatMulBf16, ARowHasTheSameBitsInAnyCompany) {
  constexpr uint64_t kRows = 25;
  constexpr uint64_t kN = 40;
  constexpr uint64_t kK = 131;
  const Matrix w = MakeWeights(DType::kBF16, kN, kK, 11);
  const PackedMatrix packed = PackMatrix(DType::kBF16, kN, kK, w.view.bytes.data(), kK * 2);
  const std::vector<float> x = NormalFloats(kRows * kK, 12);
  OnEveryIsa([&] {
    ThreadPool pool(2);
    std::vector<float> together(kRows * kN);
    std::vector<float> alone(kRows * kN);
    MatMulBf16(x.data(), kRows, packed, together.data(), pool);
    for (uint64_t i = 0; i < kRows; ++i)
      MatMulBf16(x.data() + i * kK, 1, packed, alone.data() + i * kN, pool);
    EXPECT_EQ(AllBits(alone), AllBits(together));
  });
}

std::vector<int8_t> AnyCodes(uint64_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<int8_t> codes(count);
  for (int8_t& code : codes) code = static_cast<int8_t>(random());
  return codes;
}

void CheckMatMulInt8(uint64_t t, uint64_t n, uint64_t k) {
  const std::vector<int8_t> x = AnyCodes(t * k + 1, 41);
  const std::vector<int8_t> w = AnyCodes(n * k + 3, 42);
  std::vector<int32_t> expected(t * n, 0);
  for (uint64_t i = 0; i < t; ++i) {
    for (uint64_t j = 0; j < n; ++j) {
      for (uint64_t l = 0; l < k; ++l) expected[i * n + j] += x[1 + i * k + l] * w[3 + j * k + l];
    }
  }
  for (const int threads : {1, 2, 8}) {
    ThreadPool pool(threads);
    std::vector<int32_t> y(t * n, -1);
    MatMulInt8(&x[1], t, &w[3], n, k, y.data(), pool);
    ASSERT_EQ(y, expected) << "t " << t << " n " << n << " k " << k;
  }
}

TEST(MatMulInt8, IsExactAtEveryLength) {
  OnEveryIsa([] {
    for (uint64_t k = 0; k <= 70; ++k) CheckMatMulInt8(3, 5, k);
    for (const uint64_t k : {127U, 128U, 129U, 200U}) CheckMatMulInt8(9, 31, k);
    for (uint64_t t = 1; t <= 13; ++t) CheckMatMulInt8(t, 64, 30);
    CheckMatMulInt8(1, 1, 64);
    CheckMatMulInt8(1, 300, 65);
    CheckMatMulInt8(150, 101, 65);
    CheckMatMulInt8(0, 7, 64);
  });
}

TEST(MatMulInt8PackedPair, GivesBothProductsOfEveryElementOnce) {
  constexpr uint64_t kT = 29;
  constexpr uint64_t kN = 101;
  constexpr uint64_t kK = 66;
  const std::vector<int8_t> x = AnyCodes(kT * kK, 1);
  const std::vector<int8_t> weights[] = {AnyCodes(kN * kK, 2), AnyCodes(kN * kK, 3)};
  OnEveryIsa([&] {
    ThreadPool pool(2);
    std::vector<int32_t> wanted[2];
    PackedMatrix packed[2];
    for (size_t i = 0; i < 2; ++i) {
      wanted[i].resize(kT * kN);
      MatMulInt8(x.data(), kT, weights[i].data(), kN, kK, wanted[i].data(), pool);
      packed[i] =
          PackMatrix(DType::kI8, kN, kK, reinterpret_cast<const std::byte*>(weights[i].data()), kK);
    }
    PackedCodes codes;
    codes.Pack(x.data(), kT, kK, pool);
    std::vector<int> visits(kT * kN);
    MatMulInt8PackedPair(codes, packed[0], packed[1], pool,
                         [&](const Int8Sums& first, const Int8Sums& second) {
                           for (uint64_t i = 0; i < first.rows; ++i) {
                             for (uint64_t j = 0; j < first.columns; ++j) {
                               const uint64_t element = (first.row + i) * kN + first.column + j;
                               ++visits[element];
                               EXPECT_EQ(first.sums[i * first.stride + j], wanted[0][element]);
                               EXPECT_EQ(second.sums[i * second.stride + j], wanted[1][element]);
                             }
                           }
                         });
    EXPECT_EQ(visits, std::vector<int>(kT * kN, 1));
  });
}

TEST(MatMulInt8, ExtremesDoNotSaturate) {
  OnEveryIsa([] {
    for (const uint64_t k : {2U, 4096U, 65536U}) {
      for (const int a : {-128, 127}) {
        for (const int b : {-128, 127}) {
          const std::vector<int8_t> x(5 * k, static_cast<int8_t>(a));
          const std::vector<int8_t> w(6 * k, static_cast<int8_t>(b));
          std::vector<int32_t> y(30);
          ThreadPool pool(1);
          MatMulInt8(x.data(), 5, w.data(), 6, k, y.data(), pool);
          EXPECT_EQ(y, std::vector<int32_t>(30, a * b * static_cast<int32_t>(k)));
        }
      }
    }
  });
}

}  // namespace
}  // namespace slim
