#include "convert/dialect_forms.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <unordered_map>

#include "base/text.h"
#include "checkpoint/scale_bias.h"
#include "linear/int4.h"

namespace slim {
namespace {

constexpr std::string_view kCopyMark = ".module";
constexpr std::string_view kMix = "W8A8_MIX";
constexpr std::string_view kStatic = "W8A8";

std::string PartName(std::string_view module, Role role) {
  return fmt::format("{}.{}", module, RoleSuffix(role));
}

Error At(Error error, const Checkpoint& source, const std::string& tensor) {
  return std::move(error).WithTensor(tensor).WithPath(source.path());
}

// ---- copies of norms

Status CheckCopy(const Checkpoint& source, const TensorEntry& copy, const TensorEntry& original) {
  bool equal = copy.dtype == original.dtype && copy.shape == original.shape;
  if (equal) {
    SLIM_ASSIGN(const Tensor a, source.Read(copy));
    SLIM_ASSIGN(const Tensor b, source.Read(original));
    equal = std::ranges::equal(a.data.bytes(), b.data.bytes());
  }
  if (equal) return {};
  return At(
      InputError(
          "NORM-copy-differs",
          fmt::format("differs from {}, of which it should be a copy", Quote(original.name)),
          "older writers kept the unsmoothed norm under the short name: find out which pair the "
          "layers were quantized with, make both equal to it, and convert again"),
      source, copy.name);
}

}  // namespace

Status DropNormCopies(FormChange& change) {
  std::vector<TensorPlan> kept;
  for (TensorPlan& tensor : change.tensors) {
    const std::string original = OriginalOfNormCopy(tensor.name);
    const TensorEntry* twin = original.empty() ? nullptr : change.source.Find(original);
    if (twin == nullptr) {
      kept.push_back(std::move(tensor));
      continue;
    }
    SLIM_TRY(CheckCopy(change.source, *change.source.Find(tensor.name), *twin));
    tensor.action = TensorAction::kDrop;
    tensor.reason = fmt::format("equal to {}", original);
    change.dropped.push_back(std::move(tensor));
  }
  change.tensors = std::move(kept);
  return {};
}

// MindIE finds smoothed norms by their .module pair, and drops a norm's bias silently where the
// type is not W8A8 (facts: consumers.md 2.2). A LayerNorm's own bias is not meant: rms_norm_eps
// tells.
void AddNormCopies(FormChange& change) {
  const Json* config = change.source.config();
  if (change.globals.model_quant_type == "FLOAT" || config == nullptr ||
      config->Find("rms_norm_eps") == nullptr) {
    return;
  }
  std::unordered_map<std::string_view, size_t> by_name;
  for (size_t i = 0; i < change.tensors.size(); ++i) by_name.emplace(change.tensors[i].name, i);
  std::vector<TensorPlan> copies;
  for (const TensorPlan& bias : change.tensors) {
    const TensorNameParts parts = SplitTensorName(bias.name);
    if (parts.suffix != "bias" || bias.label != "FLOAT" || parts.module.ends_with(kCopyMark))
      continue;
    const auto weight = by_name.find(PartName(parts.module, Role::kWeight));
    if (weight == by_name.end() || by_name.contains(fmt::format("{}.module.weight", parts.module)))
      continue;
    const TensorPlan& original = change.tensors[weight->second];
    if (original.shape.size() != 1 || original.shape != bias.shape) continue;
    for (const TensorPlan* twin : {&original, &bias}) {
      TensorPlan copy = *twin;
      copy.name =
          fmt::format("{}{}.{}", parts.module, kCopyMark, SplitTensorName(twin->name).suffix);
      copy.label = change.globals.model_quant_type;
      copy.action = TensorAction::kDuplicate;
      copy.reason = fmt::format("MindIE reads this copy of {}", twin->name);
      copies.push_back(std::move(copy));
    }
  }
  std::ranges::move(copies, std::back_inserter(change.tensors));
}

namespace {

// ---- the label of W8A8_MIX

// Modules labelled W8A8 that have the tensors of the dynamic branch, too.
bool HasWeightScale(const Checkpoint& source, std::string_view module) {
  return source.Find(PartName(module, Role::kWeightScale)) != nullptr;
}

void Relabel(TensorPlan& tensor, std::string_view label) {
  if (tensor.action == TensorAction::kCopy) tensor.action = TensorAction::kRelabel;
  tensor.reason = fmt::format("{} to {}", tensor.label, label);
  tensor.label = label;
}

void LeaveMix(FormChange& change) {
  if (!IsMindIEMix(change.source)) return;
  bool some_static = false;
  bool some_mix = false;
  for (TensorPlan& tensor : change.tensors) {
    if (tensor.label != kStatic) continue;
    const std::string module(SplitTensorName(tensor.name).module);
    if (HasWeightScale(change.source, module)) {
      Relabel(tensor, kMix);
      some_mix = true;
    } else {
      some_static = true;
    }
  }
  if (some_mix && !some_static && change.globals.model_quant_type == kStatic)
    change.globals.model_quant_type = kMix;
}

Status EnterMix(FormChange& change) {
  const bool mix =
      std::ranges::any_of(change.tensors, [](const TensorPlan& t) { return t.label == kMix; });
  if (change.globals.model_quant_type == kMix) change.globals.model_quant_type = kStatic;
  if (!mix) return {};
  for (TensorPlan& tensor : change.tensors) {
    const std::string_view module = SplitTensorName(tensor.name).module;
    if (tensor.label == kStatic && HasWeightScale(change.source, module)) {
      return At(InputError("CV-mix",
                           "is W8A8 with a weight_scale beside W8A8_MIX layers: mindie labels both "
                           "W8A8, and cannot tell them apart",
                           "label it W8A8_MIX, or remove its weight_scale and weight_offset"),
                change.source, tensor.name);
    }
    if (tensor.label == kMix) Relabel(tensor, kStatic);
  }
  return {};
}

// ---- int4

struct Int4Layer {
  Scheme scheme = Scheme::kW4A16;
  std::string module;
  uint64_t n = 0;
  uint64_t scale_columns = 1;  // of the scale with the most of them
};

// Empty for a tensor that is no int4 weight of a type that AscendV1 packs.
std::optional<Int4Layer> Int4LayerOf(const Checkpoint& source, const TensorPlan& tensor) {
  const auto scheme = ParseSchemeLabel(tensor.label);
  const TensorNameParts parts = SplitTensorName(tensor.name);
  if (parts.suffix != "weight" || tensor.from != DType::kI8 || tensor.shape.size() != 2) return {};
  if (scheme != Scheme::kW4A16 && scheme != Scheme::kW4A8Dynamic) return {};
  const TensorEntry* scale = source.Find(PartName(parts.module, Role::kWeightScale));
  if (scale == nullptr || scale->shape.size() != 2 || scale->shape[0] == 0) return {};
  return Int4Layer{*scheme, std::string(parts.module), scale->shape[0], scale->shape[1]};
}

Error NotInt4(int8_t code) {
  return InputError("CV-int4", fmt::format("holds the code {}, int4 has -8 to 7", code),
                    "the weight is packed already, or not int4: correct its label");
}

Error WrongRows(const TensorPlan& tensor, uint64_t wanted) {
  return InputError("LIN-shape", fmt::format("has shape {}, wanted {} rows by its weight_scale",
                                             tensor.ShapeName(), wanted));
}

Status PackWeight(const Checkpoint& source, TensorPlan& tensor, const Int4Layer& layer) {
  if (tensor.shape[0] != layer.n) return At(WrongRows(tensor, layer.n), source, tensor.name);
  const Int4Packing packing = Int4PackingOf(layer.scheme, layer.scale_columns, true);
  auto packed = PackedInt4Shape(tensor.shape[0], tensor.shape[1], packing);
  if (!packed.ok()) return At(std::move(packed).error(), source, tensor.name);
  tensor.shape = *packed;
  tensor.work_bytes = source.Find(tensor.source)->size * 3 / 2;
  tensor.action = TensorAction::kRepack;
  tensor.reason = packing == Int4Packing::kAlongN ? "two rows a byte" : "two columns a byte";
  tensor.make = [name = tensor.source, packing](const Checkpoint& from) -> Result<Tensor> {
    SLIM_ASSIGN(const Tensor codes, from.Read(name));
    for (const int8_t code : codes.as<int8_t>()) {
      if (code < -8 || code > 7) return At(NotInt4(code), from, name);
    }
    return PackInt4(codes, packing);
  };
  return {};
}

Status UnpackWeight(const Checkpoint& source, TensorPlan& tensor, const Int4Layer& layer) {
  const Int4Packing packing = Int4PackingOf(layer.scheme, layer.scale_columns, true);
  const bool rows = packing == Int4Packing::kAlongN;
  const uint64_t n = rows ? 2 * tensor.shape[0] : tensor.shape[0];
  if (n != layer.n) return At(WrongRows(tensor, rows ? layer.n / 2 : layer.n), source, tensor.name);
  tensor.shape = {n, rows ? tensor.shape[1] : 2 * tensor.shape[1]};
  tensor.work_bytes = source.Find(tensor.source)->size * 3;
  tensor.action = TensorAction::kRepack;
  tensor.reason = "one code a byte";
  tensor.make = [name = tensor.source, packing](const Checkpoint& from) -> Result<Tensor> {
    SLIM_ASSIGN(const Tensor packed, from.Read(name));
    return UnpackInt4(packed, packing);
  };
  return {};
}

// ---- scale_bias of W4A8_DYNAMIC

// What slim computes for a layer whose weight is `tensor`, packed or not in the source.
Result<TensorPlan> PlanScaleBias(const Checkpoint& source, const TensorPlan& weight,
                                 const Int4Layer& layer, bool source_is_packed) {
  auto form = ScaleBiasFormOf(layer.module, weight.from_shape[1], false);
  if (!form.ok()) return At(std::move(form).error(), source, weight.name);
  TensorPlan plan = PlanCopy(*source.Find(weight.source), weight.label);
  plan.name = PartName(layer.module, Role::kScaleBias);
  plan.action = TensorAction::kCompute;
  plan.from = DType::kF32;
  plan.to = DType::kF32;
  plan.shape = {layer.n, form->columns};
  plan.shard = weight.shard;
  plan.work_bytes = source.Find(weight.source)->size * (source_is_packed ? 3 : 2);
  plan.reason = "8 times the sums of the dequantized weight, for kernels on unsigned nibbles";
  plan.make = [module = layer.module, source_is_packed](const Checkpoint& from) {
    return ScaleBiasOf(from, module, source_is_packed);
  };
  return plan;
}

Status LeaveInt4(FormChange& change) {
  std::vector<TensorPlan> added;
  for (TensorPlan& tensor : change.tensors) {
    const auto layer = Int4LayerOf(change.source, tensor);
    if (!layer) continue;
    const bool bias = layer->scheme == Scheme::kW4A8Dynamic &&
                      change.source.Find(PartName(layer->module, Role::kScaleBias)) == nullptr;
    if (bias) {
      SLIM_ASSIGN(TensorPlan plan, PlanScaleBias(change.source, tensor, *layer, false));
      added.push_back(std::move(plan));
    }
    SLIM_TRY(PackWeight(change.source, tensor, *layer));
  }
  std::ranges::move(added, std::back_inserter(change.tensors));
  return {};
}

// True where the stored scale_bias is what LeaveInt4() would compute: only then it can be left out.
Result<bool> ComesBack(const Checkpoint& source, const TensorPlan& weight, const Int4Layer& layer) {
  const TensorEntry* stored = source.Find(PartName(layer.module, Role::kScaleBias));
  if (stored == nullptr) return false;
  auto plan = PlanScaleBias(source, weight, layer, true);
  if (!plan.ok() || plan->shape != stored->shape || stored->dtype != DType::kF32) return false;
  SLIM_ASSIGN(const Tensor computed, MakeTensor(*plan, source));
  SLIM_ASSIGN(const Tensor there, source.Read(*stored));
  return std::ranges::equal(computed.data.bytes(), there.data.bytes());
}

Status EnterInt4(FormChange& change) {
  std::vector<std::string> left_out;
  for (TensorPlan& tensor : change.tensors) {
    const auto layer = Int4LayerOf(change.source, tensor);
    if (!layer) continue;
    if (layer->scheme == Scheme::kW4A8Dynamic) {
      SLIM_ASSIGN(const bool again, ComesBack(change.source, tensor, *layer));
      if (again) left_out.push_back(PartName(layer->module, Role::kScaleBias));
    }
    SLIM_TRY(UnpackWeight(change.source, tensor, *layer));
  }
  if (left_out.empty()) return {};
  std::ranges::sort(left_out);
  std::vector<TensorPlan> kept;
  for (TensorPlan& tensor : change.tensors) {
    if (!std::ranges::binary_search(left_out, tensor.name)) {
      kept.push_back(std::move(tensor));
      continue;
    }
    tensor.action = TensorAction::kDrop;
    tensor.reason = "follows from the weight and its scales";
    change.dropped.push_back(std::move(tensor));
  }
  change.tensors = std::move(kept);
  return {};
}

}  // namespace

std::string OriginalOfNormCopy(std::string_view name) {
  const TensorNameParts parts = SplitTensorName(name);
  if (!parts.module.ends_with(kCopyMark)) return "";
  if (parts.suffix != "weight" && parts.suffix != "bias") return "";
  return fmt::format("{}.{}", parts.module.substr(0, parts.module.size() - kCopyMark.size()),
                     parts.suffix);
}

Result<std::optional<TensorPlan>> MissingScaleBias(const Checkpoint& source,
                                                   const TensorPlan& weight) {
  const auto layer = weight.make ? std::nullopt : Int4LayerOf(source, weight);
  if (!layer || layer->scheme != Scheme::kW4A8Dynamic ||
      source.Find(PartName(layer->module, Role::kScaleBias)) != nullptr)
    return std::optional<TensorPlan>();
  SLIM_ASSIGN(TensorPlan plan, PlanScaleBias(source, weight, *layer, source.traits().packs_int4));
  return std::optional(std::move(plan));
}

bool IsMindIEMix(const Checkpoint& source) {
  const Json* block =
      source.config() == nullptr ? nullptr : source.config()->Find("quantization_config");
  const Json* pdmix = block == nullptr || !block->is_object() ? nullptr : block->Find("pdmix");
  return pdmix != nullptr && pdmix->AsBool() == true;
}

Status LeaveMindIEForm(FormChange& change) {
  SLIM_TRY(DropNormCopies(change));
  LeaveMix(change);
  return LeaveInt4(change);
}

Status EnterMindIEForm(FormChange& change) {
  SLIM_TRY(EnterInt4(change));
  SLIM_TRY(EnterMix(change));
  AddNormCopies(change);
  return {};
}

}  // namespace slim
