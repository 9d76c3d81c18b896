// slim-verify's report as text: grouping, shortening, escaping, the verdict line.
#include "report/verify_text.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

VerifyReport Report() {
  VerifyReport report;
  report.path = "dir";
  report.dialect = Dialect::kAscendV1;
  report.quant_type = "W8A8";
  report.tensors = 123;
  report.bytes = 4299161;
  return report;
}

Finding Found(Severity severity, const std::string& tensor) {
  return {"LIN-shape", severity, "dir/x.safetensors", tensor, "[3]", "[4]", "has shape [3]",
          "why",       "fix"};
}

TEST(VerifyText, Verdict) {
  VerifyReport report = Report();
  EXPECT_EQ(VerifyText(report, {}), "dir: ok (ascendv1, W8A8, 123 tensors, 4.1 MiB)\n");
  report.quant_type.clear();
  report.single_file = true;
  report.tensors = 1;
  EXPECT_EQ(VerifyText(report, {}), "dir: ok (safetensors, 1 tensor, 4.1 MiB)\n");
}

TEST(VerifyText, GroupsAndShortens) {
  VerifyReport report = Report();
  for (int i = 0; i < 7; ++i) report.findings.push_back(Found(Severity::kError, "t"));
  EXPECT_EQ(VerifyText(report, {.findings_per_rule = 2}),
            "error [LIN-shape] the tensors of a layer fit its weight (7)\n"
            "  x.safetensors: t: has shape [3]\n"
            "  x.safetensors: t: has shape [3]\n"
            "  and 5 more\n"
            "  why: why\n"
            "  fix: fix\n"
            "dir: 7 errors (ascendv1, W8A8, 123 tensors, 4.1 MiB)\n");
  EXPECT_EQ(VerifyText(report, {.verbose = true}).find("more"), std::string::npos);
}

TEST(VerifyText, WarningsFailOnlyWhenStrict) {
  VerifyReport report = Report();
  report.findings.push_back(Found(Severity::kWarning, "t"));
  EXPECT_NE(VerifyText(report, {}).find("\ndir: ok, 1 warning (ascendv1"), std::string::npos);
  report.strict = true;
  EXPECT_NE(VerifyText(report, {}).find("\ndir: 1 warning (ascendv1"), std::string::npos);
}

TEST(VerifyText, NotesOnlyWhenVerbose) {
  VerifyReport report = Report();
  report.findings.push_back(Found(Severity::kNote, "t"));
  EXPECT_EQ(VerifyText(report, {}), "dir: ok (ascendv1, W8A8, 123 tensors, 4.1 MiB)\n");
  EXPECT_NE(VerifyText(report, {.verbose = true}).find("\ndir: ok, 1 note ("), std::string::npos);
}

TEST(VerifyText, NamesFromFilesAreEscaped) {
  VerifyReport report = Report();
  report.findings.push_back(Found(Severity::kError, "a\x1b[31mb\n"));
  const std::string text = VerifyText(report, {});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("a\\x1b[31mb\\x0a: has"), std::string::npos) << text;
}

TEST(VerifyText, PaintsWords) {
  VerifyReport report = Report();
  const VerifyTextStyle style = {
      .paint = [](std::string_view word) { return "<" + std::string(word) + ">"; }};
  EXPECT_TRUE(VerifyText(report, style).starts_with("dir: <ok> ("));
}

TEST(TensorListText, TabSeparated) {
  EXPECT_EQ(TensorListText({{"a.weight", DType::kI8, {2, 3}, 6, "W8A8", "x.safetensors"},
                            {"b", DType::kF32, {}, 4, "", "y.safetensors"}}),
            "a.weight\tI8\t[2, 3]\t6\tW8A8\tx.safetensors\n"
            "b\tF32\t[]\t4\t-\ty.safetensors\n");
}

TEST(RuleText, SaysWhereAndWhen) {
  EXPECT_EQ(RuleText(*FindRule("VAL-bf16-provenance")).substr(0, 51),
            "VAL-bf16-provenance (note, with --deep; ascendv1)\n ");
}

}  // namespace
}  // namespace slim
