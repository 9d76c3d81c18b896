// Decisions of the planner that the golden tests do not show.
#include "convert/plan.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "convert/testing.h"
#include "json/edit.h"

namespace slim {
namespace {

const std::string kA0 = "traditional/mini-qwen2-bfloat16/a0-w8a8-m1";

Result<ConvertPlan> Plan(const std::string& path, const ConvertOptions& options) {
  auto source = Checkpoint::Open(path);
  if (!source.ok()) return std::move(source).error();
  ThreadPool pool(2);
  return PlanConversion(*source, options, pool, SilentListener());
}

size_t Count(const ConvertPlan& plan, TensorAction action) {
  return static_cast<size_t>(std::ranges::count(plan.tensors, action, &TensorPlan::action));
}

TEST(Plan, DuplicatesEveryNormWithABias) {
  const auto plan = Plan(Golden(kA0), To(Dialect::kMindIE));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(Count(*plan, TensorAction::kDuplicate), 10U);
  for (const TensorPlan& tensor : plan->tensors) {
    EXPECT_TRUE(tensor.action != TensorAction::kDuplicate || tensor.label == "W8A8");
  }
}

// A bias of a LayerNorm is its own, not a sign of smoothing.
TEST(Plan, LeavesLayerNormsAlone) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kA0), scratch.Path("in"));
  Spit(scratch.Path("in/config.json"),
       RemoveMember(Slurp(scratch.Path("in/config.json")), "rms_norm_eps").value());
  const auto plan = Plan(scratch.Path("in"), To(Dialect::kMindIE));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(Count(*plan, TensorAction::kDuplicate), 0U);
}

// ascendv1 has biases of quantized layers in F32 whatever the model's dtype.
TEST(Plan, DTypeKeepsBiasesOfQuantizedLayersInAscendV1) {
  for (const auto& [to, wanted] :
       {std::pair(Dialect::kAscendV1, DType::kF32), std::pair(Dialect::kMindIE, DType::kF16)}) {
    ConvertOptions options = To(to);
    options.dtype = DType::kF16;
    const auto plan = Plan(Golden("one-click/mini-qwen2-bfloat16/w8a8-static"), options);
    ASSERT_TRUE(plan.ok()) << plan.error().ToString();
    EXPECT_THAT(plan->notes, testing::Contains(testing::HasSubstr("0xFFFFE000")));
    for (const TensorPlan& tensor : plan->tensors) {
      EXPECT_TRUE(!tensor.name.ends_with("q_proj.bias") || tensor.to == wanted) << tensor.name;
      EXPECT_TRUE(!tensor.name.ends_with("deq_scale") || tensor.to == DType::kI64) << tensor.name;
      EXPECT_TRUE(!tensor.name.ends_with("input_scale") || tensor.to == DType::kF32) << tensor.name;
      EXPECT_TRUE(!tensor.name.ends_with("layernorm.weight") || tensor.to == DType::kF16)
          << tensor.name;
    }
  }
}

TEST(Plan, TypeFromLabelsWhereTheDescriptionHasNone) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kA0), scratch.Path("in"));
  const std::string path = scratch.Path("in/quant_model_description.json");
  Spit(path, RemoveMember(Slurp(path), "model_quant_type").value());
  const auto plan = Plan(scratch.Path("in"), To(Dialect::kMindIE));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->quant_type, "W8A8");
  EXPECT_EQ(plan->notes.size(), 1U);
}

TEST(Plan, RotationsAreRefused) {
  const ScratchFolder scratch;
  CopyFolder(Golden("one-click/mini-qwen2-bfloat16/w8a16"), scratch.Path("in"));
  const std::string path = scratch.Path("in/quant_model_description.json");
  Spit(path, SetMember(Slurp(path), "metadata", R"({"quarot": {"max_tp_size": 4}})").value());
  const auto plan = Plan(scratch.Path("in"), To(Dialect::kMindIE));
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().rule, "CV-globals");
  EXPECT_TRUE(Plan(scratch.Path("in"), To(Dialect::kAscendV1)).ok());
}

TEST(Plan, SideFilesByPolicy) {
  const ScratchFolder scratch;
  CopyFolder(Golden(kA0), scratch.Path("in"));
  for (const char* name : {"README.md", "modeling_x.py", "notes.dat", "pytorch_model.bin",
                           "tokenizer.model", "qwen.tiktoken", "chat_template.jinja"}) {
    Spit(scratch.Path("in/") + name, "x");
  }
  std::filesystem::create_directory(scratch.Path("in/figures"));
  ConvertOptions options = To(Dialect::kAscendV1);
  const auto names = [](const std::vector<SideFile>& files) {
    std::vector<std::string> list;
    for (const SideFile& file : files) list.push_back(file.name);
    return list;
  };
  const auto plain = Plan(scratch.Path("in"), options);
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(names(plain->side_files.left),
            (std::vector<std::string>{"modeling_x.py", "notes.dat", "pytorch_model.bin"}));
  EXPECT_EQ(names(plain->side_files.copied),
            (std::vector<std::string>{"README.md", "chat_template.jinja", "generation_config.json",
                                      "qwen.tiktoken", "tokenizer.json", "tokenizer.model",
                                      "tokenizer_config.json"}));
  options.keep_extra = true;
  const auto extra = Plan(scratch.Path("in"), options);
  ASSERT_TRUE(extra.ok());
  EXPECT_EQ(names(extra->side_files.left), std::vector<std::string>{"pytorch_model.bin"});
}

}  // namespace
}  // namespace slim
