#include "checkpoint/quant_description.h"

#include <gtest/gtest.h>

#include "scratch.h"

namespace slim {
namespace {

// Every description that msModelSlim wrote comes back byte for byte.
TEST(QuantDescription, RoundTripsTheGoldens) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SLIM_TESTDATA)) {
    if (!entry.path().filename().string().starts_with("quant_model_description")) continue;
    const std::string text = ReadAll(entry.path().string());
    const auto description = QuantDescription::Parse(text);
    ASSERT_TRUE(description.ok()) << entry.path() << description.error().ToString();
    const int indent = text.starts_with("{\n    \"") ? 4 : 2;
    EXPECT_EQ(description->Write(indent), text) << entry.path();
    EXPECT_EQ(description->GlobalsFirst(), indent == 2) << entry.path();
    EXPECT_NE(description->Global("model_quant_type"), nullptr);
    ++files;
  }
  EXPECT_GE(files, 10U);
}

TEST(QuantDescription, TellsTensorsFromGlobals) {
  const auto description = QuantDescription::Parse(
      R"({"version":"1.0.0","model_quant_type":"W8A8","a.weight":"W8A8","a.quant_type":"x",
          "thinker.version":"2","kv_cache_type":"C8","optional":{"b":1},"group_size":0})");
  ASSERT_TRUE(description.ok());
  EXPECT_EQ(*description->Label("a.weight"), "W8A8");
  EXPECT_EQ(description->Label("version"), nullptr);
  EXPECT_EQ(description->Label("thinker.version"), nullptr);
  EXPECT_EQ(description->Label("a.quant_type"), nullptr);
  EXPECT_EQ(description->Label("nothing"), nullptr);
  EXPECT_EQ(description->Global("group_size")->AsInteger(), 0);
  EXPECT_EQ(description->Global("a.weight"), nullptr);
}

TEST(QuantDescription, Malformed) {
  const auto rule = [](std::string_view json) {
    return QuantDescription::Parse(json).error().rule;
  };
  EXPECT_EQ(rule(R"({"a":"FLOAT","a":"W8A8"})"), "DE-duplicate-key");
  EXPECT_EQ(rule(R"(["a"])"), "JSON-type");
  EXPECT_EQ(rule(R"({"a":"FLOAT",})"), "JSON-type");
  EXPECT_EQ(rule("{\"a\":\"\xFF\"}"), "JSON-utf8");
  EXPECT_EQ(rule(R"({"optional":{"a":1,"a":2}})"), "JSON-duplicate-key");
}

}  // namespace
}  // namespace slim
