#include "quant/advice.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace slim {
namespace {

bool Contains(const std::vector<std::string_view>& texts, std::string_view part) {
  for (const std::string_view text : texts) {
    if (text.find(part) != std::string_view::npos) return true;
  }
  return false;
}

TEST(Advice, NamesOnlyWhatAppliesToACheckpoint) {
  const std::vector<std::string> w4a8 = {"W4A8_DYNAMIC", "FLOAT"};
  const auto few_bits = AdviceFor(AdviceTopic::kAccuracy, SituationOf(w4a8));
  EXPECT_TRUE(Contains(few_bits, "more bits"));
  EXPECT_FALSE(Contains(few_bits, "range a token"));
  const std::vector<std::string> w8a8 = {"W8A8", "of a later version"};
  const auto range_a_layer = AdviceFor(AdviceTopic::kAccuracy, SituationOf(w8a8));
  EXPECT_FALSE(Contains(range_a_layer, "more bits"));
  EXPECT_TRUE(Contains(range_a_layer, "range a token"));
  EXPECT_TRUE(Contains(range_a_layer, "--calib"));
  const std::vector<std::string> w8a16 = {"W8A16"};
  EXPECT_FALSE(Contains(AdviceFor(AdviceTopic::kAccuracy, SituationOf(w8a16)), "--smooth"));
}

TEST(Advice, ManPageHasAllOfIt) {
  std::ifstream file(std::string(SLIM_TESTS) + "/../man/slim-quant.1");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  std::string plain;
  for (const char letter : page) {
    if (letter != '\\') plain += letter;
  }
  for (const Advice& advice : AllAdvice())
    EXPECT_NE(plain.find(std::string(advice.text) + "\n"), std::string::npos) << advice.text;
}

}  // namespace
}  // namespace slim
