#include "checkpoint/sparse_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "base/bytes.h"

namespace slim {
namespace {

Tensor SparseCodes(uint64_t n, uint64_t k, uint32_t seed) {
  Tensor codes(DType::kI8, {n, k});
  std::mt19937 random(seed);
  for (int8_t& code : codes.as<int8_t>())
    code = static_cast<int8_t>(random() % 3 == 0 ? static_cast<int>(random() % 16) - 8 : 0);
  return codes;
}

TEST(SparseCodec, ComesBackForAnyShape) {
  for (const auto& [n, k] : {std::pair(64, 64), std::pair(160, 64), std::pair(17, 33),
                             std::pair(130, 257), std::pair(16, 4096), std::pair(3, 500)}) {
    const Tensor codes = SparseCodes(static_cast<uint64_t>(n), static_cast<uint64_t>(k), 7);
    const auto made = CompressMatrix(codes.data.bytes(), codes.shape[0], codes.shape[1]);
    ASSERT_TRUE(made.ok()) << made.error().ToString();
    EXPECT_LT(made->weight.elements(), codes.elements());
    // Source document S003: 8 bytes for each 8 by 8 blocks of 16 rows and 32 columns.
    const auto up = [](uint64_t a, uint64_t b) { return (a + b - 1) / b; };
    EXPECT_EQ(made->index.elements(),
              up(up(codes.shape[1], 32), 8) * up(up(codes.shape[0], 16), 8) * 8);
    const auto back = DecompressMatrix(made->weight.view(), made->index.view(), made->info.view());
    ASSERT_TRUE(back.ok()) << back.error().ToString();
    EXPECT_EQ(back->shape, codes.shape);
    EXPECT_TRUE(std::ranges::equal(back->data.bytes(), codes.data.bytes())) << n << " " << k;
  }
}

TEST(SparseCodec, DenseWeightsAreRefused) {
  Tensor codes(DType::kI8, {64, 64});
  std::mt19937 random(3);
  for (int8_t& code : codes.as<int8_t>()) code = static_cast<int8_t>(random());
  const auto made = CompressMatrix(codes.data.bytes(), 64, 64);
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().rule, "SC-not-sparse");
}

TEST(SparseCodec, DamagedTensorsAreErrors) {
  const Tensor codes = SparseCodes(64, 64, 1);
  const auto unpack = [](const CompressedMatrix& m) {
    const auto back = DecompressMatrix(m.weight.view(), m.index.view(), m.info.view());
    return back.ok() ? std::string() : back.error().rule;
  };
  const auto fresh = [&] { return CompressMatrix(codes.data.bytes(), 64, 64).value(); };
  CompressedMatrix cut = fresh();
  cut.weight.as<int8_t>()[8] ^= 0x55;
  EXPECT_THAT(unpack(cut), testing::AnyOf("ZSTD-frame", ""));
  CompressedMatrix stream = fresh();
  std::ranges::fill(stream.weight.as<int8_t>(), int8_t{7});
  EXPECT_EQ(unpack(stream), "ZSTD-frame");
  CompressedMatrix index = fresh();
  index.index.as<int8_t>()[4] = 1;  // an offset beyond the stream
  EXPECT_EQ(unpack(index), "SC-index");
  CompressedMatrix huge = fresh();
  huge.info.as<int64_t>()[2] = 1LL << 40;
  EXPECT_EQ(unpack(huge), "SC-info");
  CompressedMatrix wide = fresh();
  wide.info.as<int64_t>()[2] = 1LL << 12;
  EXPECT_EQ(unpack(wide), "SC-index");
}

}  // namespace
}  // namespace slim
