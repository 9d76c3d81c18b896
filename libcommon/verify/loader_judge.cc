#include "verify/loader_judge.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/checked.h"
#include "base/text.h"
#include "model/modules.h"

namespace slim {
namespace {

constexpr auto kTypes = [] {
  using namespace rule_table;
  return std::to_array<LoaderType>({
#define SLIM_LOADER_TYPE(loaders, label, linear, moe, a5) {loaders, label, linear, moe, a5},
#include "verify/loader_parts.def"
  });
}();

constexpr auto kParts = [] {
  using namespace rule_table;
  using enum PartDType;
  using enum PartShape;
  using enum PartNeed;
  return std::to_array<LoaderPart>({
#define SLIM_LOADER_PART(loaders, label, tensor, dtype, shape, need) \
  {loaders, label, tensor, dtype, shape, need},
#include "verify/loader_parts.def"
  });
}();

bool IsInteger(DType dtype) { return !IsFloating(dtype); }

// Codes in an 8-bit float are no values without their scale.
bool IsFloatCode(DType dtype) { return IsFloating(dtype) && DTypeBits(dtype) <= 8; }

double LargestFinite(DType dtype) { return dtype == DType::kF16 ? 65504.0 : 3.4e38; }

// The value after a copy into `to`, near enough to tell what survives.
double Rounded(double value, DType to) {
  if (IsInteger(to)) return std::trunc(value);
  if (std::abs(value) > LargestFinite(to)) return HUGE_VAL;
  if (to != DType::kF16) return value;
  const double step = std::ldexp(1.0, std::max(std::ilogb(value) - 10, -24));
  return value == 0.0 ? 0.0 : std::nearbyint(value / step) * step;
}

// More than 2 % off counts as another value; integers must fit their type, too.
bool Survives(double value, DType to) {
  if (to == DType::kI8 && (value < -128 || value > 127)) return false;
  if (value == 0.0 || std::isnan(value)) return true;
  return std::abs(Rounded(value, to) - value) <= 0.02 * std::abs(value);
}

// As torch.allclose with its defaults.
bool AllClose(double a, double b) { return std::abs(a - b) <= 1e-8 + 1e-5 * std::abs(b); }

}  // namespace

std::vector<const LoaderPart*> PartsOf(LoaderVersion version, std::string_view label) {
  std::vector<const LoaderPart*> parts;
  for (const LoaderPart& part : kParts) {
    if (part.label == label && (part.loaders & BitOf(version)) != 0) parts.push_back(&part);
  }
  return parts;
}

const LoaderType* FindType(LoaderVersion version, std::string_view label, bool moe) {
  for (const LoaderType& type : kTypes) {
    if (type.label == label && (type.loaders & BitOf(version)) != 0 &&
        (moe ? type.moe : type.linear))
      return &type;
  }
  return nullptr;
}

std::optional<DType> NamedDType(const VerifyContext& context, bool torch_dtype_only) {
  const Json* config = context.checkpoint().config();
  if (config == nullptr) return {};
  for (const Json* place : {config, config->Find("text_config")}) {
    if (place == nullptr || !place->is_object()) continue;
    for (const std::string_view key : {"torch_dtype", "dtype"}) {
      if (torch_dtype_only && key == "dtype") continue;
      const Json* value = place->Find(key);
      const auto name = value == nullptr ? std::nullopt : value->AsString();
      if (name) return ParseModelDType(*name);
    }
  }
  return {};
}

LoaderJudge::LoaderJudge(VerifyContext& context_in, const LoaderModel& model_in,
                         const LoaderTarget& target_in, bool deep_in, bool follows_index)
    : context(context_in),
      model(model_in),
      target(target_in),
      deep(deep_in),
      files(context_in, follows_index),
      read_(context_in.checkpoint().tensors().size(), 0) {}

const Json* LoaderJudge::Config(std::string_view key) const {
  const Json* config = context.checkpoint().config();
  const Json* value = config == nullptr ? nullptr : config->Find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string LoaderJudge::ConfigPath() const {
  return JoinPath(context.checkpoint().path(), "config.json");
}

const QuantDescription* LoaderJudge::ReadDescription(const std::string& name) {
  const Checkpoint& checkpoint = context.checkpoint();
  if (!checkpoint.HasFile(name)) return nullptr;
  if (name == checkpoint.guess().description_file) return checkpoint.description();
  const auto text = ReadWholeFile(JoinPath(checkpoint.path(), name));
  if (!text.ok()) context.NoteFailure(text.error());
  auto parsed = text.ok() ? QuantDescription::Parse(*text) : Result<QuantDescription>(text.error());
  if (!parsed.ok()) {
    Report("LD-description", Effect::kCrashes,
           {.found = name,
            .message = fmt::format("{} cannot be read: {}", Quote(name), parsed.error().message)});
    return nullptr;
  }
  own_.push_back(std::make_unique<QuantDescription>(std::move(*parsed)));
  return own_.back().get();
}

std::optional<std::string_view> LoaderJudge::Global(std::string_view key) const {
  const Json* value = description == nullptr ? nullptr : description->Global(key);
  return value == nullptr ? std::nullopt : value->AsString();
}

std::optional<Shape> LoaderJudge::WantedShape(const LoaderModule& module, PartShape shape) const {
  if (shape == PartShape::kOne) return Shape{1};
  if (shape == PartShape::kAny || shape == PartShape::kAnyColumn || module.n == 0) return {};
  if (shape == PartShape::kVector) return Shape{module.n};
  if (shape == PartShape::kColumn) return Shape{module.n, 1};
  if (module.use == ModuleUse::kNorm) return Shape{module.n};
  if (module.k == 0) return {};
  if (shape == PartShape::kMatrix) return Shape{module.n, module.k};
  if (shape == PartShape::kHalfMatrix) return Shape{module.n, module.k / 2};
  return Shape{module.n, CeilDiv(module.k, 32)};
}

DType LoaderJudge::WantedDType(PartDType part, DType found) const {
  switch (part) {
    case PartDType::kModel:
      return dtype;
    case PartDType::kAnyFloat:
      return IsFloating(found) && !IsFloatCode(found) ? found : DType::kF32;
    case PartDType::kI8:
      return DType::kI8;
    case PartDType::kI32:
      return DType::kI32;
    case PartDType::kU8:
      return DType::kU8;
    case PartDType::kF8:
      return DType::kF8E4M3;
    case PartDType::kF16:
      return DType::kF16;
    case PartDType::kF32:
      return DType::kF32;
    case PartDType::kDeq:
      // The 310P schemes create int64 parameters whatever the model's dtype.
      return dtype == DType::kF16 || target.chip == Chip::k300I ? DType::kI64 : DType::kF32;
    case PartDType::kDynamic:
      return dtype == DType::kF16 ? DType::kF32 : DType::kBF16;
  }
  return found;
}

void LoaderJudge::CheckCast(const LoaderTensor& tensor, DType wanted) {
  const TensorEntry& entry = *tensor.entry;
  const DType found = entry.dtype;
  if (found == wanted) return;
  const std::string_view leaf = SplitTensorName(entry.name).suffix;
  FindingDetail detail{.tensor = entry.name,
                       .found = std::string(DTypeName(found)),
                       .wanted = std::string(DTypeName(wanted))};
  if (leaf == "deq_scale" && (found == DType::kI64 || wanted == DType::kI64)) {
    detail.message = fmt::format("is {}, the parameter of a {} model {}", DTypeName(found),
                                 TorchDTypeName(dtype), DTypeName(wanted));
    Report("LD-deq-flavour", Effect::kLoadsWrong, std::move(detail));
    return;
  }
  bool wrong =
      (IsInteger(found) && IsFloating(wanted)) || (IsFloatCode(found) && !IsFloatCode(wanted));
  if (!wrong) {
    // Narrower parameters keep most values; read the small tensors to know.
    const bool narrow = IsInteger(wanted) || wanted == DType::kF16;
    if (!narrow) return;
    const std::vector<double> values = ReadValues(context, tensor, deep ? 1U << 20 : 64);
    wrong = values.empty() ? IsInteger(wanted) && entry.size > 0
                           : std::any_of(values.begin(), values.end(),
                                         [&](double value) { return !Survives(value, wanted); });
  }
  if (!wrong) return;
  detail.message =
      fmt::format("{} values would be stored as {}", DTypeName(found), DTypeName(wanted));
  Report("LD-cast", Effect::kLoadsWrong, std::move(detail));
}

void LoaderJudge::CheckShape(const LoaderTensor& tensor, const Shape& wanted,
                             const PartPolicy& policy) {
  const Shape& found = tensor.entry->shape;
  if (found == wanted) return;
  Effect effect = Effect::kRefuses;
  const bool rows_only = found.size() == wanted.size() && !found.empty() &&
                         std::equal(found.begin() + 1, found.end(), wanted.begin() + 1);
  if (rows_only && found[0] < wanted[0]) effect = Effect::kCrashes;
  if (rows_only && found[0] > wanted[0]) effect = Effect::kLoadsWrong;  // the rest is cut off
  if (!policy.compares_shapes)
    effect =
        ElementCount(found) == ElementCount(wanted) ? Effect::kCrashesForward : Effect::kLoadsWrong;
  Report("LD-shape", effect,
         {.tensor = tensor.entry->name,
          .found = ShapeText(found),
          .wanted = ShapeText(wanted),
          .message =
              fmt::format("has shape {}, the parameter {}", ShapeText(found), ShapeText(wanted))});
}

void LoaderJudge::MarkRead(std::string_view name) {
  const Checkpoint& checkpoint = context.checkpoint();
  const TensorEntry* entry = checkpoint.Find(name);
  if (entry != nullptr) read_[static_cast<size_t>(entry - checkpoint.tensors().data())] = 1;
}

void LoaderJudge::MarkModule(std::string_view module) {
  if (const LayerTensors* layer = context.layers().Find(module); layer != nullptr) {
    for (const TensorEntry* part : layer->parts) {
      if (part != nullptr) MarkRead(part->name);
    }
    for (const TensorEntry* other : layer->others) {
      if (!SplitTensorName(other->name).suffix.starts_with("kv_cache_")) MarkRead(other->name);
    }
  }
}

bool LoaderJudge::CheckTensor(const std::string& name, DType wanted,
                              const std::optional<Shape>& shape, const PartPolicy& policy) {
  const LoaderTensor tensor = files.Find(name);
  if (!tensor) return false;
  MarkRead(name);
  if (shape) CheckShape(tensor, *shape, policy);
  CheckCast(tensor, wanted);
  return true;
}

void LoaderJudge::ReportMissing(const std::string& name, Effect effect, std::string_view label) {
  if (context.incomplete() && files.missing().empty())
    return;  // it may be in what could not be read
  Report("LD-missing-tensor", effect,
         {.tensor = name,
          .wanted = std::string(SplitTensorName(name).suffix),
          .message = fmt::format("is missing, the loader reads it for {}",
                                 label.empty() ? "this module" : label)});
}

bool LoaderJudge::CheckModule(const LoaderModule& module, std::string_view label,
                              const PartPolicy& policy) {
  bool complete = true;
  for (const LoaderPart* part : PartsOf(target.version, label)) {
    const std::string name = fmt::format("{}.{}", module.name, part->tensor);
    const LoaderTensor tensor = files.Find(name);
    if (!tensor) {
      const bool matters = part->need == PartNeed::kNeeded || policy.missing_unused_matters;
      if (matters) ReportMissing(name, policy.missing, label);
      complete = complete && !matters;
      continue;
    }
    CheckTensor(name, WantedDType(part->dtype, tensor.entry->dtype),
                WantedShape(module, part->shape), policy);
  }
  return complete;
}

void LoaderJudge::CheckInputs(const LoaderGroup& group, Effect effect) {
  for (const std::string_view leaf : {"input_scale", "input_offset"}) {
    std::optional<double> first;
    std::string first_name;
    for (const size_t member : group.members) {
      const std::string name = fmt::format("{}.{}", model.modules[member].name, leaf);
      const LoaderTensor tensor = files.Find(name);
      const std::vector<double> values =
          tensor ? ReadValues(context, tensor, 1) : std::vector<double>();
      if (values.empty()) continue;
      if (!first) {
        first = values[0];
        first_name = name;
        continue;
      }
      if (AllClose(values[0], *first)) continue;
      // One parameter holds one of the values; a small difference costs accuracy only.
      const bool small = effect == Effect::kLoadsWrong && leaf == "input_scale" &&
                         std::abs(values[0] - *first) <= 0.02 * std::abs(*first);
      Report("LD-input-scale", small ? Effect::kDegrades : effect,
             {.tensor = name,
              .found = fmt::format("{}", values[0]),
              .wanted = fmt::format("{}", *first),
              .message = fmt::format("is {}, {} is {}", values[0], Quote(first_name), *first)});
    }
  }
}

// factor: 1 where the offset is ignored, 2 where it is applied with the other sign. The share of an
// output that comes from the offset, for inputs of mean zero, is
// sqrt(k Σ (o·s)²) / sqrt(Σ s²·(q − o)²).
void LoaderJudge::CheckOffset(const LoaderModule& module, double factor) {
  if (!deep) return;
  const LoaderTensor offset = files.Find(module.name + ".weight_offset");
  const LoaderTensor scale = files.Find(module.name + ".weight_scale");
  const LoaderTensor weight = files.Find(module.name + ".weight");
  if (!offset || !scale || !weight || weight.entry->shape.size() != 2) return;
  const std::vector<double> o = ReadValues(context, offset);
  if (std::all_of(o.begin(), o.end(), [](double v) { return v == 0.0; })) return;
  const std::vector<double> s = ReadValues(context, scale);
  const uint64_t n = weight.entry->shape[0];
  const uint64_t k = weight.entry->shape[1];
  double share = 1.0;
  if (o.size() == n && s.size() == n && weight.entry->dtype == DType::kI8) {
    const auto data = weight.source->Read(*weight.entry);
    if (!data.ok()) return context.NoteFailure(data.error());
    const auto codes = data->view().as<int8_t>();
    double shifted = 0.0;
    double whole = 0.0;
    for (uint64_t row = 0; row < n; ++row) {
      double sum = 0.0;
      for (uint64_t i = 0; i < k; ++i) sum += std::pow(codes[row * k + i] - o[row], 2);
      shifted += std::pow(o[row] * s[row] * factor, 2) * static_cast<double>(k);
      whole += s[row] * s[row] * sum;
    }
    share = whole > 0.0 ? std::sqrt(shifted / whole) : 1.0;
  }
  Report("LD-offset", share > 0.1 ? Effect::kLoadsWrong : Effect::kDegrades,
         {.tensor = offset.entry->name,
          .found = "not zero",
          .wanted = "0",
          .message = fmt::format("is not zero; {} changes outputs by about {:.1f} %",
                                 factor > 1.5 ? "applying it with the other sign" : "ignoring it",
                                 share * 100)});
}

bool LoaderJudge::IsZero(std::string_view tensor) const {
  const LoaderTensor found = files.Find(tensor);
  if (!found) return false;
  const std::vector<double> values = ReadValues(context, found);
  return !values.empty() &&
         std::all_of(values.begin(), values.end(), [](double v) { return v == 0.0; });
}

bool LoaderJudge::IsRead(const TensorEntry& entry) const {
  return read_[static_cast<size_t>(&entry - context.checkpoint().tensors().data())] != 0;
}

bool LoaderJudge::IsHarmless(const TensorEntry& entry) const {
  const TensorNameParts name = SplitTensorName(entry.name);
  if (entry.name == "lm_head.weight" && model.tied_head) return true;
  const std::string* label = Label(fmt::format("{}.weight", name.module));
  if (label != nullptr && (*label == "W8A8" || *label == "W8A8S") &&
      (name.suffix == "weight_scale" || name.suffix == "weight_offset" || name.suffix == "bias"))
    return true;
  if (name.suffix == "weight_offset" || name.suffix == "kv_cache_offset" || name.suffix == "bias")
    return IsZero(entry.name);
  return entry.name.ends_with("rotary_emb.inv_freq");
}

// NORM-copy-differs holds the two against each other.
bool LoaderJudge::IsCopyOfReadNorm(const TensorEntry& entry) const {
  const TensorNameParts name = SplitTensorName(entry.name);
  constexpr std::string_view kMark = ".module";
  if (!name.module.ends_with(kMark)) return false;
  const std::string_view norm = name.module.substr(0, name.module.size() - kMark.size());
  const TensorEntry* original = context.checkpoint().Find(fmt::format("{}.{}", norm, name.suffix));
  return original != nullptr && IsRead(*original);
}

void LoaderJudge::ReportUnread() {
  constexpr std::array<std::string_view, 11> kMatters = {
      "bias",         "kv_cache_scale", "kv_cache_offset", "weight",
      "weight_scale", "deq_scale",      "quant_bias",      "input_scale",
      "input_offset", "weight_offset",  "scale_bias"};
  for (const TensorEntry& entry : context.checkpoint().tensors()) {
    if (!files.Visible(entry) || IsRead(entry)) continue;
    const std::string_view leaf = SplitTensorName(entry.name).suffix;
    if (std::find(kMatters.begin(), kMatters.end(), leaf) == kMatters.end()) continue;
    if (IsHarmless(entry) || IsCopyOfReadNorm(entry)) continue;
    Report(leaf.starts_with("kv_cache_") ? RuleName("LD-kv-cache") : RuleName("LD-unread-tensor"),
           Effect::kLoadsWrong,
           {.tensor = entry.name,
            .found = std::string(leaf),
            .message = "is there, the loader does not read it"});
  }
}

const TensorEntry* LoaderJudge::FirstQuantizedTensor() const {
  for (const TensorEntry& entry : context.checkpoint().tensors()) {
    const std::string_view leaf = SplitTensorName(entry.name).suffix;
    const bool code = leaf == "weight" && (IsInteger(entry.dtype) || IsFloatCode(entry.dtype));
    if (code || leaf == "weight_scale" || leaf == "deq_scale" || leaf == "weight_packed" ||
        leaf == "weight_scale_inv" || leaf == "qweight")
      return &entry;
  }
  return nullptr;
}

namespace {

void ReportSideFile(LoaderJudge& judge, std::string_view file, std::string_view reason) {
  if (judge.context.checkpoint().HasFile(file)) return;
  judge.Report("LD-side-file", Effect::kRefuses,
               {.found = std::string(file),
                .wanted = std::string(file),
                .message = fmt::format("{} is not there, {} names it", Quote(file), reason),
                .path = judge.ConfigPath()});
}

// The modules of auto_map, which a loader with trust_remote_code imports, and the rotation that the
// description of a QuaRot checkpoint refers to.
void CheckSideFiles(LoaderJudge& judge) {
  if (const Json* map = judge.Config("auto_map"); map != nullptr && map->is_object()) {
    std::set<std::string> modules;
    for (const Json::Member& member : map->members()) {
      const auto value = member.second.AsString();
      if (!value || value->find("--") != std::string_view::npos) continue;  // of another repository
      modules.insert(std::string(value->substr(0, value->find('.'))) + ".py");
    }
    for (const std::string& module : modules)
      ReportSideFile(judge, module, "config.json's auto_map");
  }
  const QuantDescription* description = judge.context.description();
  const Json* found = description == nullptr ? nullptr : description->Global("optional");
  for (const std::string_view key : {"quarot", "rotation_map", "global_rotation"})
    found = found == nullptr || !found->is_object() ? nullptr : found->Find(key);
  const auto path = found == nullptr ? std::nullopt : found->AsString();
  if (!path || path->find("..") != std::string_view::npos) return;
  if (KindOf(JoinPath(judge.context.checkpoint().path(), *path)) == FileKind::kRegular) return;
  ReportSideFile(judge, *path, "the description's global_rotation");
}

}  // namespace

void JudgeFiles(LoaderJudge& judge, Effect duplicate) {
  CheckSideFiles(judge);
  const std::string index =
      JoinPath(judge.context.checkpoint().path(), "model.safetensors.index.json");
  for (const std::string& file : judge.files.missing()) {
    const bool silent =
        judge.target.loader == Loader::kVllmAscend &&
        (judge.IsVersion(LoaderVersion::kVllm07) || judge.IsVersion(LoaderVersion::kVllm09));
    judge.Report("LD-index", silent ? Effect::kLoadsWrong : Effect::kRefuses,
                 {.found = file,
                  .message = fmt::format(
                      "model.safetensors.index.json lists {}, which is not there", Quote(file)),
                  .path = index});
  }
  const auto& own = judge.context.checkpoint().guess().weight_files;
  for (const std::string& file : judge.files.left_out()) {
    if (std::find(own.begin(), own.end(), file) == own.end()) continue;
    judge.Report(
        "LD-index", Effect::kRefuses,
        {.found = file,
         .message = fmt::format(
             "model.safetensors.index.json does not list {}: its tensors are dropped", Quote(file)),
         .path = index});
  }
  for (const DuplicateTensor& twice : judge.files.duplicates()) {
    judge.Report(
        "LD-duplicate-tensor", duplicate,
        {.tensor = twice.name,
         .found = twice.file,
         .message = fmt::format("is in {} and in {}", Quote(twice.other), Quote(twice.file))});
  }
  for (const Error& problem : judge.files.unreadable()) {
    judge.Report("LD-unreadable-file", Effect::kCrashes,
                 {.message = problem.message, .path = problem.path});
  }
}

}  // namespace slim
