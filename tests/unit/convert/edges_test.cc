#include "convert/edges.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

TEST(Edges, OneCellForEachPairInOrder) {
  const std::vector<Dialect> all = AllDialects();
  ASSERT_EQ(Edges().size(), all.size() * all.size());
  size_t cell = 0;
  for (const Dialect from : all) {
    for (const Dialect to : all) {
      EXPECT_EQ(Edges()[cell].from, from);
      EXPECT_EQ(Edges()[cell].to, to);
      EXPECT_EQ(&EdgeOf(from, to), &Edges()[cell]);
      EXPECT_FALSE(SchemesOf(from, to).empty());
      ++cell;
    }
  }
}

TEST(Edges, OnlyFloatGoesToAndFromHf) {
  for (const Dialect dialect : AllDialects()) {
    EXPECT_EQ(SchemesOf(Dialect::kHf, dialect), std::vector<std::string>{"FLOAT"});
    EXPECT_EQ(SchemesOf(dialect, Dialect::kHf), std::vector<std::string>{"FLOAT"});
  }
}

// W4A16 is packed in ascendv1-v0 and unpacked in mindie; W8A8_MIX is relabelled by the mindie
// writer; W8A8S has no one-click form (facts: formats.md 5.1, 13.4, 4).
TEST(Edges, TypesWithSeveralFormsDoNotTravel) {
  EXPECT_FALSE(SchemeTravels(Scheme::kW4A16, Dialect::kAscendV1V0, Dialect::kMindIE));
  EXPECT_FALSE(SchemeTravels(Scheme::kW4A8Dynamic, Dialect::kAscendV1, Dialect::kMindIE));
  EXPECT_FALSE(SchemeTravels(Scheme::kW8A8Mix, Dialect::kAscendV1V0, Dialect::kMindIE));
  EXPECT_TRUE(SchemeTravels(Scheme::kW8A8Mix, Dialect::kAscendV1V0, Dialect::kAscendV1));
  EXPECT_FALSE(SchemeTravels(Scheme::kW8A8S, Dialect::kMindIE, Dialect::kAscendV1));
  EXPECT_TRUE(SchemeTravels(Scheme::kW8A8S, Dialect::kMindIE, Dialect::kAscendV1V0));
}

TEST(Edges, DynamicTypesHaveNoActivationTensors) {
  EXPECT_TRUE(SchemeHasRole(Scheme::kW8A8, Role::kDeqScale));
  EXPECT_FALSE(SchemeHasRole(Scheme::kW8A8Dynamic, Role::kInputScale));
  EXPECT_TRUE(SchemeHasRole(Scheme::kW8A16, Role::kWeightOffset));
  EXPECT_FALSE(SchemeHasRole(Scheme::kW4A16, Role::kWeight));
}

}  // namespace
}  // namespace slim
