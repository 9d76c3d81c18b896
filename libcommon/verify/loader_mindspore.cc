// As vLLM-MindSpore's native models load a checkpoint (facts: consumers.md 6).
#include <fmt/format.h>

#include <array>
#include <map>

#include "base/text.h"
#include "verify/loader_judge.h"

namespace slim {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"quantization_description.json",
                                                    "quant_model_description.json",
                                                    "quant_model_description_w8a8sc.json"};

bool FindDescription(LoaderJudge& judge) {
  for (const std::string_view name : kNames) {
    judge.UseDescription(judge.ReadDescription(std::string(name)));
    if (judge.description != nullptr) return true;
  }
  const TensorEntry* first = judge.FirstQuantizedTensor();
  if (first == nullptr) return false;
  judge.Report("LD-description", Effect::kLoadsWrong,
               {.tensor = first->name,
                .found = judge.context.checkpoint().guess().description_file,
                .wanted = std::string(kNames[1]),
                .message = fmt::format("none of {} is there", fmt::join(kNames, ", "))});
  return false;
}

// Every entry below one module has one label (inner_conflict).
void CheckModules(LoaderJudge& judge) {
  std::map<std::string_view, std::string_view> labels;
  for (const QuantDescription::Entry& entry : judge.description->entries()) {
    if (!entry.is_tensor) continue;
    const TensorNameParts name = SplitTensorName(entry.key);
    const auto [found, fresh] = labels.try_emplace(name.module, entry.label);
    if (fresh || found->second == entry.label) continue;
    judge.Report("LD-mixed-module", Effect::kRefuses,
                 {.tensor = entry.key,
                  .found = entry.label,
                  .wanted = std::string(found->second),
                  .message = fmt::format("is {}, another tensor of the module {}", entry.label,
                                         found->second)});
  }
}

void CheckGroup(LoaderJudge& judge, const LoaderGroup& group) {
  std::optional<std::string> common;
  for (const size_t member : group.members) {
    const LoaderModule& module = judge.model.modules[member];
    const std::string* found = judge.Label(module.name + ".weight");
    const std::string label = found == nullptr ? "FLOAT" : *found;
    if (!common) common = label;
    if (label != *common) {
      judge.Report("LD-mixed-group", Effect::kRefuses,
                   {.tensor = module.name + ".weight",
                    .found = label,
                    .wanted = *common,
                    .message = fmt::format("is {}, layers fused with it are {}", label, *common)});
      return;
    }
    if (FindType(judge.target.version, label, false) == nullptr) {
      judge.Report("LD-type", Effect::kRefuses,
                   {.tensor = module.name + ".weight",
                    .found = label,
                    .message = fmt::format("is {}, which it does not support", Quote(label))});
      return;
    }
    if (label == "W8A8SC" && judge.target.chip != Chip::k300I) {
      judge.Report("LD-chip", Effect::kCrashesForward,
                   {.tensor = module.name + ".weight",
                    .found = label,
                    .wanted = "300I",
                    .message = "is W8A8SC, only the 300I computes with it"});
    }
    judge.CheckModule(module, label,
                      {.missing = Effect::kLoadsWrong, .missing_unused_matters = false});
  }
  if (common == "W8A8" || common == "W8A8S") judge.CheckInputs(group, Effect::kLoadsWrong);
}

// Its own method for golden-stick knows two labels (golden/golden-stick/README.md).
void CheckGoldenStick(LoaderJudge& judge) {
  for (const QuantDescription::Entry& entry : judge.description->entries()) {
    if (!entry.is_tensor || entry.label == "FLOAT" || entry.label == "W8A8") continue;
    judge.Report("LD-type", Effect::kRefuses,
                 {.tensor = entry.key,
                  .found = entry.label,
                  .message = fmt::format("is {}, which it does not support for golden-stick",
                                         Quote(entry.label))});
    return;
  }
}

}  // namespace

void JudgeMindSpore(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target,
                    bool deep) {
  LoaderJudge judge(context, model, target, deep, /*follows_index=*/true);
  judge.dtype = NamedDType(context, false).value_or(DType::kBF16);
  JudgeFiles(judge, Effect::kDegrades);
  if (!FindDescription(judge)) return;
  CheckModules(judge);
  if (context.IsDialect(Dialect::kGoldenStick)) return CheckGoldenStick(judge);
  for (const LoaderModule& module : model.modules) {
    const bool vocabulary = module.use == ModuleUse::kEmbedding || module.use == ModuleUse::kHead;
    const std::string* label = judge.Label(module.name + ".weight");
    if (!vocabulary || label == nullptr || *label == "FLOAT") continue;
    judge.Report("LD-float-module", Effect::kLoadsWrong,
                 {.tensor = module.name + ".weight",
                  .found = *label,
                  .wanted = "FLOAT",
                  .message = fmt::format("is {}, it is built float", *label)});
  }
  for (const LoaderGroup& group : model.groups) {
    if (group.kind != GroupKind::kExperts) CheckGroup(judge, group);
  }
  JudgeParallel(judge);
}

}  // namespace slim
