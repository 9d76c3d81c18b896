// As mindie_llm/runtime loads a checkpoint: the "mindie" profile, and what MindIE's atb runner does
// with Qwen2 and Qwen3 (facts: consumers.md 3; golden/loaders/README.md).
#include "verify/loader_mindie.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "model/modules.h"

namespace slim {
namespace {

// Names are matched by their ends (mindie_llm_config.py).
constexpr std::array<std::string_view, 7> kDescriptionNames = {
    "quant_model_description.json",          "quant_model_description_w8a8.json",
    "quant_model_description_w8a8_mix.json", "quant_model_description_w8a8s.json",
    "quant_model_description_w8a8sc.json",   "quant_model_description_w8a8_dynamic.json",
    "quant_model_description_w8a16.json"};

constexpr std::array<std::string_view, 5> kModelTypes = {"deepseek_v3", "deepseek_v32", "qwen2",
                                                         "qwen3", "qwen3_moe"};

class RuntimeJudge {
 public:
  RuntimeJudge(LoaderJudge& judge, bool computes)
      : judge_(judge), model_(judge.model), computes_(computes) {}

  void Run() {
    if (!FindDescription()) return;
    model_type_ = std::string(judge_.Global("model_quant_type").value_or(""));
    for (const LoaderModule& module : model_.modules) {
      if (module.use == ModuleUse::kNorm) CheckNorm(module);
      if (module.use == ModuleUse::kEmbedding) CheckFloatModule(module);
      if (module.use == ModuleUse::kHead && !model_.tied_head) CheckFloatModule(module);
    }
    for (const LoaderGroup& group : model_.groups) CheckGroup(group);
    CheckKvCache();
    if (model_.known()) judge_.ReportUnread();
  }

 private:
  bool FindDescription() {
    std::vector<std::string> found;
    for (const DirectoryEntry& file : judge_.context.checkpoint().listing()) {
      if (file.kind == FileKind::kDirectory) continue;
      for (const std::string_view name : kDescriptionNames) {
        if (file.name.ends_with(name)) found.push_back(file.name);
      }
    }
    if (found.size() > 1) {
      judge_.Report(
          "LD-description", Effect::kRefuses,
          {.found = Join(found, ", "),
           .wanted = found.front(),
           .message = fmt::format("{} descriptions: {}", found.size(), Join(found, ", "))});
      return false;
    }
    if (!found.empty()) {
      judge_.UseDescription(judge_.ReadDescription(found.front()));
      return judge_.description != nullptr;
    }
    const TensorEntry* first = judge_.FirstQuantizedTensor();
    if (first != nullptr) {
      judge_.Report("LD-description", Effect::kLoadsWrong,
                    {.tensor = first->name,
                     .found = judge_.context.checkpoint().guess().description_file,
                     .wanted = std::string(kDescriptionNames[0]),
                     .message = "no description that it knows: the model is built float and takes "
                                "codes for weights"});
    }
    return false;
  }

  PartPolicy Policy() const { return {.missing = Effect::kRefuses}; }

  void ReportEntry(const std::string& module) {
    judge_.MarkModule(module);
    judge_.Report("LD-missing-entry", Effect::kRefuses,
                  {.tensor = module + ".weight",
                   .message = "has no entry in the description, the loader looks it up"});
  }

  // Embedding and head are float whatever the description says.
  void CheckFloatModule(const LoaderModule& module) {
    const std::string weight = module.name + ".weight";
    const LoaderTensor tensor = judge_.files.Find(weight);
    if (!tensor) return judge_.ReportMissing(weight, Effect::kRefuses, "");
    judge_.MarkRead(weight);
    const bool codes = !IsFloating(tensor.entry->dtype) || DTypeBits(tensor.entry->dtype) <= 8;
    if (!codes) {
      judge_.CheckModule(module, "FLOAT", Policy());
      return;
    }
    judge_.Report("LD-float-module", Effect::kLoadsWrong,
                  {.tensor = weight,
                   .found = std::string(DTypeName(tensor.entry->dtype)),
                   .wanted = std::string(DTypeName(judge_.dtype)),
                   .message = "holds codes, which are taken for values"});
  }

  void CheckNorm(const LoaderModule& module) {
    const std::string weight = module.name + ".weight";
    if (!judge_.CheckTensor(weight, judge_.dtype, Shape{module.n}, Policy()))
      judge_.ReportMissing(weight, Effect::kRefuses, "");
    const std::string bias = module.name + ".bias";
    if (judge_.Label(bias) == nullptr) return;  // no parameter: what is there goes unread
    if (!judge_.CheckTensor(bias, judge_.dtype, Shape{module.n}, Policy()))
      judge_.ReportMissing(bias, Effect::kRefuses, "");
  }

  void CheckGroup(const LoaderGroup& group) {
    if (group.kind == GroupKind::kExperts) return CheckExperts(group);
    std::vector<std::string> labels;
    for (const size_t member : group.members) {
      const LoaderModule& module = model_.modules[member];
      const std::string* label = judge_.Label(module.name + ".weight");
      if (label == nullptr || label->empty()) {
        ReportEntry(module.name);
      } else {
        labels.push_back(*label);
      }
    }
    const auto give_up = [&] {
      for (const size_t member : group.members) judge_.MarkModule(model_.modules[member].name);
    };
    if (labels.size() != group.members.size()) return give_up();
    const bool mixed = std::any_of(labels.begin(), labels.end(),
                                   [&](const std::string& label) { return label != labels[0]; });
    if (mixed && group.kind != GroupKind::kGateUp) {
      judge_.Report("LD-mixed-group", Effect::kRefuses,
                    {.tensor = model_.modules[group.members.front()].name + ".weight",
                     .found = Join(labels, ", "),
                     .message = fmt::format("{} is built of {} layers", Quote(group.name),
                                            Join(labels, ", "))});
      return give_up();
    }
    for (size_t i = 0; i < labels.size(); ++i)
      CheckLinear(model_.modules[group.members[i]], labels[i], mixed ? LoaderGroup{} : group);
    if (!mixed && (labels[0] == "W8A8" || labels[0] == "W8A8_MIX"))
      judge_.CheckInputs(group, Effect::kLoadsWrong);
  }

  void CheckExperts(const LoaderGroup& group) {
    for (const size_t member : group.members) {
      const LoaderModule& module = model_.modules[member];
      const std::string* label = judge_.Label(module.name + ".weight");
      if (label == nullptr) {
        ReportEntry(module.name);
        return;
      }
      if (FindType(judge_.target.version, *label, true) == nullptr)
        return ReportType(module, *label);
      judge_.CheckModule(module, *label, Policy());
    }
  }

  void ReportType(const LoaderModule& module, std::string_view label) {
    // The float parameter takes what has its shape and refuses what has not.
    const LoaderTensor weight = judge_.files.Find(module.name + ".weight");
    const bool fits = weight && (module.n == 0 || weight.entry->shape == Shape{module.n, module.k});
    if (!fits && weight) {
      judge_.Report("LD-shape", Effect::kCrashes,
                    {.tensor = module.name + ".weight",
                     .found = ShapeText(weight.entry->shape),
                     .wanted = ShapeText({module.n, module.k}),
                     .message = fmt::format("has shape {}, the float parameter {}",
                                            ShapeText(weight.entry->shape),
                                            ShapeText({module.n, module.k}))});
    }
    judge_.Report("LD-type", fits ? Effect::kLoadsWrong : Effect::kCrashes,
                  {.tensor = module.name + ".weight",
                   .found = std::string(label),
                   .message = fmt::format(
                       "is {}, which it does not know: the layer is built float {}", Quote(label),
                       fits ? "and takes the codes for weights" : "and the shape does not fit")});
  }

  void CheckLinear(const LoaderModule& module, std::string label, const LoaderGroup& group) {
    if (label == "W8A8_MIX" && model_type_ != "W8A8_MIX") label = model_type_;
    const LoaderType* type = FindType(judge_.target.version, label, false);
    if (type == nullptr) {
      const LoaderTensor weight = judge_.files.Find(module.name + ".weight");
      judge_.MarkRead(module.name + ".weight");
      if (weight && IsFloating(weight.entry->dtype) && DTypeBits(weight.entry->dtype) > 8) {
        judge_.CheckModule(module, "FLOAT", Policy());
        CheckFloatBias(module);
        return;
      }
      judge_.MarkModule(module.name);
      return ReportType(module, label);
    }
    if ((label == "W8A8" || label == "W8A8_MIX") && judge_.dtype == DType::kF32) {
      judge_.Report("LD-dtype", Effect::kRefuses,
                    {.tensor = module.name + ".weight",
                     .found = "float32",
                     .wanted = "bfloat16 or float16",
                     .message = fmt::format("{} layers are refused in float32 models", label),
                     .path = judge_.ConfigPath()});
      judge_.MarkModule(module.name);
      return;
    }
    if (type->only_a5) return CheckMx(module, label);
    judge_.CheckModule(module, label, Policy());
    if (label == "FLOAT") CheckFloatBias(module);
    if (label == "W8A8_DYNAMIC" || label == "W8A8_MIX") CheckDynamicBias(module, group);
    if (label == "W8A8_DYNAMIC" && computes_) judge_.CheckOffset(module, 1.0);
  }

  void CheckFloatBias(const LoaderModule& module) {
    if (!module.has_bias.value_or(false)) return;
    const std::string bias = module.name + ".bias";
    if (!judge_.CheckTensor(bias, judge_.dtype, Shape{module.n}, Policy()))
      judge_.ReportMissing(bias, Effect::kRefuses, "FLOAT");
  }

  // The bias of a dynamic layer exists through the description only, for all members of a fused
  // group or for none, and not in row-parallel layers.
  void CheckDynamicBias(const LoaderModule& module, const LoaderGroup& group) {
    std::vector<std::string> names = {module.name + ".bias"};
    if (group.kind == GroupKind::kQkv) {
      names.clear();
      for (const size_t member : group.members)
        names.push_back(model_.modules[member].name + ".bias");
    }
    const bool described = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      const std::string* label = judge_.Label(name);
      return label != nullptr && !label->empty();
    });
    if (!described) return;
    const std::string bias = module.name + ".bias";
    if (!judge_.CheckTensor(bias, judge_.dtype, Shape{module.n}, Policy()))
      return judge_.ReportMissing(bias, Effect::kRefuses, "W8A8_DYNAMIC");
    if (module.use != ModuleUse::kRow) return;
    judge_.Report("LD-unknown-tensor", Effect::kRefuses,
                  {.tensor = bias,
                   .message = "is described, but a row-parallel W8A8_DYNAMIC layer takes no bias"});
  }

  // weight_scale is cut along k as if it had k columns.
  void CheckMx(const LoaderModule& module, std::string_view label) {
    judge_.MarkModule(module.name);
    const bool row = module.use == ModuleUse::kRow;
    const bool odd = module.k > 0 && (module.k % 32 != 0 || module.k / 32 % 2 != 0);
    if (!row && !odd) {
      judge_.CheckModule(module, label, Policy());
      return;
    }
    judge_.Report(
        "LD-shape", odd ? Effect::kRefuses : Effect::kCrashes,
        {.tensor = module.name + ".weight_scale",
         .message = odd ? fmt::format("{} columns are no even number of blocks of 32", module.k)
                        : "the loader cuts it as if it had a column an input of the layer"});
  }

  void CheckKvCache() {
    const auto type = judge_.Global("kv_quant_type");
    const bool on = type.has_value();
    const LoaderModule* first = nullptr;
    for (const LoaderModule& module : model_.modules) {
      if (!module.name.ends_with(".k_proj")) continue;
      if (!on || judge_.Label(module.name + ".kv_cache_scale") == nullptr) continue;
      first = first == nullptr ? &module : first;
      const std::string stem(SplitTensorName(module.name).module);
      for (const std::string_view part : {"k_proj.kv_cache_scale", "k_proj.kv_cache_offset",
                                          "v_proj.kv_cache_scale", "v_proj.kv_cache_offset"}) {
        const std::string name = fmt::format("{}.{}", stem, part);
        if (!judge_.CheckTensor(name, judge_.dtype, Shape{module.n}, Policy()))
          judge_.ReportMissing(name, Effect::kRefuses, "C8");
        if (part.ends_with("offset") && judge_.deep && judge_.files.Find(name) &&
            !judge_.IsZero(name)) {
          judge_.Report(
              "LD-offset", Effect::kLoadsWrong,
              {.tensor = name, .wanted = "0", .message = "is not zero; its bits are misread"});
        }
      }
    }
    if (first != nullptr && model_.config) CheckKvParallel(*first);
  }

  // tp // kv heads counts the replicas of a head and is divided by: 0 when there are fewer ranks
  // than heads. More ranks than heads means a multiple of them.
  void CheckKvParallel(const LoaderModule& module) {
    const uint64_t heads = model_.config->num_kv_heads;
    const uint64_t tp = judge_.target.tp.value_or(0);
    const std::string tensor = module.name + ".kv_cache_scale";
    if (tp != 0 && tp < heads) {
      judge_.Report(
          "LD-kv-cache", Effect::kCrashes,
          {.tensor = tensor,
           .found = fmt::format("tp {}", tp),
           .wanted = fmt::format("tp {} or more", heads),
           .message = fmt::format("divides by zero with fewer ranks ({}) than key-value heads ({})",
                                  tp, heads)});
    } else if (tp == 0 && heads > 1) {
      const bool possible = model_.config->intermediate_size % heads == 0;
      judge_.Report(
          "LD-kv-cache", possible ? Effect::kDegrades : Effect::kRefuses,
          {.tensor = tensor,
           .wanted = fmt::format("tp {} or more", heads),
           .message =
               possible ? fmt::format("needs --tp {} or more: with fewer ranks it divides by zero",
                                      heads)
                        : fmt::format(
                              "needs tp {} or more, by which intermediate_size {} does not divide",
                              heads, model_.config->intermediate_size)});
    }
  }

  LoaderJudge& judge_;
  const LoaderModel& model_;
  bool computes_;
  std::string model_type_;
};

}  // namespace

void JudgeRuntimeLoader(LoaderJudge& judge, bool computes) {
  JudgeFiles(judge, Effect::kRefuses);
  JudgePermissions(judge);
  RuntimeJudge(judge, computes).Run();
}

void JudgePermissions(LoaderJudge& judge) {
  const Checkpoint& checkpoint = judge.context.checkpoint();
  for (const DirectoryEntry& file : checkpoint.listing()) {
    const bool weights = std::find(judge.files.opened().begin(), judge.files.opened().end(),
                                   file.name) != judge.files.opened().end();
    const bool json =
        file.name == "config.json" || file.name == checkpoint.guess().description_file;
    if ((!weights && !json) || (file.mode & 022U) == 0) continue;
    judge.Report("LD-permissions", Effect::kRefuses,
                 {.found = fmt::format("{:o}", file.mode & 0777U),
                  .wanted = fmt::format("{:o}", file.mode & 0755U),
                  .message = fmt::format("has mode {:o}", file.mode & 0777U),
                  .path = JoinPath(checkpoint.path(), file.name)});
  }
}

void JudgeMindie(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target,
                 bool deep) {
  LoaderJudge judge(context, model, target, deep, /*follows_index=*/true);
  const Json* type = judge.Config("model_type");
  const std::string name = type == nullptr || !type->is_string() ? "" : ToLower(type->text());
  if (std::find(kModelTypes.begin(), kModelTypes.end(), name) == kModelTypes.end()) {
    judge.Report("LD-model-type", Effect::kRefuses,
                 {.found = name,
                  .wanted = fmt::format("one of {}", fmt::join(kModelTypes, ", ")),
                  .message = fmt::format("has no model {}", Quote(name)),
                  .path = judge.ConfigPath()});
    return;
  }
  const auto dtype = NamedDType(context, /*torch_dtype_only=*/true);
  if (!dtype) {
    judge.Report("LD-dtype", Effect::kCrashes,
                 {.wanted = "torch_dtype",
                  .message = "config.json has no usable 'torch_dtype' ('dtype' is not read)",
                  .path = judge.ConfigPath()});
    return;
  }
  judge.dtype = *dtype;
  JudgeRuntimeLoader(judge, /*computes=*/true);
  JudgeParallel(judge);
}

}  // namespace slim
