// slim-verify's report as JSON. The whole document is held against the schema by
// tests/verify_test.py.
#include "report/verify_json.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

TEST(VerifyJson, ReportsAndFailuresInOrder) {
  VerifyReport report;
  report.path = "a";
  report.dialect = Dialect::kMindIE;
  report.tensors = 2;
  report.bytes = 10;
  report.findings.push_back(
      {"LIN-shape", Severity::kError, "a/x", "t", "[3]", "[4]", "m", "w", "f"});
  const Json json = VerifyJson({{"a", report}, {"b", InputError("IN-missing", "no such file")}});
  EXPECT_EQ(json.Find("tool")->text(), "slim-verify");
  const auto& reports = json.Find("reports")->items();
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].Find("ok")->AsBool(), false);
  EXPECT_EQ(reports[0].Find("dialect")->text(), "mindie");
  EXPECT_TRUE(reports[0].Find("quant_type")->is_null());
  EXPECT_EQ(reports[0].Find("errors")->AsInteger(), 1);
  EXPECT_EQ(DumpJson(reports[0].Find("findings")->items()[0]),
            R"({"rule": "LIN-shape", "severity": "error", "path": "a/x", "tensor": "t", )"
            R"("found": "[3]", "wanted": "[4]", "message": "m", "why": "w", "fix": "f", )"
            R"("loader": null, "effect": null})");
  EXPECT_EQ(DumpJson(reports[1]), R"({"path": "b", "ok": false, "error": {"rule": "IN-missing", )"
                                  R"("message": "no such file [IN-missing]", "exit_code": 3}})");
}

TEST(VerifyOutcome, ExitCodes) {
  VerifyReport report;
  EXPECT_EQ((VerifyOutcome{"a", report}.ExitCode()), 0);
  Finding warning;
  warning.severity = Severity::kWarning;
  report.findings.push_back(warning);
  EXPECT_EQ((VerifyOutcome{"a", report}.ExitCode()), 0);
  report.strict = true;
  EXPECT_EQ((VerifyOutcome{"a", report}.ExitCode()), 1);
  EXPECT_EQ((VerifyOutcome{"a", SystemError("p", "cannot read", 5)}.ExitCode()), 4);
}

TEST(TensorListJson, NullLabelWithoutDescription) {
  const Json json = TensorListJson("p", {{"a", DType::kF32, {2}, 8, "", "x.safetensors"}});
  EXPECT_EQ(DumpJson(json.Find("tensors")->items()[0]),
            R"({"name": "a", "dtype": "F32", "shape": [2], "bytes": 8, "label": null, )"
            R"("file": "x.safetensors"})");
}

}  // namespace
}  // namespace slim
