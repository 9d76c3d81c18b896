#include "convert/edges.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

TEST(Edges, InOrderAndOnce) {
  for (size_t i = 0; i < Edges().size(); ++i) {
    const Edge& edge = Edges()[i];
    EXPECT_EQ(FindEdge(edge.from, edge.to), &edge);
    EXPECT_FALSE(SchemesOf(edge.from, edge.to).empty());
    if (i == 0) continue;
    const Edge& before = Edges()[i - 1];
    EXPECT_LT(std::pair(before.from, before.to), std::pair(edge.from, edge.to));
  }
}

TEST(Edges, AscendDialectsAndHfAreAllConnected) {
  for (const Dialect from : AllDialects()) {
    for (const Dialect to : AllDialects()) {
      if (TraitsOf(from).is_foreign || TraitsOf(to).is_foreign) continue;
      if (from == Dialect::kMindIEParts || to == Dialect::kMindIEParts) continue;
      EXPECT_NE(FindEdge(from, to), nullptr);
      if (from == Dialect::kHf || to == Dialect::kHf) {
        EXPECT_EQ(SchemesOf(from, to), std::vector<std::string>{"FLOAT"});
      }
    }
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
