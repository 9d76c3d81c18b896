// Conversions against what msModelSlim's traditional scripts wrote, for types whose golden is kept
// as the difference from m0-w8a8 and the digests of both forms
// (testdata/traditional-deltas).
#include <algorithm>

#include "convert/deltas.h"
#include "json/json.h"
#include "os/digest.h"

namespace slim {
namespace {

// SHA-256 of weights and description as the scripts wrote them: "m0" or "a0".
void ExpectDigests(const std::string& name, const std::string& side, const std::string& path) {
  const Json digests = ParseJson(Slurp(DeltaPath(name) + "/digests.json")).value();
  ASSERT_NE(digests.Find(side), nullptr);
  for (const auto& [file, digest] : digests.Find(side)->members()) {
    ASSERT_EQ(KindOf(path + "/" + file), FileKind::kRegular) << file;
    EXPECT_EQ(Sha256File(File::Open(path + "/" + file).value()).value(), digest.text())
        << side << " " << file;
  }
}

class TraditionalDelta : public testing::TestWithParam<std::string> {};

TEST_P(TraditionalDelta, EachFormGivesTheBytesOfTheOtherAndComesBack) {
  const ScratchFolder scratch;
  const std::string m0 = scratch.Path("m0");
  Compose(GetParam(), m0);
  ExpectDigests(GetParam(), "m0", m0);
  MustConvert(m0, scratch.Path("a0"), To(Dialect::kAscendV1V0));
  ExpectDigests(GetParam(), "a0", scratch.Path("a0"));
  MustConvert(scratch.Path("a0"), scratch.Path("back"), To(Dialect::kMindIE));
  ExpectDigests(GetParam(), "m0", scratch.Path("back"));
  EXPECT_EQ(Differences(m0, scratch.Path("back")), std::vector<std::string>());
  MustConvert(m0, scratch.Path("a1"), To(Dialect::kAscendV1));
  MustConvert(scratch.Path("a1"), scratch.Path("again"), To(Dialect::kMindIE));
  EXPECT_EQ(Differences(m0, scratch.Path("again")), std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(Types, TraditionalDelta,
                         testing::Values("w4a16-group", "w8a8s", "w8a8s-co", "w8a8-c8", "w8a8-mix",
                                         "wide-w4a16-group"),
                         [](const testing::TestParamInfo<std::string>& type) {
                           std::string name = type.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace slim
