// The table of rules itself, and choosing from it.
#include "verify/rule.h"

#include <gtest/gtest.h>

#include <cctype>
#include <set>

namespace slim {
namespace {

TEST(RuleTable, IdsAreUniqueAndWellFormed) {
  std::set<std::string_view> ids;
  for (const Rule& rule : AllRules()) {
    EXPECT_TRUE(ids.insert(rule.id).second) << rule.id;
    EXPECT_NE(rule.id.find('-'), std::string_view::npos) << rule.id;
    EXPECT_LE(rule.id.size(), 32U) << rule.id;
    EXPECT_NE(rule.dialects, 0) << rule.id;
  }
}

TEST(RuleTable, TextsAreOneLineWithoutFullStop) {
  for (const Rule& rule : AllRules()) {
    for (const std::string_view text : {rule.text, rule.why, rule.fix}) {
      ASSERT_FALSE(text.empty()) << rule.id;
      EXPECT_EQ(text.find('\n'), std::string_view::npos) << rule.id;
      EXPECT_NE(text.back(), '.') << rule.id;
    }
  }
}

TEST(RuleSelection, IdsAndWholePrefixes) {
  const auto selection = RuleSelection::Parse({"LIN", "VAL-offset", "CF-missing"});
  ASSERT_TRUE(selection.ok());
  EXPECT_TRUE(selection->ContainsId("LIN-shape"));
  EXPECT_TRUE(selection->ContainsId("VAL-offset-range"));
  EXPECT_TRUE(selection->ContainsId("CF-missing-key"));
  EXPECT_TRUE(selection->ContainsId("CF-missing"));
  EXPECT_FALSE(selection->ContainsId("CF-bad-value"));
  EXPECT_FALSE(selection->ContainsId("ST-truncated"));
  EXPECT_TRUE(RuleSelection::Parse({})->ContainsId("ST-truncated"));
}

TEST(RuleSelection, UnknownWordOffersTheNearest) {
  const auto selection = RuleSelection::Parse({"LIN-shap"});
  ASSERT_FALSE(selection.ok());
  EXPECT_EQ(selection.error().code, ErrorCode::kUsage);
  EXPECT_EQ(selection.error().message, "no rule 'LIN-shap'");
  EXPECT_EQ(selection.error().hint, "did you mean LIN-shape?");
  EXPECT_FALSE(RuleSelection::Parse({"LI"}).ok());
  EXPECT_FALSE(RuleSelection::Parse({""}).ok());
}

TEST(Rule, DialectsByName) {
  EXPECT_EQ(DialectsOf(*FindRule("CF-quantize-missing")), std::vector<std::string>{"mindie"});
  EXPECT_EQ(DialectsOf(*FindRule("ST-truncated")),
            (std::vector<std::string>{"hf", "ascendv1", "ascendv1-v0", "mindie", "mindie-parts",
                                      "compressed-tensors", "gptq", "awq", "fp8-block",
                                      "golden-stick", "gguf", "torch-bin", "npy", "file"}));
}

}  // namespace
}  // namespace slim
