// As vLLM with vllm-ascend loads a checkpoint (facts: consumers.md 4; golden/loaders/README.md):
// which description it takes, the type of each layer, the parameters it creates, the tensors it
// does not know.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "model/modules.h"
#include "verify/loader_judge.h"

namespace slim {
namespace {

constexpr std::string_view kDescriptionName = "quant_model_description.json";

class VllmJudge {
 public:
  explicit VllmJudge(LoaderJudge& judge) : judge_(judge), model_(judge.model) {}

  void Run() {
    judge_.dtype = ModelDType();
    JudgeFiles(judge_, Effect::kDegrades);
    CheckModelType();
    JudgeLimits(judge_);
    if (!FindDescription()) return;
    ReadGlobals();
    for (const LoaderModule& module : model_.modules) {
      if (module.use == ModuleUse::kNorm) CheckNorm(module);
      if (module.use == ModuleUse::kEmbedding) CheckVocabulary(module);
      if (module.use == ModuleUse::kHead && (!model_.tied_head || TiedHeadIsBuilt()))
        CheckVocabulary(module);
    }
    for (const LoaderGroup& group : model_.groups) {
      if (group.kind == GroupKind::kExperts) {
        CheckExperts(group);
      } else {
        CheckGroup(group);
      }
    }
    CheckKvCache();
    CheckUnknownTensors();
    CheckDraftLayers();
    JudgeParallel(judge_);
  }

 private:
  // As vLLM's ModelConfig: float32 models, and such without a dtype, run in bfloat16; without one
  // the widest dtype of the files counts.
  DType ModelDType() const {
    if (const auto named = NamedDType(judge_.context, false))
      return *named == DType::kF16 ? DType::kF16 : DType::kBF16;
    bool half = false;
    for (const TensorEntry& entry : judge_.context.checkpoint().tensors()) {
      if (entry.dtype == DType::kF32 || entry.dtype == DType::kBF16) return DType::kBF16;
      half = half || entry.dtype == DType::kF16;
    }
    return half ? DType::kF16 : DType::kBF16;
  }

  void CheckModelType() {
    const Json* type = judge_.Config("model_type");
    if (type == nullptr || type->AsString() != "deepseekv2") return;
    judge_.Report("LD-model-type", Effect::kRefuses,
                  {.found = "deepseekv2",
                   .wanted = "deepseek_v3",
                   .message = "'deepseekv2' is MindIE's name, vLLM has deepseek_v2 and deepseek_v3",
                   .path = judge_.ConfigPath()});
  }

  // False when there is nothing left to judge layer by layer.
  bool FindDescription() {
    const Json* block = judge_.Config("quantization_config");
    const bool filled = block != nullptr && block->is_object() && !block->members().empty();
    if (filled && block->Find("quant_method") != nullptr) {
      ReportMethod(*block);
      return false;
    }
    if (filled) return TakeBlock(*block);
    if (judge_.IsVersion(LoaderVersion::kVllm07)) {
      judge_.Report("LD-description", Effect::kCrashes,
                    {.wanted = "quantization_config in config.json",
                     .message = "this version reads the description from config.json only",
                     .path = judge_.ConfigPath()});
      return false;
    }
    judge_.UseDescription(judge_.ReadDescription(std::string(kDescriptionName)));
    if (judge_.description != nullptr) {
      ReportLaunch();
      return true;
    }
    if (judge_.context.checkpoint().HasFile(kDescriptionName)) return false;  // unreadable
    const TensorEntry* first = judge_.FirstQuantizedTensor();
    if (first != nullptr) {
      judge_.Report("LD-description", Effect::kRefuses,
                    {.tensor = first->name,
                     .found = judge_.context.checkpoint().guess().description_file,
                     .wanted = std::string(kDescriptionName),
                     .message = fmt::format("{} is not there: the model is built float and has no "
                                            "parameter for this tensor",
                                            kDescriptionName)});
    }
    return false;
  }

  void ReportLaunch() {
    if (!judge_.IsVersion(LoaderVersion::kVllm09)) return;
    judge_.Report("LD-launch", Effect::kDegrades,
                  {.message = "this version needs --quantization ascend"});
  }

  void ReportMethod(const Json& block) {
    const Json* method = block.Find("quant_method");
    const std::string name = method->is_string() ? method->text() : "of another kind";
    if (method->is_string() && name == "ascend") return;
    const bool described = judge_.context.checkpoint().HasFile(kDescriptionName);
    if (described) {
      judge_.Report(
          "LD-quantization-config", Effect::kRefuses,
          {.found = name,
           .wanted = "no quantization_config",
           .message = fmt::format("quant_method {} beats the description: the tensors are "
                                  "taken for that format",
                                  Quote(name)),
           .path = judge_.ConfigPath()});
    } else {
      judge_.Report(
          "LD-foreign-format", Effect::kRefuses,
          {.found = name,
           .message = fmt::format("there is no kernel for {} on this hardware", Quote(name)),
           .path = judge_.ConfigPath()});
    }
  }

  // A block without quant_method is taken for the description itself.
  bool TakeBlock(const Json& block) {
    const auto is_label = [](const Json::Member& member) {
      return member.second.is_string() && !IsGlobalKey(member.first);
    };
    for (const Json::Member& member : block.members()) {
      if (member.first == "model.embed_tokens.weight" && is_label(member)) {
        auto parsed = QuantDescription::Parse(DumpJson(block));
        if (!parsed.ok()) break;
        embedded_ = std::move(*parsed);
        judge_.UseDescription(&*embedded_);
        return true;
      }
    }
    judge_.Report("LD-quantization-config", Effect::kCrashes,
                  {.found = "without quant_method",
                   .wanted = "no quantization_config",
                   .message = "is taken for the description, which then lacks "
                              "'model.embed_tokens.weight'",
                   .path = judge_.ConfigPath()});
    return false;
  }

  void ReadGlobals() {
    for (const QuantDescription::Entry& entry : judge_.description->entries()) {
      if (entry.key.find("norm.bias") != std::string::npos) norm_bias_ = true;
      if (!entry.is_tensor) continue;
      if (entry.label == "FLOAT" && entry.key.ends_with(".weight"))
        float_keys_.push_back(entry.key);
    }
    std::sort(float_keys_.begin(), float_keys_.end());
    const bool new_enough =
        judge_.IsVersion(LoaderVersion::kVllm16) || judge_.IsVersion(LoaderVersion::kVllmMain);
    c8_ = judge_.Global("kv_cache_type") == "C8" && new_enough;
  }

  // The label of a module; aliases as the loader makes them.
  const std::string* LabelOf(std::string_view module) const {
    for (const std::string_view leaf : {".weight", ".weight_packed"}) {
      if (const std::string* label = judge_.Label(fmt::format("{}{}", module, leaf))) return label;
    }
    const bool old =
        judge_.IsVersion(LoaderVersion::kVllm07) || judge_.IsVersion(LoaderVersion::kVllm09);
    if (module == "lm_head" && !old) return judge_.Label("language_model.lm_head.weight");
    return nullptr;
  }

  // is_layer_skipped_ascend: any FLOAT key that begins with the prefix counts.
  bool IsSkipped(std::string_view module) const {
    if (judge_.IsVersion(LoaderVersion::kVllmMain)) {
      const std::string* label = LabelOf(module);
      return label == nullptr || *label == "FLOAT";
    }
    const auto found = std::lower_bound(float_keys_.begin(), float_keys_.end(), module);
    return found != float_keys_.end() && found->starts_with(module);
  }

  // Llama's head is built, and looked up, also when it is tied.
  bool TiedHeadIsBuilt() const {
    return model_.known() && model_.config->architecture == Architecture::kLlama;
  }

  void ReportEntry(std::string_view module, Effect effect) {
    judge_.MarkModule(module);
    judge_.Report("LD-missing-entry", effect,
                  {.tensor = fmt::format("{}.weight", module),
                   .message = "has no entry in the description, the loader looks it up"});
  }

  // The registered scheme of a label on this chip, or a finding.
  bool IsSupported(std::string_view label, std::string_view module, bool moe) {
    const LoaderType* type = FindType(judge_.target.version, label, moe);
    if (judge_.target.chip == Chip::k300I) {
      const bool here = label == "W8A8" || label == "W8A8_DYNAMIC" || label == "W8A8S" ||
                        label == "W8A8SC" || label == "FLOAT";
      if (!here) type = nullptr;
      if (here && type == nullptr) return true;  // schemes of the 310P registry only
    }
    if (type == nullptr) {
      judge_.MarkModule(module);
      judge_.Report("LD-type", Effect::kRefuses,
                    {.tensor = fmt::format("{}.weight", module),
                     .found = std::string(label),
                     .message = fmt::format("is {}, which it does not support for {} layers",
                                            Quote(label), moe ? "expert" : "linear")});
      return false;
    }
    CheckKernel(*type, module);
    return true;
  }

  void CheckKernel(const LoaderType& type, std::string_view module) {
    const std::string tensor = fmt::format("{}.weight", module);
    if (type.only_a5 && judge_.target.chip != Chip::kA5) {
      judge_.Report("LD-chip", Effect::kCrashesForward,
                    {.tensor = tensor,
                     .found = std::string(type.label),
                     .wanted = "A5",
                     .message = fmt::format("is {}, only A5 computes with it", type.label)});
    }
    if (type.label == "W8A8_DYNAMIC" && judge_.dtype == DType::kF16) {
      judge_.Report("LD-chip", Effect::kCrashesForward,
                    {.tensor = tensor,
                     .found = "float16",
                     .wanted = "bfloat16",
                     .message = "the kernel of W8A8_DYNAMIC refuses float16 scales (161002)"});
    }
    const bool old =
        judge_.IsVersion(LoaderVersion::kVllm07) || judge_.IsVersion(LoaderVersion::kVllm09);
    if (judge_.target.chip == Chip::k300I && old && type.label != "FLOAT") {
      judge_.Report("LD-chip", Effect::kCrashesForward,
                    {.tensor = tensor,
                     .found = std::string(type.label),
                     .message = "this version lays weights out as the 300I does not take them"});
    }
    if (judge_.target.chip == Chip::k300I && judge_.dtype == DType::kBF16) {
      judge_.Report("LD-chip", Effect::kCrashesForward,
                    {.tensor = tensor,
                     .found = "bfloat16",
                     .wanted = "float16",
                     .message = "the 300I computes in float16 only"});
    }
  }

  PartPolicy Policy() const {
    return {.missing = Effect::kLoadsWrong, .missing_unused_matters = false};
  }

  void CheckBias(const LoaderModule& module, std::string_view label) {
    const std::string name = module.name + ".bias";
    if (!module.has_bias.value_or(false)) return;
    // Static layers have it inside quant_bias; the parameter is not used.
    if (!judge_.CheckTensor(name, judge_.dtype, Shape{module.n}, Policy()) && label != "W8A8")
      judge_.ReportMissing(name, Effect::kLoadsWrong, label);
  }

  void CheckLinear(const LoaderModule& module, std::string_view label) {
    judge_.CheckModule(module, label, Policy());
    CheckBias(module, label);
    if (label == "W8A8_DYNAMIC" || label == "W8A8_MIX") judge_.CheckOffset(module, 1.0);
    if (label == "W8A16" && !judge_.context.checkpoint().AddsWeightOffset())
      judge_.CheckOffset(module, 2.0);
  }

  void CheckVocabulary(const LoaderModule& module) {
    if (IsSkipped(module.name)) {
      if (module.use == ModuleUse::kHead && model_.tied_head) return;
      CheckLinear(module, "FLOAT");
      return;
    }
    const std::string* label = LabelOf(module.name);
    if (label == nullptr) return ReportEntry(module.name, Effect::kCrashes);
    if (IsSupported(*label, module.name, false)) CheckLinear(module, *label);
  }

  void CheckGroup(const LoaderGroup& group) {
    const bool fused = group.kind != GroupKind::kSingle;
    const LoaderModule& first = model_.modules[group.members.front()];
    if (!fused) {
      if (IsSkipped(first.name)) {
        ReportCollision(first);
        return CheckLinear(first, "FLOAT");
      }
      const std::string* label = LabelOf(first.name);
      if (label == nullptr) return ReportEntry(first.name, Effect::kCrashes);
      if (!IsSupported(*label, first.name, false)) return;
      CheckLinearGroupSize(*label, first.name);
      return CheckLinear(first, *label);
    }
    const auto label = FusedLabel(group, Effect::kCrashes);
    if (!label || !IsSupported(*label, first.name, false)) {
      for (const size_t member : group.members) judge_.MarkModule(model_.modules[member].name);
      return;
    }
    CheckLinearGroupSize(*label, first.name);
    for (const size_t member : group.members) CheckLinear(model_.modules[member], *label);
    if (*label == "W8A8" || *label == "W8A8_MIX" || *label == "W8A8S")
      judge_.CheckInputs(group, Effect::kLoadsWrong);
  }

  // One label for all members, or findings.
  std::optional<std::string> FusedLabel(const LoaderGroup& group, Effect missing) {
    std::optional<std::string> common;
    bool good = true;
    for (const size_t member : group.members) {
      const LoaderModule& module = model_.modules[member];
      const std::string* label = LabelOf(module.name);
      if (label == nullptr) {
        ReportEntry(module.name, missing);
        good = false;
        continue;
      }
      if (!common) common = *label;
      if (*label == *common) continue;
      judge_.Report("LD-mixed-group", Effect::kRefuses,
                    {.tensor = module.name + ".weight",
                     .found = *label,
                     .wanted = *common,
                     .message = fmt::format("is {}, {} is built of it and of {} layers", *label,
                                            Quote(group.name), *common)});
      good = false;
    }
    return good ? common : std::nullopt;
  }

  // A quantized layer whose name begins the name of a FLOAT layer is taken for float.
  void ReportCollision(const LoaderModule& module) {
    const std::string* label = LabelOf(module.name);
    if (label == nullptr || *label == "FLOAT") return;
    const auto found = std::lower_bound(float_keys_.begin(), float_keys_.end(), module.name);
    judge_.Report("LD-name-prefix", Effect::kLoadsWrong,
                  {.tensor = module.name + ".weight",
                   .found = *label,
                   .message = fmt::format("is {}, but {} is FLOAT and begins with its name", *label,
                                          Quote(found == float_keys_.end() ? "" : *found))});
  }

  void CheckExperts(const LoaderGroup& group) {
    CheckExpertMap(group);
    std::optional<std::string> first;
    const std::string zero = group.name + ".0.";
    for (const size_t member : group.members) {
      const LoaderModule& module = model_.modules[member];
      const std::string* label = LabelOf(module.name);
      if (!module.name.starts_with(zero)) {
        if (first && (label == nullptr || *label != *first)) {
          judge_.Report(
              "LD-expert-differs", Effect::kLoadsWrong,
              {.tensor = module.name + ".weight",
               .found = label == nullptr ? "" : *label,
               .wanted = *first,
               .message = fmt::format("is {}, expert 0 is {}",
                                      label == nullptr ? "not described" : *label, *first)});
        }
        continue;
      }
      if (label == nullptr) {
        ReportEntry(module.name, Effect::kCrashes);
        return;
      }
      if (!first) {
        first = *label;
        if (!IsSupported(*label, module.name, true)) return;
        CheckExpertGroupSize(*label);
      } else if (*label != *first) {
        judge_.Report(
            "LD-mixed-group", Effect::kRefuses,
            {.tensor = module.name + ".weight",
             .found = *label,
             .wanted = *first,
             .message = fmt::format("is {}, the expert's other layers are {}", *label, *first)});
      }
    }
    if (!first) return;
    for (const size_t member : group.members)
      judge_.CheckModule(model_.modules[member], *first, Policy());
  }

  // The weight-only kernel of the generation that has W4A8 linears (its default group: 256).
  void CheckLinearGroupSize(std::string_view label, std::string_view module) {
    if (label != "W4A8_DYNAMIC") return;
    const Json* group = judge_.description->Global("group_size");
    const int64_t size = group == nullptr ? 256 : group->AsInteger().value_or(256);
    if (size == 64 || size == 128) return;
    judge_.Report("LD-group-size", Effect::kCrashesForward,
                  {.tensor = fmt::format("{}.weight", module),
                   .found = std::to_string(size),
                   .wanted = "64 or 128",
                   .message = fmt::format("group_size is {}, the kernel of W4A8_DYNAMIC linears "
                                          "takes 64 and 128",
                                          size)});
  }

  // Generations before main look the experts up in a table of model types.
  void CheckExpertMap(const LoaderGroup& group) {
    constexpr std::array<std::string_view, 12> kMapped = {
        "qwen3",   "deepseek", "kimi",   "glm4",    "glm_moe_dsa", "pangu",
        "minimax", "longcat",  "gemma4", "bailing", "step3p5",     "qwen3_5_moe"};
    if (judge_.IsVersion(LoaderVersion::kVllmMain)) return;
    const Json* type = judge_.Config("model_type");
    const std::string name(type == nullptr ? "" : type->AsString().value_or(""));
    const auto begins = [&](std::string_view known) { return name.starts_with(known); };
    if (name.empty() || std::any_of(kMapped.begin(), kMapped.end(), begins)) return;
    judge_.Report("LD-model-type", Effect::kCrashes,
                  {.tensor = group.name,
                   .found = name,
                   .message = fmt::format("this version has no map of the experts of {}: "
                                          "'{}.weight' is not in the description",
                                          Quote(name), group.name)});
  }

  void CheckExpertGroupSize(std::string_view label) {
    if (label == "W4A8_DYNAMIC" && !judge_.IsVersion(LoaderVersion::kVllmMain)) {
      judge_.Report("LD-known-limit", Effect::kRefuses,
                    {.found = "W4A8_DYNAMIC",
                     .message = "releases before #7090 take scale_bias of experts only with expert "
                                "parallelism (vllm-ascend #7088)"});
    }
    const Json* group = judge_.description->Global("group_size");
    const auto size = group == nullptr ? std::nullopt : group->AsInteger();
    const bool per_channel_only = !judge_.IsVersion(LoaderVersion::kVllm09);
    if (label != "W4A8_DYNAMIC" || !size || *size <= 0 || !per_channel_only) return;
    judge_.Report(
        "LD-group-size", Effect::kRefuses,
        {.found = std::to_string(*size),
         .wanted = "0",
         .message = fmt::format(
             "group_size is {}, experts of W4A8_DYNAMIC are taken per channel only", *size)});
  }

  void CheckNorm(const LoaderModule& module) {
    const std::string weight = module.name + ".weight";
    if (!judge_.CheckTensor(weight, judge_.dtype, Shape{module.n}, Policy()))
      judge_.ReportMissing(weight, Effect::kLoadsWrong, "");
    if (norm_bias_)
      judge_.CheckTensor(module.name + ".bias", judge_.dtype, Shape{module.n}, Policy());
  }

  void CheckKvCache() {
    for (const TensorEntry& entry : judge_.context.checkpoint().tensors()) {
      const std::string_view leaf = SplitTensorName(entry.name).suffix;
      if (leaf != "kv_cache_scale" && leaf != "kv_cache_offset") continue;
      if (!c8_) {
        judge_.MarkRead(entry.name);
        judge_.Report(
            "LD-kv-cache", Effect::kCrashes,
            {.tensor = entry.name,
             .found = std::string(judge_.Global("kv_cache_type").value_or("")),
             .wanted = "C8",
             .message = "has no parameter: the description's 'kv_cache_type' is not C8, or "
                        "this version has no C8"});
        continue;
      }
      judge_.MarkRead(entry.name);
      if (leaf == "kv_cache_offset" && judge_.deep && !judge_.IsZero(entry.name)) {
        judge_.Report(
            "LD-offset", Effect::kLoadsWrong,
            {.tensor = entry.name, .wanted = "0", .message = "is not zero; decoding ignores it"});
      }
    }
  }

  // The parameters that are left have no module, or no such tensor.
  void CheckUnknownTensors() {
    for (const TensorEntry& entry : judge_.context.checkpoint().tensors()) {
      if (judge_.IsRead(entry) || !judge_.files.Visible(entry)) continue;
      const TensorNameParts name = SplitTensorName(entry.name);
      if (entry.name.ends_with("rotary_emb.inv_freq")) continue;
      if (model_.tied_head && name.module == kLmHeadName) continue;
      const LoaderModule* module = model_.Find(name.module);
      if (!model_.known() && !IsKnownTrouble(entry.name)) continue;
      if (name.suffix == "bias" && module != nullptr) {
        if (judge_.IsHarmless(entry)) continue;
        judge_.Report(
            "LD-unread-tensor", Effect::kLoadsWrong,
            {.tensor = entry.name, .message = "is dropped: the layer is built without a bias"});
        continue;
      }
      const bool fused = module != nullptr && module->use == ModuleUse::kColumn;
      judge_.Report("LD-unknown-tensor", fused ? Effect::kCrashes : Effect::kRefuses,
                    {.tensor = entry.name,
                     .found = std::string(name.suffix),
                     .message = module == nullptr ? "belongs to no module that the loader builds"
                                                  : "is no parameter of the layer's type"});
    }
  }

  // Tensors that no model class has, whatever the architecture (consumers.md G31).
  static bool IsKnownTrouble(std::string_view name) {
    constexpr std::array<std::string_view, 6> kTrouble = {".heads_rotation", ".kronecker_rotation_",
                                                          ".mul_scale",      ".tp_list.",
                                                          "norm.module.",    ".anti.weight"};
    return std::any_of(kTrouble.begin(), kTrouble.end(), [&](std::string_view part) {
      return name.find(part) != std::string_view::npos;
    });
  }

  void CheckDraftLayers() {
    const Json* type = judge_.Config("model_type");
    if (type == nullptr || !type->is_string() || !type->text().starts_with("deepseek")) return;
    if (model_.num_layers == 0) return;
    const std::string prefix = fmt::format("model.layers.{}.", model_.num_layers);
    for (const LoaderModule& module : model_.modules) {
      if (!module.name.starts_with(prefix) || module.use == ModuleUse::kNorm) continue;
      const std::string* label = LabelOf(module.name);
      if (label == nullptr || *label == "FLOAT" || *label == "W8A8_DYNAMIC") continue;
      judge_.Report("LD-draft-layer", Effect::kCrashesForward,
                    {.tensor = module.name + ".weight",
                     .found = *label,
                     .wanted = "FLOAT",
                     .message = fmt::format("of the draft layer is {}", *label)});
    }
  }

  LoaderJudge& judge_;
  const LoaderModel& model_;
  std::optional<QuantDescription> embedded_;
  std::vector<std::string> float_keys_;
  bool norm_bias_ = false;
  bool c8_ = false;
};

}  // namespace

void JudgeVllm(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target,
               bool deep) {
  LoaderJudge judge(context, model, target, deep, /*follows_index=*/true);
  VllmJudge(judge).Run();
}

}  // namespace slim
