#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "convert/repair.h"
#include "convert/repair_layers.h"
#include "linear/w8a8.h"
#include "model/model_config.h"
#include "verify/loader_model.h"

namespace slim {
namespace {

bool IsQuantized(std::string_view label) {
  const auto scheme = ParseSchemeLabel(label);
  return scheme && *scheme != Scheme::kFloat && *scheme != Scheme::kW16A16S;
}

class TensorRepair {
 public:
  TensorRepair(FormChange& change, Dialect to, Repairs& repairs)
      : change_(change), to_(to), repairs_(repairs) {}

  Status Run();

 private:
  void FindWeights();
  void Reshape();
  void Reshape(TensorPlan& tensor, const Shape& wanted);
  Status AddCompanions();
  Status ChooseFlavour();
  Status SettleOffsets();
  Status CorrectCopies();
  void GiveUpCache();
  std::vector<std::string> Suspects(std::string_view rule) const;
  bool IsMixed(const std::vector<std::string>& members) const;
  Status DequantizeLayers();
  Status RefoldGroups();
  Status QuantizePerChannel();
  Status CenterCache();

  const TensorEntry* Find(std::string_view module, Role role) const {
    return change_.source.Find(fmt::format("{}.{}", module, RoleSuffix(role)));
  }
  void Note(std::string subject, std::string what) {
    repairs_.done.push_back({std::move(subject), std::move(what)});
  }

  FormChange& change_;
  Dialect to_;
  Repairs& repairs_;
  std::unordered_map<std::string, size_t> weights_;  // of quantized layers, by module
};

void TensorRepair::FindWeights() {
  weights_.clear();
  for (size_t i = 0; i < change_.tensors.size(); ++i) {
    const auto [module, suffix] = SplitTensorName(change_.tensors[i].name);
    if (suffix == "weight" && IsQuantized(change_.tensors[i].label)) weights_.emplace(module, i);
  }
}

void TensorRepair::Reshape(TensorPlan& tensor, const Shape& wanted) {
  const auto have = ElementCount(tensor.shape);
  const auto want = ElementCount(wanted);
  if (tensor.shape == wanted || !have || !want || *have != *want) return;
  if (tensor.make) return;
  const std::string what =
      fmt::format("shape {} corrected to {}", ShapeText(tensor.shape), ShapeText(wanted));
  tensor.shape = wanted;
  tensor.action = TensorAction::kRepack;
  tensor.reason = what;
  Note(tensor.name, what);
}

// Loaders compare shapes: [n, 1] for the scales of channels, [n] for what is folded, [1] for inputs
// (consumers.md T01, T08).
void TensorRepair::Reshape() {
  for (TensorPlan& tensor : change_.tensors) {
    const auto [module, suffix] = SplitTensorName(tensor.name);
    const auto role = ParseRole(suffix);
    const auto weight = weights_.find(std::string(module));
    if (!role || weight == weights_.end()) continue;
    const TensorPlan& codes = change_.tensors[weight->second];
    const auto scheme = ParseSchemeLabel(codes.label);
    if (!scheme || !HasInt8Codes(*scheme) || codes.shape.size() != 2) continue;
    const uint64_t n = codes.shape[0];
    switch (*role) {
      case Role::kInputScale:
      case Role::kInputOffset:
        Reshape(tensor, {1});
        break;
      case Role::kDeqScale:
      case Role::kQuantBias:
      case Role::kBias:
        Reshape(tensor, {n});
        break;
      case Role::kWeightScale:
      case Role::kWeightOffset:
        Reshape(tensor, {n, 1});
        break;
      default:
        break;
    }
  }
}

// Tensors that follow from others, or are zero by the type.
Status TensorRepair::AddCompanions() {
  std::vector<TensorPlan> added;
  for (const auto& tensor : change_.tensors) {
    const auto [module, suffix] = SplitTensorName(tensor.name);
    const bool anchor =
        suffix == "weight" ? weights_.contains(std::string(module)) : suffix == "kv_cache_scale";
    if (!anchor) continue;
    SLIM_ASSIGN(std::vector<TensorPlan> missing, MissingCompanions(change_.source, tensor));
    if (to_ != Dialect::kMindIE && suffix == "weight") {
      SLIM_ASSIGN(std::optional<TensorPlan> bias, MissingScaleBias(change_.source, tensor));
      if (bias) missing.push_back(*std::move(bias));
    }
    for (TensorPlan& plan : missing) {
      Note(plan.name, fmt::format("added: {}", plan.reason));
      added.push_back(std::move(plan));
    }
  }
  std::ranges::move(added, std::back_inserter(change_.tensors));
  return {};
}

// I64 float bits for float16 models, F32 values for bfloat16; vLLM-MindSpore takes F32 only.
Status TensorRepair::ChooseFlavour() {
  if (change_.source.config() == nullptr) return {};
  SLIM_ASSIGN(const std::optional<DType> dtype, ConfigDType(*change_.source.config()));
  const bool values = repairs_.loader.loader == Loader::kMindSpore || dtype == DType::kBF16;
  if (!values && dtype != DType::kF16) return {};
  const DType wanted = values ? DType::kF32 : DType::kI64;
  for (TensorPlan& tensor : change_.tensors) {
    if (SplitTensorName(tensor.name).suffix != "deq_scale" || tensor.to == wanted) continue;
    if (tensor.to != DType::kF32 && tensor.to != DType::kI64) continue;
    tensor.to = wanted;
    if (tensor.action == TensorAction::kCopy) tensor.action = TensorAction::kConvert;
    tensor.reason = fmt::format("{} to {}, the flavour that the loader reads",
                                DTypeName(tensor.from), DTypeName(wanted));
    Note(tensor.name, tensor.reason);
  }
  return {};
}

// vllm-ascend adds the offset of W8A16 that every other loader subtracts (golden/loaders).
Status TensorRepair::SettleOffsets() {
  const bool adds = repairs_.loader.loader == Loader::kVllmAscend;
  if (change_.source.AddsWeightOffset() == adds) return {};
  std::vector<TensorPlan*> offsets;
  bool any = false;
  for (TensorPlan& tensor : change_.tensors) {
    const auto [module, suffix] = SplitTensorName(tensor.name);
    if (suffix != "weight_offset" || tensor.label != SchemeLabel(Scheme::kW8A16)) continue;
    if (tensor.make) continue;
    offsets.push_back(&tensor);
    SLIM_ASSIGN(const Tensor values, change_.source.Read(tensor.source));
    for (uint64_t i = 0; i < values.elements() && !any; ++i)
      any = ElementAsDouble(values.view(), i) != 0;
  }
  auto& globals = change_.globals.others;
  std::erase_if(globals, [](const auto& global) { return global.first == kOffsetAddedKey; });
  if (!any) return {};
  if (adds) globals.emplace_back(kOffsetAddedKey, Json(true));
  for (TensorPlan* tensor : offsets) {
    tensor->action = TensorAction::kCompute;
    tensor->reason = adds ? "negated: the loader adds it" : "negated: the loader subtracts it";
    tensor->make = [name = tensor->source](const Checkpoint& from) -> Result<Tensor> {
      SLIM_ASSIGN(Tensor values, from.Read(name));
      SLIM_TRY(NegateFloats(values));
      return values;
    };
    Note(tensor->name, tensor->reason);
  }
  return {};
}

Status TensorRepair::CorrectCopies() {
  const size_t before = change_.tensors.size();
  if (to_ != Dialect::kMindIE) {
    SLIM_TRY(DropNormCopies(change_));
  } else {
    AddNormCopies(change_);
  }
  if (change_.tensors.size() < before) {
    Note("norms", fmt::format("{} .module copies left out: only mindie has them",
                              before - change_.tensors.size()));
  } else if (change_.tensors.size() > before) {
    Note("norms", fmt::format("{} .module copies added: MindIE finds smoothed norms by them",
                              change_.tensors.size() - before));
  }
  return {};
}

// Scales of a quantized KV cache where the loader has none: its cache stays float.
void TensorRepair::GiveUpCache() {
  const LoaderTarget& loader = repairs_.loader;
  const bool has_none = loader.loader == Loader::kSglang || loader.loader == Loader::kMindSpore ||
                        loader.version == LoaderVersion::kVllm07 ||
                        loader.version == LoaderVersion::kVllm09;
  const bool stumbles = std::ranges::any_of(repairs_.findings, [](const Finding& finding) {
    const bool mended = finding.rule == "LD-missing-entry" || finding.rule == "LD-offset";
    return finding.rule.starts_with("LD-") && !mended &&
           SplitTensorName(finding.tensor).suffix.starts_with("kv_cache_");
  });
  if (!stumbles && !has_none) return;
  std::vector<TensorPlan> kept;
  for (TensorPlan& tensor : change_.tensors) {
    if (!SplitTensorName(tensor.name).suffix.starts_with("kv_cache_")) {
      kept.push_back(std::move(tensor));
      continue;
    }
    Note(tensor.name, "left out: the loader has no C8, its cache stays float");
    tensor.action = TensorAction::kDrop;
    tensor.reason = "the loader has no C8";
    change_.dropped.push_back(std::move(tensor));
  }
  change_.tensors = std::move(kept);
  std::erase_if(change_.globals.others, [](const auto& global) {
    return global.first == "kv_cache_type" || global.first == "kv_quant_type";
  });
}

// Modules that findings of the rule are about; every quantized one where the loader did not find
// the description, and so was not judged layer by layer.
std::vector<std::string> TensorRepair::Suspects(std::string_view rule) const {
  const bool unjudged = std::ranges::any_of(
      repairs_.findings, [](const Finding& finding) { return finding.rule == "LD-description"; });
  if (!unjudged) return repairs_.ModulesOf(rule);
  std::vector<std::string> modules;
  for (const TensorPlan& tensor : change_.tensors) {
    const std::string module(SplitTensorName(tensor.name).module);
    if (tensor.name.ends_with(".weight") && weights_.contains(module)) modules.push_back(module);
  }
  return modules;
}

bool TensorRepair::IsMixed(const std::vector<std::string>& members) const {
  std::set<std::string_view> labels;
  for (const std::string& member : members) {
    const auto quantized = weights_.find(member);
    if (quantized != weights_.end()) {
      labels.insert(change_.tensors[quantized->second].label);
    } else if (Find(member, Role::kWeight) != nullptr) {
      labels.insert("FLOAT");
    }
  }
  return labels.size() > 1;
}

// All members of a mixed group, and what the loader builds float whatever its label.
Status TensorRepair::DequantizeLayers() {
  std::vector<std::string> modules;
  std::unordered_map<std::string, std::string> why;
  const auto add = [&](const std::string& module, std::string reason) {
    if (weights_.contains(module) && why.emplace(module, std::move(reason)).second)
      modules.push_back(module);
  };
  for (const std::string& module : Suspects("LD-mixed-group")) {
    const std::vector<std::string> members = FusedWith(module);
    if (!IsMixed(members)) continue;  // its labels were wrong, not its types
    for (const std::string& member : members)
      add(member, "the loader fuses it with layers of another type");
  }
  for (const std::string& module : repairs_.ModulesOf("LD-float-module"))
    add(module, "the loader builds it float");
  for (const std::string& module : repairs_.ModulesOf("LD-draft-layer"))
    add(module, "the loader takes only float draft layers");
  if (modules.empty()) return {};
  LayerRepair layers(change_);
  for (const std::string& module : modules) {
    SLIM_TRY(layers.Dequantize(module));
    Note(module, fmt::format("dequantized: {}", why.at(module)));
  }
  return {};
}

Status TensorRepair::RefoldGroups() {
  std::unordered_set<std::string> seen;
  for (const std::string& module : Suspects("LD-input-scale")) {
    std::vector<std::string> members;
    for (const std::string& member : FusedWith(module)) {
      if (weights_.contains(member) && Find(member, Role::kInputScale) != nullptr)
        members.push_back(member);
    }
    if (members.size() < 2 || !seen.insert(members.front()).second) continue;
    LayerRepair layers(change_);
    SLIM_ASSIGN(const std::string what, layers.Refold(members));
    if (what.empty()) continue;
    Note(Join(members, ", "), what);
  }
  return {};
}

// vllm-ascend rejects the experts of groups (consumers.md 10.9).
Status TensorRepair::QuantizePerChannel() {
  const bool rejected = std::ranges::any_of(repairs_.findings, [](const Finding& finding) {
    return finding.rule == "LD-group-size" && finding.wanted == "0";
  });
  if (!rejected) return {};
  LayerRepair layers(change_);
  std::vector<std::string> modules;
  for (const TensorPlan& tensor : change_.tensors) {
    const auto [module, suffix] = SplitTensorName(tensor.name);
    const TensorEntry* scale = Find(module, Role::kWeightScale);
    const bool groups = Find(module, Role::kWeightScaleSecond) != nullptr ||
                        (scale != nullptr && scale->shape.size() == 2 && scale->shape[1] > 1);
    if (suffix == "weight" && tensor.label == SchemeLabel(Scheme::kW4A8Dynamic) && groups)
      modules.emplace_back(module);
  }
  for (const std::string& module : modules) {
    SLIM_ASSIGN(const double sqnr, layers.QuantizePerChannel(module, TraitsOf(to_).packs_int4));
    Note(module, fmt::format("one scale a row instead of groups: weight SQNR {:.2f} dB", sqnr));
  }
  change_.globals.group_size = 0;
  return {};
}

// Loaders ignore or misread the offset of a KV cache (consumers.md 8.1).
Status TensorRepair::CenterCache() {
  LayerRepair layers(change_);
  for (const Finding& finding : repairs_.findings) {
    const bool kept = std::ranges::find(change_.tensors, finding.tensor, &TensorPlan::name) !=
                      change_.tensors.end();
    if (finding.rule != "LD-offset" || !finding.tensor.ends_with(".kv_cache_offset") || !kept)
      continue;
    const std::string module(SplitTensorName(finding.tensor).module);
    SLIM_ASSIGN(const double wider, layers.CenterCache(module));
    Note(finding.tensor, fmt::format("zero, and kv_cache_scale up to {:.3g} times as wide", wider));
  }
  return {};
}

Status TensorRepair::Run() {
  FindWeights();
  SLIM_TRY(CorrectCopies());
  FindWeights();
  Reshape();
  SLIM_TRY(AddCompanions());
  GiveUpCache();
  SLIM_TRY(CenterCache());
  SLIM_TRY(QuantizePerChannel());
  FindWeights();
  SLIM_TRY(RefoldGroups());
  SLIM_TRY(DequantizeLayers());
  SLIM_TRY(SettleOffsets());
  return ChooseFlavour();
}

}  // namespace

Status RepairTensors(FormChange& change, Dialect to, Repairs& repairs) {
  return TensorRepair(change, to, repairs).Run();
}

}  // namespace slim
