#include "json/yaml.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

namespace slim {
namespace {

Yaml Parsed(std::string_view text) {
  auto value = ParseYaml(text, "r.yaml");
  EXPECT_TRUE(value.ok()) << value.error().ToString();
  return std::move(value).value();
}

std::string Refused(std::string_view text, const YamlLimits& limits = {}) {
  const auto value = ParseYaml(text, "r.yaml", limits);
  if (value.ok()) return "accepted";
  EXPECT_EQ(value.error().code, ErrorCode::kInput);
  return value.error().path + " " + value.error().rule;
}

TEST(Yaml, ScalarsAreTypedAsYaml11Does) {
  const Yaml value = Parsed("a: True\nb: no\nc: 12\nd: 1e-5\ne: '1'\nf:\ng: ~\nh: text\n");
  EXPECT_EQ(value.Find("a")->AsBool(), true);
  EXPECT_EQ(value.Find("b")->AsBool(), false);
  EXPECT_EQ(value.Find("c")->AsInteger(), 12);
  EXPECT_EQ(value.Find("c")->AsReal(), 12.0);
  EXPECT_EQ(value.Find("d")->AsReal(), 1e-5);
  EXPECT_EQ(value.Find("e")->AsInteger(), std::nullopt);
  EXPECT_EQ(value.Find("e")->AsText(), "1");
  EXPECT_TRUE(value.Find("f")->is_null());
  EXPECT_TRUE(value.Find("g")->is_null());
  EXPECT_EQ(value.Find("h")->AsText(), "text");
  EXPECT_EQ(value.Find("h")->line(), 8U);
  EXPECT_EQ(value.Find("i"), nullptr);
}

TEST(Yaml, AliasesAndMergesStandForTheirValues) {
  const Yaml value = Parsed("base: &b {x: 1, y: [2, 3]}\nc: *b\nd: {<<: *b, x: 4}\n");
  EXPECT_EQ(value.Find("c")->Find("y")->items().size(), 2U);
  EXPECT_EQ(value.Find("d")->Find("x")->AsInteger(), 4);
  EXPECT_EQ(value.Find("d")->Find("y")->items()[1].AsInteger(), 3);
  EXPECT_EQ(value.Find("d")->Find("<<"), nullptr);
}

TEST(Yaml, RefusalsNameFileAndLine) {
  EXPECT_EQ(Refused("a: 1\nb: 2\na: 3\n"), "r.yaml:3 YAML-duplicate-key");
  EXPECT_EQ(Refused("a: 1\n  b: 2\n"), "r.yaml:2 YAML-syntax");
  EXPECT_EQ(Refused(""), "r.yaml:1 YAML-empty");
  EXPECT_EQ(Refused("a: 1\n---\nb: 1\n"), "r.yaml:1 YAML-documents");
  EXPECT_EQ(Refused("a: \xff\n"), "r.yaml:1 YAML-utf8");
  EXPECT_EQ(Refused("a: 1\nb: &x [*x]\n"), "r.yaml:2 YAML-alias");
  EXPECT_EQ(Refused("a: *unknown\n"), "r.yaml:1 YAML-syntax");
  EXPECT_EQ(Refused("? [a]\n: 1\n"), "r.yaml:1 YAML-key");
  EXPECT_EQ(Refused("a: {<<: 1}\n"), "r.yaml:1 YAML-merge");
}

TEST(Yaml, LimitsHoldForAliasesToo) {
  std::string laughs = "x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1]\n";
  for (int i = 1; i < 20; ++i)
    laughs += fmt::format("x{0}: &x{0} [*x{1}, *x{1}, *x{1}, *x{1}]\n", i, i - 1);
  EXPECT_EQ(Refused(laughs), "r.yaml:8 YAML-values");
  EXPECT_EQ(Refused(std::string(40, '[') + std::string(40, ']')), "r.yaml:1 YAML-depth");
  EXPECT_EQ(Refused("a: &a [[1]]\nb: [[*a]]\n", {.max_depth = 4}), "r.yaml:2 YAML-depth");
  EXPECT_EQ(Refused("a: [1, 2, 3]", {.max_bytes = 4}), "r.yaml:1 YAML-size");
  EXPECT_EQ(Refused("{a: 1, b: 2, c: 3}", {.max_keys = 2}), "r.yaml:1 YAML-values");
}

}  // namespace
}  // namespace slim
