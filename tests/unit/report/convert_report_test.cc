#include "report/convert_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slim {
namespace {

using testing::HasSubstr;

ConvertPlan Plan() {
  ConvertPlan plan;
  plan.input = "in";
  plan.from = Dialect::kMindIE;
  plan.to = Dialect::kAscendV1;
  plan.quant_type = "W8A8";
  plan.loss = LossClass::kNear;
  TensorPlan copied;
  copied.name = copied.source = "same.weight";
  copied.from_shape = {2};
  copied.shape = {2};
  TensorPlan rounded = copied;
  rounded.name = rounded.source = "round\nme.weight";
  rounded.action = TensorAction::kConvert;
  rounded.to = DType::kBF16;
  rounded.loss = LossClass::kNear;
  rounded.worst_relative_error = 0.00123456;
  rounded.to_zero = 2;
  TensorPlan dropped = copied;
  dropped.name = "norm.module.weight";
  dropped.action = TensorAction::kDrop;
  dropped.reason = "equal to norm.weight";
  plan.tensors = {copied, rounded};
  plan.dropped = {dropped};
  plan.config.edits = {{"quantize", "removed", ""}};
  plan.side_files.copied = {{"tokenizer.json", 3, SideFileKind::kKnown}};
  plan.side_files.left = {{"x.py", 1, SideFileKind::kCode}};
  plan.notes = {"a note"};
  return plan;
}

TEST(ConvertReport, TextListsWhatChanges) {
  const std::string text = ConvertPlanText(Plan(), false);
  EXPECT_EQ(text,
            "in: mindie to ascendv1, near: names; .module copies of norms are dropped when equal, "
            "refused when not; int4 is packed; W8A8_MIX is labelled by quantization_config.pdmix\n"
            "tensors: 2 written (0 B), 1 of them as they are; 1 dropped\n"
            "  converted   near   round\\x0ame.weight  F32 -> BF16 [2]  largest relative error "
            "0.00123, 2 values become zero\n"
            "  dropped     exact  norm.module.weight  F32 [2]  equal to norm.weight\n"
            "files:\n"
            "  removed     config.json: quantize\n"
            "  copied      tokenizer.json\n"
            "  left        x.py (code)\n"
            "note: a note\n");
  EXPECT_THAT(ConvertPlanText(Plan(), true), HasSubstr("same.weight"));
}

TEST(ConvertReport, JsonListsEveryTensor) {
  const Json plan = ParseJson(ConvertPlanJson(Plan(), std::nullopt)).value();
  EXPECT_EQ(plan.Find("kind")->text(), "plan");
  EXPECT_TRUE(plan.Find("output")->is_null());
  EXPECT_EQ(plan.Find("tensors")->items().size(), 3U);
  EXPECT_EQ(plan.Find("loss")->Find("tensor")->text(), "round\nme.weight");
  const Json result = ParseJson(ConvertPlanJson(Plan(), "out")).value();
  EXPECT_EQ(result.Find("kind")->text(), "result");
  EXPECT_EQ(result.Find("output")->text(), "out");
}

TEST(ConvertReport, ListHasEveryCell) {
  const Json list = ParseJson(ConvertListJson()).value();
  EXPECT_EQ(list.Find("edges")->items().size(), Edges().size());
  EXPECT_EQ(list.Find("dialects")->items().size(), AllDialects().size());
  for (const Edge& edge : Edges()) EXPECT_THAT(ConvertListText(), HasSubstr(edge.what));
}

}  // namespace
}  // namespace slim
