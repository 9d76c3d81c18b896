#include "kernels/isa.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "every_isa.h"

namespace slim {
namespace {

TEST(Isa, TheBaselineIsAlwaysThereAndFirst) {
  const std::vector<Isa> isas = SupportedIsas();
  ASSERT_FALSE(isas.empty());
  EXPECT_EQ(isas.front(), Isa::kScalar);
  EXPECT_TRUE(std::is_sorted(isas.begin(), isas.end()));
  EXPECT_NE(std::find(isas.begin(), isas.end(), CurrentIsa()), isas.end());
}

TEST(Isa, NamesGoBothWays) {
  EXPECT_EQ(IsaName(Isa::kScalar), "scalar");
#if defined(__x86_64__)
  EXPECT_EQ(IsaName(Isa::kAvx2), "avx2");
  EXPECT_EQ(IsaName(Isa::kAvx512), "avx512");
#elif defined(__aarch64__)
  EXPECT_EQ(IsaName(Isa::kDotprod), "dotprod");
#endif
  OnEveryIsa([] { EXPECT_TRUE(SetIsa(IsaName(CurrentIsa())).ok()); });
}

TEST(Isa, UnknownNamesAreUsageErrorsAndChangeNothing) {
  const Isa before = CurrentIsa();
  for (const std::string name : {"", "sse9", "AVX2", "avx2 "}) {
    const Status status = SetIsa(name);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kUsage);
  }
  EXPECT_EQ(CurrentIsa(), before);
}

// The variable is read once a process, so each value needs a process of its own.
void ExpectEnvironment(const char* value, bool obeyed, Isa isa) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  ASSERT_EQ(setenv("SLIM_ISA", value, 1), 0);
  EXPECT_EXIT(std::exit(IsaEnvironmentStatus().ok() == obeyed && CurrentIsa() == isa ? 0 : 1),
              testing::ExitedWithCode(0), "");
  ASSERT_EQ(unsetenv("SLIM_ISA"), 0);
}

TEST(IsaDeathTest, EnvironmentChooses) {
  const Isa best = SupportedIsas().back();
  ExpectEnvironment("", true, best);
  ExpectEnvironment("nonsense", false, best);
  for (const Isa isa : SupportedIsas()) {
    ExpectEnvironment(std::string(IsaName(isa)).c_str(), true, isa);
  }
}

}  // namespace
}  // namespace slim
