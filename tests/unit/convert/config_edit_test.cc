#include "convert/config_edit.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

std::string Edit(std::string_view text, Dialect from, Dialect to, int64_t group_size = 0,
                 std::optional<DType> dtype = std::nullopt) {
  const auto edited = EditConfig(text, {from, to, "w8a8", group_size, dtype});
  EXPECT_TRUE(edited.ok());
  return edited.ok() ? edited->text : "";
}

TEST(ConfigEdit, AppendsQuantizeAndTakesItBack) {
  for (const char* text :
       {"{\n  \"a\": 1\n}\n", "{\"a\":1}", "{\n\t\"a\": [1,\n2]}", "{ \"a\": 1 }"}) {
    const std::string there = Edit(text, Dialect::kAscendV1, Dialect::kMindIE);
    EXPECT_NE(there.find(R"("quantize": "w8a8")"), std::string::npos);
    EXPECT_EQ(Edit(there, Dialect::kMindIE, Dialect::kAscendV1), text);
  }
}

TEST(ConfigEdit, GroupSizeTravelsInTheBlock) {
  const std::string text = "{\n  \"a\": 1\n}";
  const std::string there = Edit(text, Dialect::kAscendV1, Dialect::kMindIE, 64);
  EXPECT_EQ(
      there,
      "{\n  \"a\": 1,\n  \"quantize\": \"w8a8\",\n  \"quantization_config\": {\"group_size\": "
      "64}\n}");
  EXPECT_EQ(Edit(there, Dialect::kMindIE, Dialect::kAscendV1, 64), text);
}

TEST(ConfigEdit, ParksTheWritersBlock) {
  const std::string text =
      "{\n    \"a\": 1,\n    \"quantize\": \"w8a8\",\n    \"quantization_config\": {\n        "
      "\"w_bit\": 8\n    }\n}";
  const std::string there = Edit(text, Dialect::kMindIE, Dialect::kAscendV1);
  EXPECT_EQ(there.find("\"quantization_config\""), std::string::npos);
  EXPECT_NE(there.find("\"mindie_quantization_config\": {\n        \"w_bit\": 8"),
            std::string::npos);
  EXPECT_EQ(Edit(there, Dialect::kAscendV1, Dialect::kMindIE), text);
}

TEST(ConfigEdit, LeavesABlockOfAnotherFormatForVerification) {
  const std::string text = R"({"quantization_config": {"quant_method": "fp8"}})";
  EXPECT_EQ(Edit(text, Dialect::kMindIE, Dialect::kAscendV1), text);
}

TEST(ConfigEdit, FloatHasNoQuantize) {
  const std::string text = R"({"a": 1})";
  const auto edited = EditConfig(text, {Dialect::kHf, Dialect::kMindIE, "float", 0, std::nullopt});
  ASSERT_TRUE(edited.ok());
  EXPECT_EQ(edited->text, text);
}

TEST(ConfigEdit, CorrectsAWrongQuantizeAndSaysSo) {
  const auto edited = EditConfig(R"({"quantize": "w8a16", "a": 1})",
                                 {Dialect::kAscendV1, Dialect::kMindIE, "w8a8", 0, std::nullopt});
  ASSERT_TRUE(edited.ok());
  EXPECT_EQ(edited->text, R"({"quantize": "w8a8", "a": 1})");
  ASSERT_EQ(edited->notes.size(), 1U);
}

TEST(ConfigEdit, SaysWhereARoundTripCannotTell) {
  const auto edited = EditConfig(R"({"a": 1, "quantize": "w8a8"})",
                                 {Dialect::kAscendV1, Dialect::kMindIE, "w8a8", 0, std::nullopt});
  ASSERT_TRUE(edited.ok());
  EXPECT_EQ(edited->notes.size(), 1U);
}

TEST(ConfigEdit, SetsTheDTypeInEitherGeneration) {
  const auto set = [](std::string_view text) {
    return Edit(text, Dialect::kHf, Dialect::kHf, 0, DType::kF16);
  };
  EXPECT_EQ(set(R"({"torch_dtype": "bfloat16"})"), R"({"torch_dtype": "float16"})");
  EXPECT_EQ(set(R"({"dtype": "float32", "a": 1})"), R"({"dtype": "float16", "a": 1})");
  EXPECT_EQ(set(R"({"a": 1})"), R"({"a": 1, "torch_dtype": "float16"})");
  const auto nested = EditConfig(R"({"text_config": {"dtype": "float32"}})",
                                 {Dialect::kHf, Dialect::kHf, "float", 0, DType::kF16});
  ASSERT_FALSE(nested.ok());
  EXPECT_EQ(nested.error().rule, "CF-unsupported");
}

TEST(ConfigEdit, RefusesAContradictingGroupSize) {
  const auto edited = EditConfig(R"({"quantization_config": {"group_size": 128}})",
                                 {Dialect::kAscendV1, Dialect::kMindIE, "w8a16", 64, std::nullopt});
  ASSERT_FALSE(edited.ok());
  EXPECT_EQ(edited.error().rule, "CF-bad-value");
}

}  // namespace
}  // namespace slim
