// As SGLang on NPUs loads a checkpoint (facts: consumers.md 5).
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "model/modules.h"
#include "verify/loader_judge.h"

namespace slim {
namespace {

class SglangJudge {
 public:
  explicit SglangJudge(LoaderJudge& judge) : judge_(judge), model_(judge.model) {}

  void Run() {
    judge_.dtype = NamedDType(judge_.context, false).value_or(DType::kBF16);
    JudgeFiles(judge_, Effect::kDegrades);
    JudgeLimits(judge_);
    if (!FindDescription()) return;
    for (const QuantDescription::Entry& entry : judge_.description->entries())
      norm_bias_ = norm_bias_ || entry.key.find("norm.bias") != std::string::npos;
    for (const LoaderModule& module : model_.modules) {
      if (module.use == ModuleUse::kNorm) CheckNorm(module);
      if (module.use == ModuleUse::kEmbedding) CheckFloatModule(module);
      if (module.use == ModuleUse::kHead && !model_.tied_head) CheckFloatModule(module);
    }
    for (const LoaderGroup& group : model_.groups) {
      if (group.kind == GroupKind::kExperts) {
        CheckExperts(group);
      } else {
        CheckGroup(group);
      }
    }
    CheckDraftLayers();
    if (model_.known()) ReportUnknown();
    JudgeParallel(judge_);
  }

 private:
  bool FindDescription() {
    constexpr std::string_view kName = "quant_model_description.json";
    judge_.UseDescription(judge_.ReadDescription(std::string(kName)));
    if (judge_.description != nullptr) return true;
    if (judge_.context.checkpoint().HasFile(kName)) return false;
    const Json* block = judge_.Config("quantization_config");
    const Json* method = block == nullptr ? nullptr : block->Find("quant_method");
    if (method != nullptr) {
      const std::string name(method->AsString().value_or(""));
      judge_.Report(
          "LD-foreign-format", Effect::kDegrades,
          {.found = name,
           .message = fmt::format("is {}: it does not load with --quantization modelslim, "
                                  "and few of its types run on NPUs",
                                  Quote(name)),
           .path = judge_.ConfigPath()});
      return false;
    }
    const TensorEntry* first = judge_.FirstQuantizedTensor();
    if (first == nullptr) return false;
    judge_.Report("LD-description", Effect::kLoadsWrong,
                  {.tensor = first->name,
                   .found = judge_.context.checkpoint().guess().description_file,
                   .wanted = std::string(kName),
                   .message = fmt::format("{} is not there: the model is built float", kName)});
    return false;
  }

  PartPolicy Policy() const {
    return {.missing = Effect::kLoadsWrong, .missing_unused_matters = false};
  }

  void CheckFloatModule(const LoaderModule& module) {
    const std::string* label = judge_.Label(module.name + ".weight");
    if (label == nullptr || *label == "FLOAT") {
      judge_.CheckModule(module, "FLOAT", Policy());
      return;
    }
    judge_.MarkRead(module.name + ".weight");
    judge_.Report("LD-float-module", Effect::kLoadsWrong,
                  {.tensor = module.name + ".weight",
                   .found = *label,
                   .wanted = "FLOAT",
                   .message = fmt::format("is {}, it is built float", *label)});
  }

  void CheckNorm(const LoaderModule& module) {
    if (!judge_.CheckTensor(module.name + ".weight", judge_.dtype, Shape{module.n}, Policy()))
      judge_.ReportMissing(module.name + ".weight", Effect::kLoadsWrong, "");
    if (norm_bias_) judge_.MarkRead(module.name + ".bias");
  }

  void CheckGroup(const LoaderGroup& group) {
    size_t floats = 0;
    std::optional<std::string> scheme;
    for (const size_t member : group.members) {
      const LoaderModule& module = model_.modules[member];
      const std::string* label = judge_.Label(module.name + ".weight");
      if (label == nullptr) {
        judge_.Report("LD-missing-entry", Effect::kRefuses,
                      {.tensor = module.name + ".weight",
                       .message = "has no entry in the description: no scheme for the layer"});
        return;
      }
      if (*label == "FLOAT") {
        ++floats;
      } else if (!scheme) {
        scheme = *label;
      } else if (*label != *scheme) {
        ReportMixture(module, *label, *scheme, Effect::kLoadsWrong);
        return;
      }
    }
    const LoaderModule& first = model_.modules[group.members.front()];
    if (floats > 0 && scheme) return ReportMixture(first, "FLOAT", *scheme, Effect::kRefuses);
    const std::string label = scheme.value_or("FLOAT");
    const LoaderType* type = FindType(judge_.target.version, label, false);
    if (type == nullptr) {
      judge_.Report("LD-type", Effect::kRefuses,
                    {.tensor = first.name + ".weight",
                     .found = label,
                     .message = fmt::format("is {}, which it does not support for linear layers",
                                            Quote(label))});
      return;
    }
    CheckChip(*type, first);
    for (const size_t member : group.members) CheckLinear(model_.modules[member], label);
    if (label == "W8A8") judge_.CheckInputs(group, Effect::kLoadsWrong);
  }

  void CheckLinear(const LoaderModule& module, std::string_view label) {
    judge_.CheckModule(module, label, Policy());
    if (module.has_bias.value_or(false)) judge_.MarkRead(module.name + ".bias");
    if (label == "W8A8_DYNAMIC") judge_.CheckOffset(module, 1.0);
  }

  void ReportMixture(const LoaderModule& module, std::string_view found, std::string_view wanted,
                     Effect effect) {
    judge_.Report("LD-mixed-group", effect,
                  {.tensor = module.name + ".weight",
                   .found = std::string(found),
                   .wanted = std::string(wanted),
                   .message = fmt::format("is {}, layers fused with it are {}", found, wanted)});
  }

  void CheckChip(const LoaderType& type, const LoaderModule& module) {
    const bool half = type.label == "W8A8_DYNAMIC" && judge_.dtype == DType::kF16;
    const bool mx = type.only_a5 && judge_.target.chip != Chip::kA5;
    if (!half && !mx) return;
    judge_.Report("LD-chip", Effect::kCrashesForward,
                  {.tensor = module.name + ".weight",
                   .found = half ? "float16" : std::string(type.label),
                   .wanted = half ? "bfloat16" : "A5",
                   .message = half ? "the kernel of W8A8_DYNAMIC refuses float16 scales"
                                   : fmt::format("is {}, only A5 computes with it", type.label)});
  }

  void CheckExperts(const LoaderGroup& group) {
    for (const size_t member : group.members) {
      const LoaderModule& module = model_.modules[member];
      const std::string* label = judge_.Label(module.name + ".weight");
      const bool good = label != nullptr && *label != "FLOAT" &&
                        FindType(judge_.target.version, *label, true) != nullptr;
      if (good) {
        judge_.CheckModule(module, *label, Policy());
        continue;
      }
      judge_.Report("LD-type", Effect::kRefuses,
                    {.tensor = module.name + ".weight",
                     .found = label == nullptr ? "" : *label,
                     .message = fmt::format("is {}, which it does not support for expert layers",
                                            label == nullptr ? "not described" : Quote(*label))});
      return;
    }
  }

  // Draft models get no quantization.
  void CheckDraftLayers() {
    if (model_.num_layers == 0) return;
    const std::string prefix = fmt::format("model.layers.{}.", model_.num_layers);
    for (const LoaderModule& module : model_.modules) {
      if (!module.name.starts_with(prefix)) continue;
      const std::string* label = judge_.Label(module.name + ".weight");
      if (label == nullptr || *label == "FLOAT") continue;
      judge_.Report(
          "LD-draft-layer", Effect::kLoadsWrong,
          {.tensor = module.name + ".weight",
           .found = *label,
           .wanted = "FLOAT",
           .message = fmt::format("of the draft layer is {}, it is built float", *label)});
    }
  }

  void ReportUnknown() {
    for (const TensorEntry& entry : judge_.context.checkpoint().tensors()) {
      if (judge_.IsRead(entry) || !judge_.files.Visible(entry) || judge_.IsHarmless(entry))
        continue;
      judge_.Report(
          "LD-unread-tensor", Effect::kLoadsWrong,
          {.tensor = entry.name, .message = "has no parameter: it is passed over with a warning"});
    }
  }

  LoaderJudge& judge_;
  const LoaderModel& model_;
  bool norm_bias_ = false;
};

}  // namespace

void JudgeSglang(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target,
                 bool deep) {
  LoaderJudge judge(context, model, target, deep, /*follows_index=*/true);
  SglangJudge(judge).Run();
}

}  // namespace slim
