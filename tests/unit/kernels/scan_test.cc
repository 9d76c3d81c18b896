#include "kernels/scan.h"

#include <cstring>

#include "kernels/every_isa.h"

namespace slim {
namespace {

TEST(ScanCodes, CountsEveryCodeOnceOnEveryIsa) {
  std::mt19937 random(7);
  for (const uint64_t count : {0U, 1U, 15U, 16U, 63U, 64U, 65U, 130U, 1000U}) {
    std::vector<int8_t> codes(count + 1);
    for (int8_t& code : codes) code = static_cast<int8_t>(random());
    CodeScan wanted;
    for (uint64_t i = 1; i <= count; ++i) {
      const int8_t code = codes[i];
      wanted.sum += code;
      wanted.min = std::min(wanted.min, code);
      wanted.max = std::max(wanted.max, code);
      wanted.at_ends += code >= 127 || code <= -127 ? 1 : 0;
      wanted.minus_128 += code == -128 ? 1 : 0;
    }
    OnEveryIsa([&] {
      const CodeScan found = ScanCodes8(codes.data() + 1, count);
      EXPECT_EQ(found.sum, wanted.sum) << count;
      EXPECT_EQ(found.min, wanted.min) << count;
      EXPECT_EQ(found.max, wanted.max) << count;
      EXPECT_EQ(found.at_ends, wanted.at_ends) << count;
      EXPECT_EQ(found.minus_128, wanted.minus_128) << count;
    });
  }
}

TEST(CountMasked, FindsNanAndInfinityOnEveryIsa) {
  std::vector<float> values(101, 1.0F);
  values[3] = INFINITY;
  values[70] = -NAN;
  values[100] = NAN;
  std::vector<uint16_t> words(101, 0x3F80);  // bfloat16 1.0
  words[0] = 0x7F80;
  words[99] = 0xFFC1;
  OnEveryIsa([&] {
    EXPECT_EQ(CountMasked32(values.data(), values.size(), 0x7F800000U), 3U);
    EXPECT_EQ(CountMasked32(values.data(), 70, 0x7F800000U), 1U);
    EXPECT_EQ(CountMasked16(words.data(), words.size(), 0x7F80), 2U);
    // Any alignment.
    std::vector<uint8_t> bytes(words.size() * 2 + 1);
    std::memcpy(bytes.data() + 1, words.data(), words.size() * 2);
    EXPECT_EQ(CountMasked16(bytes.data() + 1, words.size(), 0x7F80), 2U);
  });
}

}  // namespace
}  // namespace slim
