#include "convert/edges.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

TEST(Edges, CellsInOrder) {
  size_t cell = 0;
  for (const Dialect from : AllDialects()) {
    for (const Dialect to : AllDialects()) {
      const Edge* edge = FindEdge(from, to);
      EXPECT_EQ(edge == nullptr,
                cell >= Edges().size() || Edges()[cell].from != from || Edges()[cell].to != to);
      if (edge == nullptr) continue;
      EXPECT_EQ(edge, &Edges()[cell]);
      EXPECT_FALSE(SchemesOf(from, to).empty());
      ++cell;
    }
  }
  EXPECT_EQ(cell, Edges().size());
}

TEST(Edges, OnlyFloatGoesToAndFromHf) {
  for (const Dialect dialect : AllDialects()) {
    if (FindEdge(Dialect::kHf, dialect) == nullptr) continue;
    EXPECT_EQ(SchemesOf(Dialect::kHf, dialect), std::vector<std::string>{"FLOAT"});
    EXPECT_EQ(SchemesOf(dialect, Dialect::kHf), std::vector<std::string>{"FLOAT"});
  }
}

TEST(Edges, EveryTypeOfTheFamilyTravelsWithinIt) {
  const Dialect family[] = {Dialect::kAscendV1, Dialect::kAscendV1V0, Dialect::kMindIE};
  for (const Dialect from : family) {
    for (const Dialect to : family) {
      for (const Scheme scheme :
           {Scheme::kFloat, Scheme::kW8A8, Scheme::kW8A8Dynamic, Scheme::kW8A8Mix, Scheme::kW8A16,
            Scheme::kW4A16, Scheme::kW4A8Dynamic, Scheme::kW8A8S, Scheme::kC8}) {
        EXPECT_TRUE(SchemeTravels(scheme, from, to)) << SchemeLabel(scheme);
      }
      // Compressed weights are of parts only.
      EXPECT_FALSE(SchemeTravels(Scheme::kW8A8SC, from, to));
    }
  }
}

TEST(Edges, ATypeHasItsTensorsAndNoOthers) {
  EXPECT_TRUE(SchemeHasSuffix(Scheme::kW8A8, "deq_scale"));
  EXPECT_FALSE(SchemeHasSuffix(Scheme::kW8A8Dynamic, "input_scale"));
  EXPECT_TRUE(SchemeHasSuffix(Scheme::kW8A16, "weight_offset"));
  EXPECT_FALSE(SchemeHasSuffix(Scheme::kW4A16, "scale_bias"));
  EXPECT_TRUE(SchemeHasSuffix(Scheme::kW4A8Dynamic, "weight_scale_second"));
  EXPECT_TRUE(SchemeHasSuffix(Scheme::kC8, "kv_cache_scale"));
  EXPECT_FALSE(SchemeHasSuffix(Scheme::kC8, "weight"));
  EXPECT_FALSE(SchemeHasSuffix(Scheme::kW8A8, "left_trans"));
}

}  // namespace
}  // namespace slim
