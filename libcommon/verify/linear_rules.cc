// Rules about the tensors of one linear layer: which there are, their dtypes and shapes
// (linear_parts.def).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "base/checked.h"
#include "base/text.h"
#include "checkpoint/sparse_codec.h"
#include "verify/context.h"

namespace slim {
namespace {

enum class Presence : uint8_t { kRequired, kOptional };
enum class DTypeSet : uint8_t { kI8, kU8, kI32, kI64, kF8E4M3, kFloats, kFloatsOrI8, kF32OrI64 };
enum class PartShape : uint8_t {
  kMatrix,          // [n, k]
  kPackedMatrix,    // two dimensions; n is known from the scales only
  kPerRow,          // [n]
  kOne,             // [1]
  kPerChannel,      // [n, 1], or [n, groups] with k divisible by groups
  kLikeScale,       // as weight_scale
  kBlocks32,        // [n, ceil(k / 32)]
  kBlocks32Packed,  // the same, two codes a byte of the weight
  kRows,            // n rows
  kStream,          // [x], compressed: 0 < x < n · k
  kSparseIndex,     // [8 · tiles]
  kSparseInfo,      // [5]
  kLikeQuantBias    // [n] where the weight does not show n
};

struct Part {
  Scheme scheme;
  std::string_view suffix;
  Presence presence;
  DTypeSet dtypes;
  PartShape shape;
};

constexpr auto kParts = [] {
  using enum Scheme;
  using enum Presence;
  using enum DTypeSet;
  using enum PartShape;
  return std::to_array<Part>({
#define SLIM_PART(scheme, suffix, presence, dtypes, shape) \
  {scheme, suffix, presence, dtypes, shape},
#include "verify/linear_parts.def"
#undef SLIM_PART
  });
}();

// In the order of DTypeSet.
const std::array<std::vector<DType>, 8>& MembersOfSets() {
  using enum DType;
  static const std::array<std::vector<DType>, 8> sets = {{
      {kI8},
      {kU8},
      {kI32},
      {kI64},
      {kF8E4M3},
      {kF32, kF16, kBF16},
      {kF32, kF16, kBF16, kI8},
      {kF32, kI64},
  }};
  return sets;
}

const std::vector<DType>& Members(DTypeSet set) {
  return MembersOfSets()[static_cast<size_t>(set)];
}

bool IsMember(DTypeSet set, DType dtype) {
  return std::ranges::find(Members(set), dtype) != Members(set).end();
}

std::string Names(DTypeSet set) {
  std::vector<std::string> names;
  for (const DType dtype : Members(set)) names.emplace_back(DTypeName(dtype));
  return Join(names, " or ");
}

const TensorEntry* FindPart(const LayerTensors& layer, std::string_view suffix) {
  if (const auto role = ParseRole(suffix)) return layer[*role];
  for (const TensorEntry* other : layer.others) {
    if (SplitTensorName(other->name).suffix == suffix) return other;
  }
  return nullptr;
}

// The shape a part should have, given the weight and the scales; empty where nothing can be said.
std::optional<Shape> WantedShape(const LayerTensors& layer, PartShape shape,
                                 const TensorEntry& found) {
  const TensorEntry* weight = layer[Role::kWeight];
  const TensorEntry* scale = layer[Role::kWeightScale];
  if (shape == PartShape::kOne) return Shape{1};
  if (shape == PartShape::kSparseInfo) return Shape{5};
  if (shape == PartShape::kLikeScale)
    return scale == nullptr ? std::nullopt : std::optional(scale->shape);
  if (weight == nullptr || weight->shape.size() != 2) return std::nullopt;
  const uint64_t n = weight->shape[0];
  const uint64_t k = weight->shape[1];
  const bool packed = !HasInt8Codes(*layer.scheme) && SchemeWeightBits(*layer.scheme) == 4 &&
                      weight->dtype == DType::kI8;
  switch (shape) {
    case PartShape::kPerRow:
      return Shape{n};
    case PartShape::kPerChannel: {
      const Shape& is = found.shape;
      if (packed) {
        // Two rows or two columns a byte, or unpacked: n rows or 2n.
        const bool fits = is.size() == 2 && is[1] > 0 && (is[0] == n || is[0] / 2 == n);
        return fits ? is : Shape{n, 1};
      }
      const bool groups = is.size() == 2 && is[0] == n && is[1] > 0 && k % is[1] == 0;
      return groups ? is : Shape{n, 1};
    }
    case PartShape::kBlocks32:
      return Shape{n, CeilDiv(k, 32)};
    case PartShape::kBlocks32Packed:
      return Shape{n, CeilDiv(k, 16)};
    case PartShape::kRows: {
      const uint64_t rows =
          packed && scale != nullptr && !scale->shape.empty() ? scale->shape[0] : n;
      if (!found.shape.empty() && found.shape[0] == rows) return found.shape;
      return Shape{rows, 1};
    }
    default:
      return std::nullopt;
  }
}

// What stands before the number of the block: "model.layers.", "visual.blocks.".
std::string_view TowerOf(std::string_view module) {
  return module.substr(0, module.find_first_of("0123456789"));
}

class LinearChecker {
 public:
  explicit LinearChecker(VerifyContext& context) : context_(context) {
    for (const Part& part : kParts) by_scheme_[part.scheme].push_back(&part);
  }

  void Check(const LayerTensors& layer) {
    if (layer.IsNormCopy()) return;
    const TensorEntry* bias = layer[Role::kBias];
    const bool linear = layer[Role::kWeight] != nullptr && layer[Role::kWeight]->shape.size() == 2;
    if (linear && bias != nullptr) biases_[TowerOf(layer.module)][bias->dtype].push_back(bias);
    if (layer[Role::kWeight] == nullptr) {
      CheckHeadless(layer);
    } else if (layer.scheme && *layer.scheme == Scheme::kFloat) {
      CheckFloat(layer);
    } else if (layer.scheme) {
      CheckQuantized(layer);
    }
  }

  void Finish() {
    ReportScaleDTypes();
    ReportMixedDeq();
    ReportOddBiases();
    if (first_sparse_label_ == nullptr) return;
    context_.Report("LIN-sparse-label",
                    {.tensor = first_sparse_label_->name,
                     .found = "W8A8SC",
                     .wanted = "W8A8S",
                     .message = fmt::format("{} layers are labelled W8A8SC, their weights are "
                                            "matrices",
                                            sparse_labels_)});
  }

 private:
  static constexpr std::array kQuantizationRoles = {
      Role::kWeightScale,       Role::kWeightOffset,       Role::kInputScale,
      Role::kInputOffset,       Role::kQuantBias,          Role::kDeqScale,
      Role::kWeightScaleSecond, Role::kWeightOffsetSecond, Role::kWeightDualScale,
      Role::kScaleBias};

  // Scales of a weight that is not there.
  void CheckHeadless(const LayerTensors& layer) {
    if (context_.incomplete()) return;
    for (const Role role : kQuantizationRoles) {
      if (layer[role] == nullptr) continue;
      context_.Report("LIN-missing-part", {.tensor = fmt::format("{}.weight", layer.module),
                                           .wanted = "the weight",
                                           .message = fmt::format("is missing, {} belongs to it",
                                                                  Quote(layer[role]->name))});
      return;
    }
  }

  void CheckFloat(const LayerTensors& layer) {
    const TensorEntry& weight = *layer[Role::kWeight];
    const bool plain = weight.dtype == DType::kF64 || IsMember(DTypeSet::kFloats, weight.dtype);
    const bool float_here = context_.description() == nullptr ? IsFloating(weight.dtype) : plain;
    if (!float_here) ReportCodes(weight);
    const TensorEntry* bias = layer[Role::kBias];
    if (bias != nullptr && !IsFloating(bias->dtype)) ReportCodes(*bias);
    for (const Role role : kQuantizationRoles) {
      if (layer[role] != nullptr) ReportExtra(*layer[role], "FLOAT");
    }
  }

  void ReportCodes(const TensorEntry& entry) {
    context_.Report("LIN-float-codes", {.tensor = entry.name,
                                        .found = std::string(DTypeName(entry.dtype)),
                                        .wanted = Names(DTypeSet::kFloats),
                                        .message = fmt::format("is FLOAT, but its dtype is {}",
                                                               DTypeName(entry.dtype))});
  }

  void CheckQuantized(const LayerTensors& layer) {
    const auto parts = by_scheme_.find(*layer.scheme);
    if (parts == by_scheme_.end()) return;
    if (*layer.label == "W8A8SC" && *layer.scheme == Scheme::kW8A8S && sparse_labels_++ == 0)
      first_sparse_label_ = layer[Role::kWeight];
    for (const Part* part : parts->second) {
      const TensorEntry* entry = FindPart(layer, part->suffix);
      if (entry != nullptr) {
        CheckPart(layer, *part, *entry);
      } else if (part->presence == Presence::kRequired && !context_.incomplete() &&
                 !IsSplitForTensorParallel(layer)) {
        context_.Report(
            "LIN-missing-part",
            {.tensor = fmt::format("{}.{}", layer.module, part->suffix),
             .wanted = std::string(part->suffix),
             .message = fmt::format("is missing, {} needs it", SchemeLabel(*layer.scheme))});
      }
    }
    CheckBias(layer);
    CheckExtras(layer, parts->second);
    CheckDeqFlavour(layer);
    CountScaleDTypes(layer);
  }

  void CheckPart(const LayerTensors& layer, const Part& part, const TensorEntry& entry) {
    if (!IsMember(part.dtypes, entry.dtype)) {
      context_.Report("LIN-dtype",
                      {.tensor = entry.name,
                       .found = std::string(DTypeName(entry.dtype)),
                       .wanted = Names(part.dtypes),
                       .message = fmt::format("has dtype {}, {} wants {}", DTypeName(entry.dtype),
                                              SchemeLabel(*layer.scheme), Names(part.dtypes))});
    }
    if (part.shape == PartShape::kStream) return CheckStream(layer, entry);
    if (part.shape == PartShape::kMatrix || part.shape == PartShape::kPackedMatrix) {
      if (entry.shape.size() == 2) return;
      context_.Report("LIN-shape", {.tensor = entry.name,
                                    .found = ShapeText(entry.shape),
                                    .wanted = "[n, k]",
                                    .message = fmt::format("has shape {}, wanted [n, k]",
                                                           ShapeText(entry.shape))});
      return;
    }
    if (part.shape == PartShape::kSparseIndex) return CheckSparseIndex(layer, entry);
    if (part.shape == PartShape::kLikeQuantBias) {
      const TensorEntry* bias = layer[Role::kQuantBias];
      const auto size = SparseSize(layer);
      const uint64_t rows = size              ? size->first
                            : bias == nullptr ? 0
                                              : ElementCount(bias->shape).value_or(0);
      return CheckShape(entry, rows == 0 ? std::nullopt : std::optional(Shape{rows}));
    }
    CheckShape(entry, WantedShape(layer, part.shape, entry));
  }

  // A compressed weight is shorter than what it stands for.
  void CheckStream(const LayerTensors& layer, const TensorEntry& entry) {
    const auto [n, k] = SparseSize(layer).value_or(std::pair<uint64_t, uint64_t>());
    const auto whole = CheckedMul(n, k);
    const bool fits = entry.shape.size() == 1 && entry.shape[0] > 0 &&
                      (n == 0 || !whole || entry.shape[0] < *whole);
    if (fits) return;
    context_.Report(
        "LIN-shape",
        {.tensor = entry.name,
         .found = ShapeText(entry.shape),
         .wanted = "[x]",
         .message = n == 0 ? fmt::format("has shape {}, a compressed weight has [x]",
                                         ShapeText(entry.shape))
                           : fmt::format("has shape {}, compressed from [{}, {}] it is "
                                         "[x] with x below {}",
                                         ShapeText(entry.shape), n, k, whole.value_or(0))});
  }

  // n and k of a compressed layer, as `info` gives them ([8, 8, k, n, 1]).
  std::optional<std::pair<uint64_t, uint64_t>> SparseSize(const LayerTensors& layer) const {
    const TensorEntry* info = FindPart(layer, "info");
    if (info == nullptr || info->dtype != DType::kI64 || info->shape != Shape{5}) return {};
    const auto tensor = context_.checkpoint().Read(*info);
    if (!tensor.ok()) {
      context_.NoteFailure(tensor.error());
      return {};
    }
    const auto values = tensor->as<int64_t>();
    if (values[2] <= 0 || values[3] <= 0) return {};
    return std::pair(static_cast<uint64_t>(values[3]), static_cast<uint64_t>(values[2]));
  }

  // source document S003: ⌈⌈k/32⌉/8⌉ · ⌈⌈n/16⌉/8⌉ · 8. Where nobody says k, a multiple of the part
  // that n gives.
  void CheckSparseIndex(const LayerTensors& layer, const TensorEntry& entry) {
    if (const auto size = SparseSize(layer))
      return CheckShape(entry, Shape{SparseIndexBytes(size->first, size->second)});
    const TensorEntry* bias = layer[Role::kQuantBias];
    const uint64_t n = bias == nullptr || bias->shape.size() != 1 ? 0 : bias->shape[0];
    const uint64_t unit = n == 0 ? 8 : SparseIndexBytes(n, 1);
    const bool fits = entry.shape.size() == 1 && entry.shape[0] > 0 && entry.shape[0] % unit == 0;
    if (fits) return;
    context_.Report("LIN-shape",
                    {.tensor = entry.name,
                     .found = ShapeText(entry.shape),
                     .wanted = fmt::format("a multiple of {}", unit),
                     .message = fmt::format("has shape {}, wanted one dimension, a multiple of {}",
                                            ShapeText(entry.shape), unit)});
  }

  void CheckShape(const TensorEntry& entry, const std::optional<Shape>& wanted) {
    if (!wanted || entry.shape == *wanted) return;
    context_.Report("LIN-shape",
                    {.tensor = entry.name,
                     .found = ShapeText(entry.shape),
                     .wanted = ShapeText(*wanted),
                     .message = fmt::format("has shape {}, the weight wants {}",
                                            ShapeText(entry.shape), ShapeText(*wanted))});
  }

  void CheckBias(const LayerTensors& layer) {
    const TensorEntry* bias = layer[Role::kBias];
    if (bias == nullptr) return;
    if (!IsMember(DTypeSet::kFloats, bias->dtype)) {
      context_.Report("LIN-dtype",
                      {.tensor = bias->name,
                       .found = std::string(DTypeName(bias->dtype)),
                       .wanted = Names(DTypeSet::kFloats),
                       .message = fmt::format("has dtype {}, a bias wants {}",
                                              DTypeName(bias->dtype), Names(DTypeSet::kFloats))});
    }
    const bool rows_known = HasInt8Codes(*layer.scheme);
    if (rows_known) CheckShape(*bias, WantedShape(layer, PartShape::kPerRow, *bias));
  }

  void CheckExtras(const LayerTensors& layer, const std::vector<const Part*>& parts) {
    const auto known = [&](std::string_view suffix) {
      return std::any_of(parts.begin(), parts.end(),
                         [&](const Part* part) { return part->suffix == suffix; });
    };
    for (const Role role : kQuantizationRoles) {
      if (layer[role] != nullptr && !known(RoleSuffix(role)))
        ReportExtra(*layer[role], SchemeLabel(*layer.scheme));
    }
    // Tensors of wrappers and of the KV cache (formats.md 4.2, 5.3, 5.5).
    constexpr std::array<std::string_view, 12> kCompanions = {
        "kv_cache_scale",       "kv_cache_offset", "heads_rotation", "kronecker_rotation_m",
        "kronecker_rotation_n", "left_trans",      "right_trans",    "clip_ratio",
        "svd_lowrank_l1",       "svd_lowrank_l2",  "gather_scale",   "reduce_scale"};
    for (const TensorEntry* other : layer.others) {
      const std::string_view suffix = SplitTensorName(other->name).suffix;
      if (known(suffix) ||
          std::find(kCompanions.begin(), kCompanions.end(), suffix) != kCompanions.end())
        continue;
      context_.Report("LIN-unknown-part", {.tensor = other->name,
                                           .found = std::string(suffix),
                                           .message = fmt::format("is no tensor that {} has",
                                                                  SchemeLabel(*layer.scheme))});
    }
  }

  void ReportExtra(const TensorEntry& entry, std::string_view label) {
    context_.Report("LIN-extra-part",
                    {.tensor = entry.name,
                     .found = std::string(SplitTensorName(entry.name).suffix),
                     .message = fmt::format("is there, {} has no such tensor", label)});
  }

  // facts: consumers.md, fact 1 and T02.
  void CheckDeqFlavour(const LayerTensors& layer) {
    const TensorEntry* deq = layer[Role::kDeqScale];
    if (deq == nullptr || !IsMember(DTypeSet::kF32OrI64, deq->dtype)) return;
    if (first_deq_ == nullptr) first_deq_ = deq;
    if (deq->dtype != first_deq_->dtype && other_deq_ == nullptr) other_deq_ = deq;
    const auto model = context_.model_dtype();
    if (!model || *model == DType::kF32) return;
    const DType wanted = *model == DType::kBF16 ? DType::kF32 : DType::kI64;
    if (deq->dtype == wanted) return;
    context_.Report(
        "LIN-deq-flavour",
        {.tensor = deq->name,
         .found = std::string(DTypeName(deq->dtype)),
         .wanted = std::string(DTypeName(wanted)),
         .message = fmt::format("is {} in a {} model, loaders take it for {}",
                                DTypeName(deq->dtype), TorchDTypeName(*model), DTypeName(wanted))});
  }

  void ReportMixedDeq() {
    if (other_deq_ == nullptr) return;
    context_.Report("LIN-deq-mixed", {.tensor = other_deq_->name,
                                      .found = std::string(DTypeName(other_deq_->dtype)),
                                      .wanted = std::string(DTypeName(first_deq_->dtype)),
                                      .message = fmt::format(
                                          "is {}, {} is {}", DTypeName(other_deq_->dtype),
                                          Quote(first_deq_->name), DTypeName(first_deq_->dtype))});
  }

  // Writers give all biases of a tower's linears one dtype, the quantized tower's its own: the few
  // that differ were changed by somebody.
  void ReportOddBiases() {
    for (const auto& [tower, biases] : biases_) {
      const auto most =
          std::ranges::max_element(biases, {}, [](const auto& row) { return row.second.size(); });
      for (const auto& [dtype, entries] : biases) {
        if (dtype == most->first) continue;
        context_.Report(
            "LIN-bias-dtype",
            {.tensor = entries.front()->name,
             .found = std::string(DTypeName(dtype)),
             .wanted = std::string(DTypeName(most->first)),
             .message = fmt::format("{} biases are {}, {} are {}", entries.size(), DTypeName(dtype),
                                    most->second.size(), DTypeName(most->first))});
      }
    }
  }

  // Writers give a weight's scale and offset the same dtype.
  void CheckOffsetDType(const LayerTensors& layer) {
    const TensorEntry* scale = layer[Role::kWeightScale];
    const TensorEntry* offset = layer[Role::kWeightOffset];
    if (scale == nullptr || offset == nullptr || scale->dtype == offset->dtype) return;
    context_.Report("LIN-scale-dtype",
                    {.tensor = offset->name,
                     .found = std::string(DTypeName(offset->dtype)),
                     .wanted = std::string(DTypeName(scale->dtype)),
                     .message = fmt::format("is {}, its weight_scale is {}",
                                            DTypeName(offset->dtype), DTypeName(scale->dtype))});
  }

  // ascendv1 keeps every scale in F32 (the goldens); S001 wants the input scales of the others in
  // the model's dtype.
  void CountScaleDTypes(const LayerTensors& layer) {
    const bool one_click = context_.IsDialect(Dialect::kAscendV1);
    if (!one_click) CheckOffsetDType(layer);
    const auto wanted = one_click ? std::optional(DType::kF32) : context_.model_dtype();
    if (!wanted) return;
    for (const Role role :
         {Role::kInputScale, Role::kInputOffset, Role::kWeightScale, Role::kWeightOffset}) {
      const bool weight = role == Role::kWeightScale || role == Role::kWeightOffset;
      const TensorEntry* entry = layer[role];
      if (entry == nullptr || entry->dtype == *wanted || (weight && !one_click)) continue;
      if (!IsMember(DTypeSet::kFloatsOrI8, entry->dtype)) continue;
      auto& [count, first] = odd_scales_[{role, entry->dtype}];
      if (count++ == 0) first = entry;
    }
  }

  void ReportScaleDTypes() {
    for (const auto& [key, value] : odd_scales_) {
      const auto& [role, dtype] = key;
      const auto& [count, first] = value;
      const DType wanted =
          context_.IsDialect(Dialect::kAscendV1) ? DType::kF32 : *context_.model_dtype();
      context_.Report(
          "LIN-scale-dtype",
          {.tensor = first->name,
           .found = std::string(DTypeName(dtype)),
           .wanted = std::string(DTypeName(wanted)),
           .message = fmt::format("{} {} tensors are {}, {} has {} here", count, RoleSuffix(role),
                                  DTypeName(dtype), context_.checkpoint().traits().name,
                                  DTypeName(wanted))});
    }
  }

  // simulate_tp keeps the parts of a layer under ….tp_list.i (formats.md 5.5).
  bool IsSplitForTensorParallel(const LayerTensors& layer) const {
    return context_.layers().Find(fmt::format("{}.tp_list.0", layer.module)) != nullptr;
  }

  VerifyContext& context_;
  std::map<Scheme, std::vector<const Part*>> by_scheme_;
  // Of linears, by tower.
  std::map<std::string_view, std::map<DType, std::vector<const TensorEntry*>>> biases_;
  const TensorEntry* first_deq_ = nullptr;
  const TensorEntry* first_sparse_label_ = nullptr;
  uint64_t sparse_labels_ = 0;
  const TensorEntry* other_deq_ = nullptr;
  std::map<std::pair<Role, DType>, std::pair<uint64_t, const TensorEntry*>> odd_scales_;
};

// Codes beside their scales in a directory without a description: one finding instead of one a
// tensor.
bool ReportMissingDescription(VerifyContext& context) {
  const bool described =
      context.checkpoint().traits().has_description || context.description() != nullptr;
  if (described || context.checkpoint().is_single_file()) return false;
  const auto is_quantized = [](const LayerTensors& layer) {
    const TensorEntry* weight = layer[Role::kWeight];
    return weight != nullptr && weight->dtype == DType::kI8 &&
           (layer[Role::kWeightScale] != nullptr || layer[Role::kDeqScale] != nullptr);
  };
  const auto count = std::ranges::count_if(context.layers().layers(), is_quantized);
  if (count == 0) return false;
  context.Report("DE-missing",
                 {.found = "none",
                  .wanted = "quant_model_description*.json",
                  .message = fmt::format("{} layers hold codes and scales, but there is no "
                                         "quant_model_description*.json",
                                         count)});
  return true;
}

}  // namespace

void CheckLinears(VerifyContext& context) {
  if (context.checkpoint().traits().has_description && context.description() == nullptr) return;
  if (!context.HasPlainTensors()) return;  // their readers look at layers
  if (ReportMissingDescription(context)) return;
  LinearChecker checker(context);
  for (const LayerTensors& layer : context.layers().layers()) checker.Check(layer);
  checker.Finish();
}

}  // namespace slim
