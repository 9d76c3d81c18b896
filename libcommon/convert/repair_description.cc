#include "convert/repair_description.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "convert/edges.h"
#include "convert/source_tensors.h"
#include "kernels/convert.h"
#include "linear/int4.h"
#include "linear/w8a8.h"
#include "verify/layer_tensors.h"

namespace slim {
namespace {

constexpr std::string_view kFloat = "FLOAT";
constexpr std::string_view kCacheLabel = "C8";

bool HoldsCodes(const TensorEntry& entry) { return !CanConvertFromFloat(entry.dtype); }
bool IsFloatScheme(Scheme scheme) { return scheme == Scheme::kFloat || scheme == Scheme::kW16A16S; }
bool IsCachePart(std::string_view suffix) { return suffix.starts_with("kv_cache_"); }

class DescriptionRepair {
 public:
  DescriptionRepair(const Checkpoint& source, Repairs& repairs)
      : source_(source), old_(*source.description()), repairs_(repairs) {}

  QuantDescription Run();

 private:
  void ChooseLabels();
  std::string LabelOfWeight(const TensorEntry& weight) const;
  std::vector<std::string> Candidates(std::string_view module) const;
  bool Fits(std::string_view label, const TensorEntry& weight) const;
  std::string LabelOfPart(const TensorEntry& entry, const std::string& layer_label);
  bool IsLostWeight(std::string_view tensor) const;
  void Order();
  void AddGlobals(QuantDescription& description);
  Json RightGlobal(const std::string& key, const Json& value) const;
  std::string RightType(std::string_view named) const;
  int64_t RightGroupSize(const Json& value) const;
  void Note(std::string subject, std::string what) {
    repairs_.done.push_back({std::move(subject), std::move(what)});
  }

  const Checkpoint& source_;
  const QuantDescription& old_;
  Repairs& repairs_;
  std::unordered_map<std::string, std::string> labels_;  // by tensor
  std::unordered_map<std::string_view, std::vector<const TensorEntry*>> modules_;
  std::vector<std::string> order_;  // tensors
  bool has_cache_ = false;
};

// Whether a layer of this type may have these tensors, and has those that tell types apart.
bool DescriptionRepair::Fits(std::string_view label, const TensorEntry& weight) const {
  const auto scheme = ParseSchemeLabel(label);
  if (!scheme || HoldsCodes(weight) == IsFloatScheme(*scheme)) return false;
  bool has_scale = false;
  bool has_static = false;
  for (const TensorEntry* part : modules_.at(SplitTensorName(weight.name).module)) {
    const auto role = ParseRole(SplitTensorName(part->name).suffix);
    if (!role) continue;
    has_scale = has_scale || *role == Role::kWeightScale;
    has_static = has_static || *role == Role::kDeqScale || *role == Role::kInputScale;
    if (!SchemeHasSuffix(*scheme, RoleSuffix(*role))) return false;
  }
  return IsFloatScheme(*scheme) || (HasStaticActivations(*scheme) ? has_static : has_scale);
}

std::vector<std::string> DescriptionRepair::Candidates(std::string_view module) const {
  std::vector<std::string> candidates;
  for (const TensorEntry* part : modules_.at(module)) {
    const std::string* label = old_.Label(part->name);
    if (label != nullptr && *label != kFloat) candidates.push_back(*label);
  }
  const Json* type = old_.Global("model_quant_type");
  if (type != nullptr && type->is_string()) candidates.emplace_back(type->text());
  // What all other layers are, where that is one type.
  std::set<std::string> used;
  for (const QuantDescription::Entry& entry : old_.entries()) {
    const bool weight = entry.is_tensor && entry.key.ends_with(".weight");
    if (weight && entry.label != kFloat && ParseSchemeLabel(entry.label)) used.insert(entry.label);
  }
  if (used.size() == 1) candidates.push_back(*used.begin());
  return candidates;
}

// The label there is where the tensors can be that; empty where nothing tells what they are.
std::string DescriptionRepair::LabelOfWeight(const TensorEntry& weight) const {
  const std::string* old = old_.Label(weight.name);
  const std::string_view module = SplitTensorName(weight.name).module;
  if (old != nullptr) {
    const auto scheme = ParseSchemeLabel(*old);
    if (scheme && HoldsCodes(weight) != IsFloatScheme(*scheme)) return *old;
    if (!scheme && MeaningOf(*old)) return *old;
    if (const auto spelled = ParseSchemeName(ToLower(*old)); !scheme && spelled) {
      if (HoldsCodes(weight) != IsFloatScheme(*spelled)) return std::string(SchemeLabel(*spelled));
    }
  }
  if (weight.shape.size() < 2 && module.ends_with(".module") && old != nullptr) return *old;
  if (!HoldsCodes(weight)) return std::string(kFloat);
  for (const std::string& candidate : Candidates(module)) {
    if (Fits(candidate, weight)) return candidate;
  }
  return old == nullptr ? "" : *old;
}

std::string DescriptionRepair::LabelOfPart(const TensorEntry& entry, const std::string& layer) {
  const std::string* old = old_.Label(entry.name);
  const std::string_view suffix = SplitTensorName(entry.name).suffix;
  const auto scheme = ParseSchemeLabel(layer);
  if (IsCachePart(suffix)) return old == nullptr ? std::string(kCacheLabel) : *old;
  const auto role = ParseRole(suffix);
  if (role == Role::kBias) {
    // vLLM-MindSpore reads the type of a layer from any of its entries (consumers.md G29).
    if (repairs_.loader.loader == Loader::kMindSpore && !layer.empty()) return layer;
    return old != nullptr && (*old == layer || *old == kFloat) ? *old : std::string(kFloat);
  }
  if (!role || !scheme || IsFloatScheme(*scheme)) {
    if (old != nullptr) return *old;
    return HoldsCodes(entry) ? "" : std::string(kFloat);
  }
  if (!SchemeHasSuffix(*scheme, suffix)) {
    repairs_.unwanted.insert(entry.name);
    Note(entry.name, fmt::format("left out: {} layers have none", layer));
  }
  return layer;
}

void DescriptionRepair::ChooseLabels() {
  for (const TensorEntry& entry : source_.tensors()) {
    modules_[SplitTensorName(entry.name).module].push_back(&entry);
    has_cache_ = has_cache_ || IsCachePart(SplitTensorName(entry.name).suffix);
  }
  for (const TensorEntry& entry : source_.tensors()) {
    const std::string_view module = SplitTensorName(entry.name).module;
    const TensorEntry* weight = source_.Find(fmt::format("{}.weight", module));
    std::string label = weight == nullptr ? "" : LabelOfWeight(*weight);
    if (&entry != weight) label = LabelOfPart(entry, label);
    if (label.empty()) continue;
    const std::string* old = old_.Label(entry.name);
    if (old == nullptr) {
      Note(entry.name, fmt::format("entry added to the description: {}", label));
    } else if (*old != label) {
      Note(entry.name, fmt::format("label {} corrected to {}", Escape(*old), label));
    }
    labels_.emplace(entry.name, std::move(label));
  }
}

// Of a layer whose other tensors are there.
bool DescriptionRepair::IsLostWeight(std::string_view tensor) const {
  const auto [module, suffix] = SplitTensorName(tensor);
  return suffix == "weight" && source_.Find(tensor) == nullptr && modules_.contains(module);
}

// That of the old description; new entries go behind their module, or where the model has it.
void DescriptionRepair::Order() {
  std::unordered_set<std::string_view> placed;
  for (const QuantDescription::Entry& entry : old_.entries()) {
    if (!entry.is_tensor) continue;
    if (labels_.contains(entry.key)) {
      order_.push_back(entry.key);
      placed.insert(entry.key);
    } else if (IsLostWeight(entry.key)) {
      labels_.emplace(entry.key, entry.label);  // refused where the tensors are listed
      order_.push_back(entry.key);
    } else if (source_.Find(entry.key) == nullptr) {
      Note(entry.key, "entry removed from the description: no weight file has the tensor");
    }
  }
  const std::unordered_map<std::string, size_t> ranks = ModuleRanks(source_);
  const auto rank = [&](std::string_view tensor) {
    const auto found = ranks.find(std::string(SplitTensorName(tensor).module));
    return found == ranks.end() ? ranks.size() : found->second;
  };
  for (const TensorEntry& entry : source_.tensors()) {
    if (placed.contains(entry.name) || !labels_.contains(entry.name)) continue;
    const auto sibling = std::find_if(order_.rbegin(), order_.rend(), [&](const std::string& name) {
      return SplitTensorName(name).module == SplitTensorName(entry.name).module;
    });
    auto at = sibling.base();
    if (sibling == order_.rend()) {
      at = std::ranges::find_if(
          order_, [&](const std::string& name) { return rank(name) > rank(entry.name); });
    }
    order_.insert(at, entry.name);
  }
}

std::string DescriptionRepair::RightType(std::string_view named) const {
  std::vector<SourceTensor> labels;
  bool used = false;
  for (const std::string& tensor : order_) {
    labels.push_back({nullptr, labels_.at(tensor)});
    used = used || labels_.at(tensor) == named;
  }
  const std::string by_labels = TypeByLabels(labels);
  return used && (named != kFloat || by_labels == kFloat) ? std::string(named) : by_labels;
}

// What the scales say; without groups 0, because nothing is read from it.
int64_t DescriptionRepair::RightGroupSize(const Json& value) const {
  const auto named = value.AsInteger();
  for (const TensorEntry& scale : source_.tensors()) {
    const auto [module, suffix] = SplitTensorName(scale.name);
    const bool groups = suffix == "weight_scale" || suffix == "weight_scale_second";
    if (!groups || scale.shape.size() != 2 || scale.shape[1] <= 1) continue;
    const auto label = labels_.find(fmt::format("{}.weight", module));
    const TensorEntry* weight = source_.Find(fmt::format("{}.weight", module));
    if (label == labels_.end() || weight == nullptr || weight->shape.size() != 2) continue;
    const auto scheme = ParseSchemeLabel(label->second);
    if (!scheme) continue;
    const bool packed =
        Int4PackingOf(*scheme, scale.shape[1], source_.traits().packs_int4) == Int4Packing::kAlongK;
    const uint64_t k = weight->shape[1] * (packed ? 2 : 1);
    const bool micro = scale.dtype == DType::kU8;
    return micro ? 32 : static_cast<int64_t>(k / scale.shape[1]);
  }
  return named && (*named == 64 || *named == 128 || *named == 256) ? *named : 0;
}

Json DescriptionRepair::RightGlobal(const std::string& key, const Json& value) const {
  if (key == "model_quant_type") return Json(RightType(value.is_string() ? value.text() : ""));
  if (key == "group_size") return Json(RightGroupSize(value));
  const bool cache = key == "kv_cache_type" || key == "kv_quant_type";
  if (cache && has_cache_) return Json(kCacheLabel);
  if (cache && value == Json(kCacheLabel)) return Json();
  return value;
}

void DescriptionRepair::AddGlobals(QuantDescription& description) {
  std::vector<std::pair<std::string, Json>> globals;
  for (const QuantDescription::Entry& entry : old_.entries()) {
    if (!entry.is_tensor) globals.emplace_back(entry.key, *entry.value);
  }
  std::vector<std::string_view> needed = {"model_quant_type"};
  if (has_cache_) needed.insert(needed.end(), {"kv_cache_type", "kv_quant_type"});
  for (const std::string_view key : needed) {
    if (old_.Global(key) == nullptr) globals.emplace_back(key, Json());
  }
  for (auto& [key, value] : globals) {
    Json right = RightGlobal(key, value);
    const std::string subject = fmt::format("description: {}", key);
    if (right.is_null() && !value.is_null()) {
      Note(subject, "removed: no tensor of a KV cache is there");
      continue;
    }
    if (right != value) {
      Note(subject,
           old_.Global(key) == nullptr
               ? fmt::format("added: {}", DumpJson(right))
               : fmt::format("{} corrected to {}", Escape(DumpJson(value)), DumpJson(right)));
    }
    description.AddGlobal(key, std::move(right));
  }
}

QuantDescription DescriptionRepair::Run() {
  ChooseLabels();
  Order();
  QuantDescription description;
  if (old_.GlobalsFirst()) AddGlobals(description);
  for (const std::string& tensor : order_) description.AddTensor(tensor, labels_.at(tensor));
  if (!old_.GlobalsFirst()) AddGlobals(description);
  return description;
}

}  // namespace

QuantDescription RepairedDescription(const Checkpoint& source, Repairs& repairs) {
  return DescriptionRepair(source, repairs).Run();
}

}  // namespace slim
