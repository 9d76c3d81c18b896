#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <vector>

#include "every_isa.h"

namespace slim {
namespace {

// Scores far apart make the running maximum move and old sums vanish.
std::vector<float> Attended(uint64_t rows, uint64_t key_dim, uint64_t value_dim, float spread) {
  const uint64_t positions = 150;
  std::vector<float> queries = NormalFloats(rows * key_dim, 1, spread);
  const std::vector<float> keys = NormalFloats(positions * key_dim, 2);
  const std::vector<float> values = NormalFloats(positions * value_dim, 3);
  std::vector<uint64_t> begin, end;
  for (uint64_t r = 0; r < rows; ++r) {
    begin.push_back(r * 7 % 70);
    end.push_back(begin.back() + 1 + r * 31 % (positions - begin.back()));
  }
  std::vector<float> out(rows * value_dim);
  AttendRows({queries.data(), 0.9F, rows, keys.data(), values.data(), key_dim, value_dim,
              begin.data(), end.data(), out.data()});
  return out;
}

TEST(AttendRows, SameBitsOnEveryInstructionSet) {
  for (const uint64_t rows : {1U, 7U, 20U}) {
    for (const uint64_t dim : {8U, 20U, 64U}) {
      ExpectSameBits([&] { return Attended(rows, dim, dim, 0.3F); });
      ExpectSameBits([&] { return Attended(rows, dim, dim + 12, 20.0F); });
    }
  }
}

TEST(AttendRows, OnePositionIsItsValue) {
  OnEveryIsa([] {
    std::vector<float> key = NormalFloats(16, 1, 50.0F);
    const std::vector<float> value = NormalFloats(24, 2);
    const uint64_t begin = 0;
    const uint64_t end = 1;
    std::vector<float> out(24);
    AttendRows({key.data(), 1.0F, 1, key.data(), value.data(), 16, 24, &begin, &end, out.data()});
    EXPECT_EQ(out, value);
  });
}

}  // namespace
}  // namespace slim
