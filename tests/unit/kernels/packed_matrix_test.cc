#include "kernels/packed_matrix.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace slim {
namespace {

std::vector<std::byte> AnyBytes(uint64_t count) {
  std::mt19937 random(1);
  std::vector<std::byte> bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

TEST(PackedMatrix, RowsComeBackAsTheyWere) {
  for (const DType dtype : {DType::kI8, DType::kBF16, DType::kF16, DType::kF32}) {
    for (const uint64_t n : {1U, 31U, 32U, 33U, 96U}) {
      for (const uint64_t k : {1U, 3U, 4U, 17U, 64U}) {
        const uint64_t width = k * (DTypeBits(dtype) / 8);
        const uint64_t stride = width + 5;
        const std::vector<std::byte> w = AnyBytes(n * stride);
        Buffer rows(n * width);
        for (uint64_t i = 0; i < n; ++i)
          std::copy_n(w.data() + i * stride, width, rows.data() + i * width);
        const PackedMatrix strided = PackMatrix(dtype, n, k, w.data(), stride);
        const PackedMatrix own = PackMatrix(dtype, n, k, std::move(rows));
        std::vector<std::byte> row(width);
        for (uint64_t i = 0; i < n; ++i) {
          const std::vector<std::byte> expected(w.data() + i * stride,
                                                w.data() + i * stride + width);
          UnpackRow(strided, i, row.data());
          ASSERT_EQ(row, expected) << DTypeName(dtype) << " n " << n << " k " << k;
          UnpackRow(own, i, row.data());
          ASSERT_EQ(row, expected) << DTypeName(dtype) << " n " << n << " k " << k;
        }
      }
    }
  }
}

TEST(PackedMatrix, WholePanelsStayInTheirMemory) {
  Buffer rows(uint64_t{64} * 8 * 2);
  const std::byte* const place = rows.data();
  EXPECT_EQ(PackMatrix(DType::kBF16, 64, 8, std::move(rows)).data.data(), place);
}

}  // namespace
}  // namespace slim
