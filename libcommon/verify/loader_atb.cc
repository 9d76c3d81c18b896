// As MindIE's atb_models runner loads a checkpoint (facts: consumers.md 2;
// golden/loaders/README.md): the checks of its config, then the runtime loader for Qwen2 and Qwen3,
// or the classic path with one scheme for the whole model.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "model/modules.h"
#include "verify/loader_mindie.h"

namespace slim {
namespace {

constexpr std::array<std::string_view, 11> kSchemes = {
    "w8a8",       "w8a8s",        "w8a8sc",   "w8a16",   "w4a16",   "w8a8_dynamic",
    "w8a8_pdmix", "w4a8_dynamic", "w8a8_mix", "w16a16s", "w16a16sc"};
// model_runner.py: what the runtime loader takes.
constexpr std::array<std::string_view, 5> kRuntimeSchemes = {"w8a8", "w8a8_dynamic", "w8a8_pdmix",
                                                             "w8a8_mix", "w8a8sc"};
// Labels that count as the scheme when the types of a fused group are compared (pack_type.py).
struct SchemeLabels {
  std::string_view scheme;
  std::array<std::string_view, 3> labels;
};
constexpr std::array<SchemeLabels, 7> kPackLabels = {{
    {"w8a8", {"W8A8", "W8A8S", "W8A8_MIX"}},
    {"w8a8s", {"W8A8", "W8A8S", "W8A8_MIX"}},
    {"w8a8_pdmix", {"W8A8", "W8A8S", "W8A8_MIX"}},
    {"w8a16", {"W8A16", "", ""}},
    {"w4a16", {"W4A16", "", ""}},
    {"w8a8_dynamic", {"W8A8_DYNAMIC", "W8A8", ""}},
    {"w4a8_dynamic", {"W4A8_DYNAMIC", "", ""}},
}};
constexpr std::string_view kMainName = "quant_model_description.json";

template <class Names>
bool IsOneOf(std::string_view word, const Names& names) {
  return std::find(names.begin(), names.end(), word) != names.end();
}

class AtbJudge {
 public:
  explicit AtbJudge(LoaderJudge& judge) : judge_(judge), model_(judge.model) {}

  void Run() {
    FindConfigDescription();
    const bool config_good = CheckConfig();
    if (!CheckDType() || !config_good) return;
    if (UsesRuntime()) return JudgeRuntime();
    JudgeFiles(judge_, Effect::kRefuses);
    JudgePermissions(judge_);
    if (!FindWeightsDescription()) return;
    for (const LoaderModule& module : model_.modules) {
      if (module.use == ModuleUse::kEmbedding) CheckFloatModule(module);
      if (module.use == ModuleUse::kHead && !model_.tied_head) CheckFloatModule(module);
    }
    CheckNorms();
    for (const LoaderGroup& group : model_.groups) CheckGroup(group);
    CheckKvCache();
    if (model_.known()) judge_.ReportUnread();
    JudgeParallel(judge_);
  }

 private:
  // router.py: the main name, else the one of config.json's 'quantize'.
  void FindConfigDescription() {
    const Json* quantize = judge_.Config("quantize");
    named_ = quantize != nullptr && quantize->is_string() ? quantize->text() : "";
    const Checkpoint& checkpoint = judge_.context.checkpoint();
    std::string file;
    if (checkpoint.HasFile(kMainName)) file = kMainName;
    const std::string old = fmt::format("quant_model_description_{}.json", ToLower(named_));
    if (file.empty() && !named_.empty() && checkpoint.HasFile(old)) file = old;
    scheme_ = named_;
    if (file.empty()) return;
    config_description_ = judge_.ReadDescription(file);
    broken_ = config_description_ == nullptr;
    if (broken_) return;
    judge_.UseDescription(config_description_);
    const auto type = judge_.Global("model_quant_type");
    if (type && named_.empty()) scheme_ = ToLower(*type);
    if (scheme_.empty()) {
      no_scheme_ = true;
    } else if (scheme_ == "w8a8_mix") {
      scheme_ = "w8a8_pdmix";
    }
  }

  // A value of config.json's quantization_config, over which the description is laid.
  const Json* Merged(std::string_view key) const {
    const Json* block = judge_.Config("quantization_config");
    const Json* own = block == nullptr ? nullptr : block->Find(key);
    const Json* described =
        config_description_ == nullptr ? nullptr : config_description_->Global(key);
    if (described == nullptr || (key == "fa_quant_type" && own != nullptr)) return own;
    return described;
  }

  bool CheckConfig() {
    bool good = !broken_;
    if (no_scheme_) {
      judge_.Report(
          "LD-quantize", Effect::kCrashes,
          {.wanted = "model_quant_type, or 'quantize' in config.json",
           .message = "there is a description, but neither it nor config.json names the scheme "
                      "(KeyError 'quantize')",
           .path = judge_.ConfigPath()});
      good = false;
    }
    good = CheckGroupSize() && good;
    if (!scheme_.empty() && !IsOneOf(scheme_, kSchemes)) {
      judge_.Report(
          "LD-quantize", Effect::kRefuses,
          {.found = scheme_,
           .wanted = fmt::format("one of {}", fmt::join(kSchemes, ", ")),
           .message = named_.empty()
                          ? fmt::format("model_quant_type {} is no scheme of a whole model",
                                        Quote(ToUpper(scheme_)))
                          : fmt::format("'quantize' is {}", Quote(scheme_)),
           .path = judge_.ConfigPath()});
      good = false;
    }
    good = CheckWord("kv_quant_type", {"C8"}) && good;
    good = CheckWord("fa_quant_type", {"FAQuant", "FAKQuant"}) && good;
    good = CheckWord("reduce_quant_type", {"per_channel"}) && good;
    return CheckTokenIds() && good;
  }

  bool CheckGroupSize() {
    const Json* value = Merged("group_size");
    if (value == nullptr) return true;
    const auto size = value->AsInteger();
    const bool new_enough = !judge_.IsVersion(LoaderVersion::kMindieAtb2);
    if (size && (*size == 0 || *size == 64 || *size == 128 || (*size == 256 && new_enough)))
      return true;
    judge_.Report(
        "LD-group-size", Effect::kRefuses,
        {.found = size ? std::to_string(*size) : std::string(value->KindName()),
         .wanted = new_enough ? "0, 64, 128 or 256" : "0, 64 or 128",
         .message = fmt::format("'group_size' is {}",
                                size ? std::to_string(*size) : std::string(value->KindName())),
         .path = judge_.ConfigPath()});
    return false;
  }

  bool CheckWord(std::string_view key, std::initializer_list<std::string_view> words) {
    const Json* value = Merged(key);
    if (value == nullptr || value->is_null()) return true;
    const auto word = value->AsString();
    if (word && std::find(words.begin(), words.end(), *word) != words.end()) return true;
    judge_.Report("LD-quantize", Effect::kRefuses,
                  {.found = value->is_string() ? value->text() : std::string(value->KindName()),
                   .wanted = std::string(*words.begin()),
                   .message = fmt::format("'{}' has a value that it does not take", key),
                   .path = judge_.ConfigPath()});
    return false;
  }

  bool CheckTokenIds() {
    const Json* vocabulary = judge_.Config("vocab_size");
    const auto size = vocabulary == nullptr ? std::nullopt : vocabulary->AsInteger();
    if (!size) return true;
    bool good = true;
    for (const std::string_view key : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
      const Json* value = judge_.Config(key);
      if (value == nullptr) continue;
      std::vector<const Json*> ids = {value};
      if (value->is_array()) {
        ids.clear();
        for (const Json& id : value->items()) ids.push_back(&id);
      }
      // The pad id may also be -1 or the size itself.
      const int64_t slack = key == "pad_token_id" ? 1 : 0;
      for (const Json* id : ids) {
        const auto number = id->AsInteger();
        if (!number || (*number >= -slack && *number < *size + slack)) continue;
        judge_.Report("LD-token-ids", Effect::kRefuses,
                      {.found = std::to_string(*number),
                       .wanted = fmt::format("below {}", *size),
                       .message = fmt::format("{} is {}, vocab_size is {}", key, *number, *size),
                       .path = judge_.ConfigPath()});
        good = false;
      }
    }
    return good;
  }

  bool CheckDType() {
    const auto dtype = NamedDType(judge_.context, /*torch_dtype_only=*/true);
    if (dtype && *dtype != DType::kF32) {
      judge_.dtype = *dtype;
      return true;
    }
    judge_.Report(
        "LD-dtype", Effect::kRefuses,
        {.found = dtype ? "float32" : "",
         .wanted = "bfloat16 or float16",
         .message = dtype ? "'torch_dtype' is float32"
                          : "config.json has no usable 'torch_dtype' ('dtype' is not read)",
         .path = judge_.ConfigPath()});
    return false;
  }

  bool HasInt8Cache() const {
    const Json* kv = Merged("kv_quant_type");
    const Json* fa = Merged("fa_quant_type");
    return (kv != nullptr && !kv->is_null()) || (fa != nullptr && fa->AsString() == "FAQuant");
  }

  bool UsesRuntime() const {
    if (judge_.IsVersion(LoaderVersion::kMindieAtb2)) return false;
    const Json* type = judge_.Config("model_type");
    const std::string name = type == nullptr || !type->is_string() ? "" : ToLower(type->text());
    if (name != "qwen2" && name != "qwen3") return false;
    return (scheme_.empty() || IsOneOf(scheme_, kRuntimeSchemes)) && !HasInt8Cache();
  }

  void JudgeRuntime() {
    LoaderJudge runtime(judge_.context, model_, judge_.target, judge_.deep, /*follows_index=*/true);
    runtime.dtype = judge_.dtype;
    JudgeRuntimeLoader(runtime, /*computes=*/false);
    JudgeParallel(runtime);
  }

  // weights.py: _set_quant_params. A model without a scheme has no description.
  bool FindWeightsDescription() {
    judge_.UseDescription(nullptr);
    if (scheme_.empty()) {
      const TensorEntry* first = judge_.FirstQuantizedTensor();
      if (first == nullptr) return false;
      judge_.Report(
          "LD-description", Effect::kRefuses,
          {.tensor = first->name,
           .found = judge_.context.checkpoint().guess().description_file,
           .wanted = std::string(kMainName),
           .message = "no description is found without 'quantize' in config.json: 'linear type "
                      "not matched'"});
      return false;
    }
    std::vector<std::string> names = {std::string(kMainName),
                                      fmt::format("quant_model_description_{}.json", scheme_)};
    if (scheme_ == "w8a8_pdmix" || scheme_ == "w8a8_dynamic")
      names.emplace_back("quant_model_description_w8a8.json");
    for (const std::string& name : names) {
      if (!judge_.context.checkpoint().HasFile(name)) continue;
      judge_.UseDescription(judge_.ReadDescription(name));
      return judge_.description != nullptr;
    }
    judge_.Report("LD-description", Effect::kRefuses,
                  {.found = judge_.context.checkpoint().guess().description_file,
                   .wanted = Join(names, " or "),
                   .message = fmt::format("looked for {}", Join(names, ", "))});
    return false;
  }

  bool IsFloatTensor(const LoaderTensor& tensor) const {
    return tensor.entry->dtype == DType::kF16 || tensor.entry->dtype == DType::kBF16 ||
           tensor.entry->dtype == DType::kF32;
  }

  void CheckFloatModule(const LoaderModule& module) {
    const std::string weight = module.name + ".weight";
    const LoaderTensor tensor = judge_.files.Find(weight);
    judge_.MarkRead(weight);
    if (!tensor) return judge_.ReportMissing(weight, Effect::kRefuses, "");
    if (IsFloatTensor(tensor)) return;
    judge_.Report(
        "LD-float-module", Effect::kRefuses,
        {.tensor = weight,
         .found = std::string(DTypeName(tensor.entry->dtype)),
         .wanted = std::string(DTypeName(judge_.dtype)),
         .message = "holds codes; it is loaded as a float layer ('linear type not matched')"});
  }

  // Which labels the pack types compare with.
  bool CountsAsScheme(std::string_view label) const {
    for (const SchemeLabels& row : kPackLabels) {
      if (row.scheme == scheme_) return !label.empty() && IsOneOf(label, row.labels);
    }
    return false;
  }

  void CheckGroup(const LoaderGroup& group) {
    if (group.kind == GroupKind::kExperts) return;
    const bool fused = group.kind == GroupKind::kQkv || group.kind == GroupKind::kGateUp;
    size_t described = 0;
    size_t quantized = 0;
    if (fused) {
      for (const size_t member : group.members) {
        const std::string name = model_.modules[member].name + ".weight";
        const std::string* label = judge_.Label(name);
        if (label == nullptr) {
          judge_.Report("LD-missing-entry", Effect::kCrashes,
                        {.tensor = name,
                         .message = "has no entry in the description, the loader looks it up"});
          continue;
        }
        ++described;
        if (CountsAsScheme(*label)) ++quantized;
      }
      if (described != group.members.size()) return;
    }
    const bool mixed = quantized > 0 && quantized < described;
    if (mixed && !TakesMixture(group)) return;
    bool codes = false;
    for (const size_t member : group.members) codes = CheckLinear(model_.modules[member]) || codes;
    const bool one_input = scheme_ == "w8a8" || scheme_ == "w8a8s" || scheme_ == "w8a8_pdmix";
    if (fused && !mixed && codes && one_input) judge_.CheckInputs(group, Effect::kRefuses);
  }

  // The model classes have no norm for partly quantized groups of weight-only and dynamic schemes.
  bool TakesMixture(const LoaderGroup& group) {
    if (scheme_ == "w8a8" || scheme_ == "w8a8s" || scheme_ == "w8a8_pdmix") return true;
    const bool attribute_error = group.kind == GroupKind::kQkv && IsQwen();
    judge_.Report("LD-mixed-group", attribute_error ? Effect::kCrashes : Effect::kRefuses,
                  {.tensor = model_.modules[group.members.front()].name + ".weight",
                   .found = scheme_,
                   .message = fmt::format("{} is partly float, which its models do not take for {}",
                                          Quote(group.name), scheme_)});
    return false;
  }

  bool IsQwen() const {
    const Json* type = judge_.Config("model_type");
    return type != nullptr && type->is_string() &&
           ToLower(type->text()).find("qwen") != std::string::npos;
  }

  // Tensors of a layer whose weight holds codes, by the one scheme; the order is that of
  // weights.py.
  std::vector<std::string_view> PartsOfScheme() const {
    if (scheme_ == "w8a8" || scheme_ == "w8a8s")
      return {"deq_scale", "quant_bias", "input_scale", "input_offset"};
    if (scheme_ == "w8a16" || scheme_ == "w4a16" || scheme_ == "w8a8_dynamic")
      return {"weight_scale", "weight_offset"};
    if (scheme_ == "w8a8_pdmix")
      return {"weight_scale", "weight_offset", "deq_scale",
              "quant_bias",   "input_scale",   "input_offset"};
    if (scheme_ == "w4a8_dynamic") {
      const Json* group = judge_.description->Global("group_size");
      if (group != nullptr && group->AsInteger() == 0) return {"weight_scale", "scale_bias"};
      return {"weight_scale", "scale_bias", "weight_scale_second"};
    }
    return {};
  }

  // True when the layer holds codes. What decides is the dtype of the weight, not the label.
  bool CheckLinear(const LoaderModule& module) {
    const std::string weight = module.name + ".weight";
    const LoaderTensor tensor = judge_.files.Find(weight);
    judge_.MarkRead(weight);
    CheckBias(module);
    if (!tensor) {
      judge_.ReportMissing(weight, Effect::kRefuses, scheme_);
      return false;
    }
    if (IsFloatTensor(tensor)) return false;
    if (tensor.entry->dtype != DType::kI8) {
      judge_.Report("LD-type", Effect::kRefuses,
                    {.tensor = weight,
                     .found = std::string(DTypeName(tensor.entry->dtype)),
                     .wanted = "I8 or a float",
                     .message = fmt::format("is {}, which scheme {} does not have",
                                            DTypeName(tensor.entry->dtype), scheme_)});
      return false;
    }
    for (const std::string_view part : PartsOfScheme()) CheckPart(module, part);
    if (scheme_ == "w8a16" && judge_.context.checkpoint().AddsWeightOffset())
      judge_.CheckOffset(module, 2.0);
    if (scheme_ == "w8a8_dynamic" || scheme_ == "w8a8_pdmix") {
      if (judge_.deep && !judge_.IsZero(module.name + ".weight_offset") &&
          judge_.files.Find(module.name + ".weight_offset")) {
        judge_.Report("LD-offset", Effect::kDegrades,
                      {.tensor = module.name + ".weight_offset",
                       .wanted = "0",
                       .message = "is not zero; the kernel does not use it"});
      }
    }
    return true;
  }

  // The classic path compares no shapes: slices and kernels decide.
  void CheckPart(const LoaderModule& module, std::string_view part) {
    const std::string name = fmt::format("{}.{}", module.name, part);
    const LoaderTensor tensor = judge_.files.Find(name);
    judge_.MarkRead(name);
    if (!tensor) return judge_.ReportMissing(name, Effect::kRefuses, scheme_);
    const Shape& shape = tensor.entry->shape;
    const bool row = module.use == ModuleUse::kRow;
    const bool column = part == "weight_scale" || part == "weight_offset" || part == "scale_bias";
    const uint64_t count = ElementCount(shape).value_or(0);
    const bool sliced_by_one = part == "input_scale" || part == "input_offset";
    std::optional<Effect> effect;
    if ((sliced_by_one && shape.empty()) || (column && row && shape.size() < 2)) {
      effect = Effect::kCrashes;  // an index that the tensor does not have
    } else if (!sliced_by_one && module.n != 0 && count % module.n != 0 && scheme_ != "w4a16" &&
               scheme_ != "w4a8_dynamic") {
      effect = Effect::kLoadsWrong;
    } else if ((part == "deq_scale" || part == "quant_bias") && shape.size() != 1) {
      effect = Effect::kDegrades;
    }
    if (effect) {
      judge_.Report("LD-shape", *effect,
                    {.tensor = name,
                     .found = ShapeText(shape),
                     .message = fmt::format("has shape {}", ShapeText(shape))});
    }
    if (part == "deq_scale") CheckDeq(tensor);
    if (part == "input_offset") CheckInputOffset(tensor);
  }

  // float32 under float16 is rounded to float16 before its bits are taken; int64 under bfloat16 is
  // handed to the kernel as it is.
  void CheckDeq(const LoaderTensor& tensor) {
    if (tensor.entry->dtype == DType::kI64 && judge_.dtype == DType::kBF16) {
      judge_.Report(
          "LD-deq-flavour", Effect::kDegrades,
          {.tensor = tensor.entry->name,
           .found = "I64",
           .wanted = "F32",
           .message = "is I64 in a bfloat16 model and handed on as it is: the kernel decides"});
    }
    if (tensor.entry->dtype != DType::kF32 || judge_.dtype != DType::kF16) return;
    constexpr double kTooSmall = 3e-7;  // a float16 has one or two digits there
    const std::vector<double> values =
        ReadValues(judge_.context, tensor, judge_.deep ? 1U << 20 : 64);
    const bool lost = std::any_of(values.begin(), values.end(),
                                  [&](double v) { return v != 0.0 && std::abs(v) < kTooSmall; });
    judge_.Report("LD-deq-flavour", lost ? Effect::kLoadsWrong : Effect::kDegrades,
                  {.tensor = tensor.entry->name,
                   .found = "F32",
                   .wanted = "I64",
                   .message = "is F32 in a float16 model: it is rounded to float16 before use"});
  }

  void CheckInputOffset(const LoaderTensor& tensor) {
    for (const double value : ReadValues(judge_.context, tensor, 64)) {
      if (value >= -128 && value <= 127) continue;
      judge_.Report("LD-cast", Effect::kLoadsWrong,
                    {.tensor = tensor.entry->name,
                     .found = fmt::format("{}", value),
                     .wanted = "-128 to 127",
                     .message = fmt::format("is {}, which int8 does not hold", value)});
    }
  }

  void CheckBias(const LoaderModule& module) {
    if (!module.has_bias.value_or(false)) return;
    const std::string bias = module.name + ".bias";
    judge_.MarkRead(bias);
    if (!judge_.files.Find(bias)) judge_.ReportMissing(bias, Effect::kRefuses, scheme_);
  }

  // RMSNormBias takes a bias where there is one; the norms of weight-only and dynamic schemes have
  // none. Qwen's dynamic layers use RMSNormBias, the base classes do not.
  void CheckNorms() {
    const bool takes_bias = scheme_ == "w8a8" || scheme_ == "w8a8s" || scheme_ == "w8a8_pdmix" ||
                            ((scheme_ == "w8a8_dynamic" || scheme_ == "w4a8_dynamic") && IsQwen());
    for (const LoaderModule& module : model_.modules) {
      if (module.use != ModuleUse::kNorm) continue;
      const std::string weight = module.name + ".weight";
      judge_.MarkRead(weight);
      if (!judge_.files.Find(weight)) judge_.ReportMissing(weight, Effect::kRefuses, "");
      const bool of_layer = module.name.ends_with("layernorm");
      const bool copied = judge_.Label(module.name + ".module.weight") != nullptr;
      if (takes_bias && of_layer) judge_.MarkRead(module.name + ".bias");
      if (!copied) continue;
      judge_.MarkRead(module.name + ".bias");
      for (const std::string_view leaf : {"module.weight", "module.bias"}) {
        const std::string name = fmt::format("{}.{}", module.name, leaf);
        judge_.MarkRead(name);
        if (!judge_.files.Find(name))
          judge_.ReportMissing(name, Effect::kRefuses, "the norm's copy");
      }
    }
  }

  void CheckKvCache() {
    const Json* type = Merged("kv_quant_type");
    if (type == nullptr || type->is_null()) return;
    for (const LoaderModule& module : model_.modules) {
      if (!module.name.ends_with(".k_proj") && !module.name.ends_with(".v_proj")) continue;
      for (const std::string_view leaf : {"kv_cache_scale", "kv_cache_offset"}) {
        const std::string name = fmt::format("{}.{}", module.name, leaf);
        judge_.MarkRead(name);
        if (judge_.files.Find(name)) continue;
        judge_.Report("LD-kv-cache", Effect::kRefuses,
                      {.tensor = name,
                       .found = "kv_quant_type C8",
                       .message = "is missing, 'kv_quant_type' asks for it"});
      }
    }
  }

  LoaderJudge& judge_;
  const LoaderModel& model_;
  std::string named_;   // config.json's 'quantize'
  std::string scheme_;  // of the whole model; empty: none
  const QuantDescription* config_description_ = nullptr;
  bool broken_ = false;
  bool no_scheme_ = false;
};

}  // namespace

void JudgeAtb(VerifyContext& context, const LoaderModel& model, const LoaderTarget& target,
              bool deep) {
  LoaderJudge judge(context, model, target, deep, /*follows_index=*/false);
  AtbJudge(judge).Run();
}

}  // namespace slim
