#include "json/json.h"

#include <gtest/gtest.h>

#include <cmath>

#include "json/edit.h"
#include "json/scanner.h"

namespace slim {
namespace {

std::string RuleOf(std::string_view text, const JsonLimits& limits = {}) {
  auto json = ParseJson(text, limits);
  return json.ok() ? "" : json.error().rule;
}

TEST(ParseJson, KeepsOrderAndNumberText) {
  auto json =
      ParseJson(R"({"b": 1e-06, "a": [1, -2, 18446744073709551615], "c": {"x": null, "y": true}})");
  ASSERT_TRUE(json.ok()) << json.error().ToString();
  EXPECT_EQ(json->members()[0].first, "b");
  EXPECT_EQ(json->Find("b")->text(), "1e-06");
  EXPECT_DOUBLE_EQ(*json->Find("b")->AsDouble(), 1e-6);
  EXPECT_EQ(json->Find("a")->items()[1].AsInteger(), -2);
  EXPECT_FALSE(json->Find("a")->items()[2].AsInteger());
  EXPECT_EQ(DumpJson(*json),
            R"({"b": 1e-06, "a": [1, -2, 18446744073709551615], "c": {"x": null, "y": true}})");
}

TEST(ParseJson, RefusesWhatStrangersSend) {
  EXPECT_EQ(RuleOf(R"({"a":1,"a":2})"), "JSON-duplicate-key");
  EXPECT_EQ(RuleOf("\xEF\xBB\xBF{}"), "JSON-bom");
  EXPECT_EQ(RuleOf(std::string_view("{}\0", 3)), "JSON-nul");
  EXPECT_EQ(RuleOf("{\"\xC0\xAF\":1}"), "JSON-syntax");
  EXPECT_EQ(RuleOf("{} x"), "JSON-syntax");
  EXPECT_EQ(RuleOf(""), "JSON-syntax");
  EXPECT_EQ(RuleOf(std::string(1'000'000, '[')), "JSON-too-deep");
  EXPECT_EQ(RuleOf("[1,2,3]", {.max_values = 2}), "JSON-too-many-values");
  EXPECT_EQ(RuleOf("[1,2,3]", {.max_bytes = 2}), "JSON-too-large");
}

TEST(ParseJson, NamesThePlace) {
  auto json = ParseJson("{\"a\": tru}");
  ASSERT_FALSE(json.ok());
  EXPECT_EQ(json.error().offset, 9U);
}

// Expectation written by Python 3.11: json.dumps({"a": [], "b": {}, "c": [1, "é😀"]}, indent=4)
TEST(DumpJson, IndentsAsPython) {
  Json json = Json::Object();
  json.Set("a", Json::Array()).Set("b", Json::Object());
  json.Set("c", Json::Array().Push(1).Push("é😀"));
  EXPECT_EQ(DumpJson(json, {.indent = 4}),
            "{\n    \"a\": [],\n    \"b\": {},\n    \"c\": [\n        1,\n        "
            "\"\\u00e9\\ud83d\\ude00\"\n    ]\n}");
}

TEST(DumpJson, EscapesDelAsPythonDoes) {
  EXPECT_EQ(DumpJson(Json("\x7f")), "\"\\u007f\"");
  EXPECT_EQ(DumpJson(Json("\x7f"), {.ensure_ascii = false}), "\"\x7f\"");
}

TEST(DumpJson, RealsReadBack) {
  EXPECT_EQ(DumpJson(Json::Real(0.1)), "0.1");
  EXPECT_EQ(DumpJson(Json::Real(3)), "3.0");
  EXPECT_EQ(DumpJson(Json::Real(std::nan(""))), "\"nan\"");
}

TEST(JsonScanner, PullsWhatIsAsked) {
  JsonScanner scanner(
      R"( {"a\u0062": [1, 22], "s": "x\"y", "skip": {"k": [true, null, -1.5e3, "\ud83d\ude00"]}} )");
  ASSERT_TRUE(scanner.Start().ok());
  ASSERT_TRUE(scanner.BeginObject().ok());
  std::string_view key;
  ASSERT_TRUE(scanner.NextKey(key).value());
  EXPECT_EQ(key, "ab");
  ASSERT_TRUE(scanner.BeginArray().ok());
  ASSERT_TRUE(scanner.NextElement().value());
  EXPECT_EQ(scanner.Unsigned().value(), 1U);
  ASSERT_TRUE(scanner.NextElement().value());
  EXPECT_EQ(scanner.Unsigned().value(), 22U);
  ASSERT_FALSE(scanner.NextElement().value());
  ASSERT_TRUE(scanner.NextKey(key).value());
  EXPECT_EQ(scanner.String().value(), "x\"y");
  ASSERT_TRUE(scanner.NextKey(key).value());
  ASSERT_TRUE(scanner.SkipValue(3).ok());
  ASSERT_FALSE(scanner.NextKey(key).value());
  EXPECT_TRUE(scanner.End().ok());
}

TEST(JsonScanner, EndsAStringWhereverItsQuoteStands) {
  for (size_t length = 0; length < 24; ++length) {
    const std::string plain = std::string(length, 'a');
    EXPECT_EQ(JsonScanner('"' + plain + "\" \"tail of it\"").String().value(), plain);
    const std::string escaped = '"' + plain + "\\n" + plain + "\"rest";
    EXPECT_EQ(JsonScanner(escaped).String().value(), plain + '\n' + plain);
    const std::string control = '"' + plain + '\x1f' + "aaaaaaaaaaaaaaaa\"";
    EXPECT_EQ(JsonScanner(control).String().error().rule, "JSON-control-character");
    const std::string wide = plain + "\xC3\xA9 ~\x7F" + plain;
    EXPECT_EQ(JsonScanner('"' + wide + '"').String().value(), wide);
  }
}

TEST(JsonScanner, NumbersAreUnsignedIntegersOnly) {
  for (const char* text :
       {"-1", "-0", "01", "1.0", "1e3", "18446744073709551616", "\"1\"", "null"}) {
    JsonScanner scanner(text);
    EXPECT_FALSE(scanner.Unsigned().ok()) << text;
  }
  JsonScanner scanner("18446744073709551615");
  EXPECT_EQ(scanner.Unsigned().value(), UINT64_MAX);
}

TEST(JsonScanner, SkipValueIsBoundedAndStrict) {
  EXPECT_EQ(JsonScanner(std::string(100, '[')).SkipValue(8).error().rule, "JSON-too-deep");
  for (const char* text :
       {"[1,]", "{\"a\":}", "{\"a\" 1}", "[01]", "[1.]", "[tru]", "[\"\\x\"]", "[1 2]"}) {
    EXPECT_FALSE(JsonScanner(text).SkipValue(8).ok()) << text;
  }
}

TEST(EditJson, TouchesOneMemberOnly) {
  const std::string document =
      "{\n  \"a\": 1,\n  \"torch_dtype\": \"bfloat16\",\n  \"z\": [1,  2]\n}\n";
  const std::string set = SetMember(document, "torch_dtype", "\"float16\"").value();
  EXPECT_EQ(set, "{\n  \"a\": 1,\n  \"torch_dtype\": \"float16\",\n  \"z\": [1,  2]\n}\n");
  const std::string added = SetMember(document, "quantize", "\"w8a8\"").value();
  EXPECT_EQ(added,
            "{\n  \"a\": 1,\n  \"torch_dtype\": \"bfloat16\",\n  \"z\": [1,  2],\n  \"quantize\": "
            "\"w8a8\"\n}\n");
  EXPECT_EQ(RemoveMember(added, "quantize").value(), document);
  EXPECT_EQ(RemoveMember(document, "a").value(),
            "{\n  \"torch_dtype\": \"bfloat16\",\n  \"z\": [1,  2]\n}\n");
  EXPECT_EQ(RemoveMember("{\"a\": 1}", "a").value(), "{}");
  EXPECT_EQ(SetMember("{}", "a", "1").value(), "{\"a\": 1}");
  EXPECT_FALSE(SetMember("[]", "a", "1").ok());
}

}  // namespace
}  // namespace slim
