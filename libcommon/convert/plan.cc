#include "convert/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "base/text.h"
#include "convert/dialect_forms.h"
#include "convert/dtype_change.h"
#include "convert/layer_plan.h"
#include "convert/source_check.h"
#include "convert/source_tensors.h"
#include "convert/tensor_loop.h"
#include "kernels/convert.h"
#include "model/model_config.h"

namespace slim {
namespace {

bool IsScaleOrOffset(std::string_view suffix) {
  return suffix == "input_scale" || suffix == "input_offset" || suffix == "weight_scale" ||
         suffix == "weight_offset" || suffix == "kv_cache_scale" || suffix == "kv_cache_offset";
}

class Planner {
 public:
  Planner(const Checkpoint& source, const ConvertOptions& options, std::optional<Repairs> repairs,
          ThreadPool& pool, Listener& listener)
      : source_(source),
        options_(options),
        repairs_(std::move(repairs)),
        pool_(pool),
        listener_(listener) {}

  Result<ConvertPlan> Run();

 private:
  Status CheckSource();
  Status PlanGlobals();
  Status CheckLabels() const;
  Status CheckLabel(const SourceTensor& tensor) const;
  Status PlanTensors();
  Status Repair(FormChange& change);
  void PlanDTypes();
  DType WantedDType(const TensorPlan& tensor) const;
  Status MeasureLoss();
  std::optional<DType> LoadedDType(const TensorPlan& tensor) const;
  void NoteLoadedScales(const std::vector<TensorPlan*>& measured);
  Status MeasureTensor(TensorPlan& tensor) const;
  Status PlanMemory();
  void PlanWriting();
  void NoteOrder();
  Status PlanConfig();
  TensorPlan CopyOf(const SourceTensor& tensor) const;

  const Checkpoint& source_;
  const ConvertOptions& options_;
  std::optional<Repairs> repairs_;
  ThreadPool& pool_;
  Listener& listener_;
  std::vector<SourceTensor> tensors_;
  std::vector<uint32_t> shard_numbers_;
  DescriptionGlobals globals_;
  std::string source_quant_type_;
  bool is_mix_ = false;  // W8A8_MIX layers, however labelled
  std::optional<DType> model_dtype_;
  ConvertPlan plan_;
};

Result<ConvertPlan> Planner::Run() {
  plan_.input = source_.path();
  plan_.from = source_.dialect();
  plan_.to = options_.to;
  plan_.notes = source_.guess().notes;
  const Edge* edge = FindEdge(plan_.from, plan_.to);
  if (edge == nullptr) return NoEdge(plan_.from, plan_.to).WithPath(source_.path());
  plan_.loss = edge->loss;
  SLIM_TRY(CheckSource());
  SLIM_ASSIGN(model_dtype_, ConfigDType(*source_.config()));
  SLIM_ASSIGN(tensors_, SourceTensors(source_));
  if (std::ranges::any_of(tensors_, [](const auto& t) { return t.entry->name.empty(); })) {
    return InputError("CV-name", "has a tensor without a name, which no dialect can tell apart")
        .WithPath(source_.path());
  }
  if (repairs_) {
    std::erase_if(tensors_,
                  [&](const auto& t) { return repairs_->unwanted.contains(t.entry->name); });
  }
  SLIM_TRY(CheckLabels());
  SLIM_ASSIGN(globals_, SourceGlobals(source_, tensors_, plan_.notes));
  source_quant_type_ = globals_.model_quant_type;
  is_mix_ = std::ranges::any_of(tensors_, [](const auto& t) { return t.label == "W8A8_MIX"; }) ||
            (plan_.from == Dialect::kMindIE && IsMindIEMix(source_));
  SLIM_TRY(PlanGlobals());
  SLIM_TRY(PlanTensors());
  if (options_.dtype) PlanDTypes();
  SLIM_TRY(PlanMemory());
  if (options_.dtype || repairs_) SLIM_TRY(MeasureLoss());
  PlanWriting();
  NoteOrder();
  SLIM_TRY(PlanConfig());
  plan_.side_files = ChooseSideFiles(source_, options_.keep_extra);
  return std::move(plan_);
}

Status Planner::CheckSource() {
  if (source_.is_single_file()) {
    return InputError("CV-single-file", "is one file, a conversion needs the whole directory",
                      "name the directory with config.json")
        .WithPath(source_.path());
  }
  if (source_.config() == nullptr) {
    return InputError("IN-missing", "no such file", "copy it from the float model")
        .WithPath(JoinPath(source_.path(), "config.json"));
  }
  return {};
}

Status Planner::CheckLabels() const {
  if (plan_.to == Dialect::kHf) {
    std::vector<std::string> labels;
    for (const SourceTensor& tensor : tensors_) {
      const bool fresh = std::find(labels.begin(), labels.end(), tensor.label) == labels.end();
      if (tensor.label != "FLOAT" && fresh) labels.push_back(tensor.label);
    }
    if (!labels.empty()) {
      return InputError("CV-float-dialect",
                        fmt::format("holds quantized layers ({}), hf is a float dialect",
                                    Escape(Join(labels, ", "))),
                        "--dequantize writes codes times scales as floats")
          .WithPath(source_.path());
    }
  }
  for (const SourceTensor& tensor : tensors_) SLIM_TRY(CheckLabel(tensor));
  return {};
}

Status Planner::CheckLabel(const SourceTensor& tensor) const {
  const auto refuse = [&](std::string message) {
    return InputError(
               "CV-scheme", std::move(message),
               fmt::format("from {} to {} this version converts {}", DialectName(plan_.from),
                           DialectName(plan_.to), Join(SchemesOf(plan_.from, plan_.to), ", ")))
        .WithTensor(tensor.entry->name)
        .WithPath(source_.path());
  };
  const auto scheme = ParseSchemeLabel(tensor.label);
  if (!scheme || !SchemeTravels(*scheme, plan_.from, plan_.to))
    return refuse(fmt::format("has label {}", Quote(tensor.label)));
  if (*scheme == Scheme::kFloat) return {};
  const std::string_view suffix = SplitTensorName(tensor.entry->name).suffix;
  if (SchemeHasSuffix(*scheme, suffix)) return {};
  return refuse(fmt::format("has label {}, whose layers have no {}", tensor.label, Quote(suffix)));
}

Status Planner::PlanGlobals() {
  const auto refuse = [&](std::string_view key) {
    return InputError("CV-globals",
                      fmt::format("the description's '{}' is not empty: it describes rotations, "
                                  "which this version does not convert from {} to {}",
                                  key, DialectName(plan_.from), DialectName(plan_.to)))
        .WithPath(JoinPath(source_.path(), source_.guess().description_file));
  };
  const auto filled = [](const std::optional<Json>& value) {
    return value && !value->is_null() && !(value->is_object() && value->members().empty());
  };
  if (filled(globals_.optional)) return refuse("optional");
  if (filled(globals_.metadata) && plan_.to != Dialect::kAscendV1) return refuse("metadata");
  const Json* version =
      source_.description() == nullptr ? nullptr : source_.description()->Global("version");
  if (version != nullptr && !(version->is_string() && version->text() == "1.0.0")) {
    plan_.notes.push_back(fmt::format("the description's version is {}, {} writes \"1.0.0\"",
                                      Escape(DumpJson(*version)), DialectName(plan_.to)));
  }
  return {};
}

Status Planner::PlanMemory() {
  uint64_t largest = 0;
  for (const TensorPlan& tensor : plan_.tensors)
    largest = std::max(largest, WorkBytes(tensor, source_) / (tensor.make ? 2 : 1));
  // A tensor and its converted form are in memory together.
  SLIM_ASSIGN(plan_.budget, BudgetFor(largest, options_.max_memory, 2));
  return {};
}

TensorPlan Planner::CopyOf(const SourceTensor& tensor) const {
  TensorPlan copy = PlanCopy(*tensor.entry, tensor.label);
  copy.shard = shard_numbers_[tensor.entry->shard];
  return copy;
}

Status Planner::PlanTensors() {
  shard_numbers_ = ShardNumbers(source_);
  for (const SourceTensor& tensor : tensors_) plan_.tensors.push_back(CopyOf(tensor));
  FormChange change{source_, globals_, plan_.tensors, plan_.dropped, plan_.notes};
  if (plan_.from == Dialect::kMindIE && plan_.to != Dialect::kMindIE)
    SLIM_TRY(LeaveMindIEForm(change));
  if (plan_.from != Dialect::kMindIE && plan_.to == Dialect::kMindIE)
    SLIM_TRY(EnterMindIEForm(change));
  if (repairs_) SLIM_TRY(Repair(change));
  plan_.quant_type = globals_.model_quant_type;
  return {};
}

Status Planner::Repair(FormChange& change) {
  SLIM_TRY(RepairTensors(change, plan_.to, *repairs_));
  plan_.repairs = repairs_->done;
  std::vector<SourceTensor> labels;
  for (const TensorPlan& tensor : plan_.tensors) {
    plan_.loss = std::max(plan_.loss, tensor.loss);
    labels.push_back({nullptr, tensor.label});
  }
  // Dequantized layers may have been the last of the model's type.
  const auto is_named = [&](const auto& t) { return t.label == globals_.model_quant_type; };
  if (std::ranges::none_of(labels, is_named)) globals_.model_quant_type = TypeByLabels(labels);
  return {};
}

DType Planner::WantedDType(const TensorPlan& tensor) const {
  const TensorNameParts parts = SplitTensorName(tensor.name);
  const bool is_copy = !OriginalOfNormCopy(tensor.name).empty();
  const bool is_value = parts.suffix == "weight" || parts.suffix == "bias";
  if (parts.suffix == "deq_scale" && tensor.label != "FLOAT")
    return *options_.dtype == DType::kBF16 ? DType::kF32 : DType::kI64;
  if (!CanConvertFromFloat(tensor.from)) return tensor.from;
  if (tensor.label == "FLOAT" || is_copy || is_value) {
    // ascendv1 has the bias of a quantized layer in F32 whatever the model (facts: formats.md 4).
    const std::string* label =
        source_.description() == nullptr
            ? nullptr
            : source_.description()->Label(fmt::format("{}.weight", parts.module));
    const bool quantized_bias = parts.suffix == "bias" && label != nullptr && *label != "FLOAT";
    if (plan_.to == Dialect::kAscendV1 && quantized_bias && tensor.from == DType::kF32)
      return tensor.from;
    return *options_.dtype;
  }
  const bool sixteen = tensor.from != DType::kF32;
  return IsScaleOrOffset(parts.suffix) && sixteen ? *options_.dtype : tensor.from;
}

void Planner::PlanDTypes() {
  for (TensorPlan& tensor : plan_.tensors) {
    tensor.to = WantedDType(tensor);
    if (tensor.to == tensor.from) continue;
    if (tensor.action == TensorAction::kCopy) tensor.action = TensorAction::kConvert;
    const std::string change = fmt::format("{} to {}", tensor.FromName(), tensor.ToName());
    tensor.reason = tensor.reason.empty() ? change : tensor.reason + ", " + change;
  }
  const bool to_bits = std::ranges::any_of(plan_.tensors, [](const TensorPlan& tensor) {
    return tensor.from == DType::kF32 && tensor.to == DType::kI64;
  });
  if (to_bits) {
    plan_.notes.emplace_back(
        "deq_scale in I64: the file keeps every bit, the operators of the NPU multiply by its "
        "first 10 of the mantissa, up to 2^-10 less (mask 0xFFFFE000)");
  }
}

Status Planner::MeasureLoss() {
  std::vector<TensorPlan*> changed;
  std::vector<uint64_t> sizes;
  for (TensorPlan& tensor : plan_.tensors) {
    if (tensor.from == tensor.to && !LoadedDType(tensor)) continue;
    changed.push_back(&tensor);
    sizes.push_back(WorkBytes(tensor, source_));
  }
  const TensorLoop loop{pool_, listener_, plan_.budget, "measuring"};
  SLIM_TRY(ForEachTensor(loop, sizes, [&](size_t i) { return MeasureTensor(*changed[i]); }));
  for (const TensorPlan* tensor : changed) plan_.loss = std::max(plan_.loss, tensor->loss);
  NoteLoadedScales(changed);
  return {};
}

// What the loader's own rounding changes: no repair, because codes of 8 bits stay the nearest ones
// (127 · 2^-9 < 1/2).
void Planner::NoteLoadedScales(const std::vector<TensorPlan*>& measured) {
  if (!repairs_) return;
  const auto worst = std::ranges::max_element(
      measured, {}, [](const TensorPlan* tensor) { return tensor->loaded_error; });
  if (worst == measured.end() || (*worst)->loaded_error == 0) return;
  plan_.notes.push_back(fmt::format("{} holds scales in {}: up to {:.3g} off, relatively ({})",
                                    repairs_->loader.name, DTypeName(*LoadedDType(**worst)),
                                    (*worst)->loaded_error, (*worst)->name));
}

// Scales that stay F32 in the file: loaders round them to the model's dtype (facts: consumers.md
// 2.3, 4.4), so one that becomes zero there is as lost as one in the file.
std::optional<DType> Planner::LoadedDType(const TensorPlan& tensor) const {
  const auto scheme = ParseSchemeLabel(tensor.label);
  const std::string_view suffix = SplitTensorName(tensor.name).suffix;
  const bool is_scale = IsScaleOrOffset(suffix) && suffix.ends_with("_scale");
  if (tensor.label == "FLOAT" || tensor.from != DType::kF32 || !is_scale) return {};
  if (options_.dtype) return options_.dtype == DType::kF16 ? options_.dtype : std::nullopt;
  const bool held = repairs_ && scheme && HasInt8Codes(*scheme);
  return held && model_dtype_ != DType::kF32 ? model_dtype_ : std::nullopt;
}

Status Planner::MeasureTensor(TensorPlan& tensor) const {
  const auto at = [&](Error error) {
    return std::move(error).WithTensor(tensor.source).WithPath(source_.path());
  };
  RoundingLoss measured;
  auto made = MakeTensor(tensor, source_);
  if (!made.ok()) return at(std::move(made).error());
  if (tensor.from == tensor.to) {
    const DType loaded = *LoadedDType(tensor);
    auto as_loaded = ChangeDType(made->view(), loaded, {});
    if (!as_loaded.ok()) return at(std::move(as_loaded).error());
    tensor.loaded_error = as_loaded->worst_relative_error;
    if (as_loaded->to_zero == 0 && as_loaded->overflowed == 0) return {};
    return at(InputError("CV-underflow",
                         fmt::format("{} scales become zero or infinite in {}, to which loaders "
                                     "round them",
                                     as_loaded->to_zero + as_loaded->overflowed, DTypeName(loaded)),
                         "keep the source's dtype, or take bf16"));
  }
  auto rounded = RoundTensor(tensor, std::move(*made), &measured);
  if (!rounded.ok()) return at(std::move(rounded).error());
  if (measured.overflowed > 0) {
    return at(InputError(
        "CV-overflow",
        fmt::format("{} values become infinite in {}", measured.overflowed, tensor.ToName()),
        "keep the source's dtype, or take bf16"));
  }
  if (measured.to_zero > 0 && IsScaleOrOffset(SplitTensorName(tensor.name).suffix)) {
    return at(
        InputError("CV-underflow",
                   fmt::format("{} scales become zero in {}", measured.to_zero, tensor.ToName()),
                   "keep the source's dtype, or take bf16"));
  }
  tensor.worst_relative_error = measured.worst_relative_error;
  tensor.to_zero = measured.to_zero;
  tensor.loss = measured.exact() ? LossClass::kExact : LossClass::kNear;
  return {};
}

void Planner::PlanWriting() {
  WritePlan& write = plan_.write;
  write.dialect = plan_.to;
  write.globals = globals_;
  write.part_size = options_.part_size;
  write.keep_shards = options_.part_size == 0;
  write.shard_count = static_cast<uint32_t>(std::max<size_t>(source_.shards().size(), 1));
  const bool numbered = source_.shards().size() == 1 &&
                        source_.shards().front().name.ends_with("-00001-of-00001.safetensors");
  const bool parts_asked = options_.part_size > 0 && plan_.to != Dialect::kHf;
  write.shard_names = parts_asked || (numbered && plan_.from != Dialect::kAscendV1);
  if (numbered && plan_.to == Dialect::kAscendV1 && plan_.from != plan_.to) {
    plan_.notes.push_back(
        fmt::format("the source is one numbered part, as every small ascendv1 is: converting back "
                    "to {} gives a single file without a number",
                    DialectName(plan_.from)));
  }
  std::unordered_map<std::string, size_t> by_name;
  for (size_t i = 0; i < plan_.tensors.size(); ++i) {
    const TensorPlan& tensor = plan_.tensors[i];
    by_name.emplace(tensor.name, i);
    write.tensors.push_back({{tensor.name, tensor.to, tensor.shape}, tensor.label, tensor.shard});
  }
  OrderForDialect(plan_.to, write.tensors);
  std::vector<TensorPlan> ordered;
  for (const PlannedTensor& tensor : write.tensors)
    ordered.push_back(std::move(plan_.tensors[by_name.at(tensor.spec.name)]));
  plan_.tensors = std::move(ordered);

  const std::vector<Shard>& shards = source_.shards();
  if (!shards.empty()) write.metadata = shards.front().header.metadata;
  const bool same = std::all_of(shards.begin(), shards.end(), [&](const Shard& shard) {
    return shard.header.metadata == write.metadata;
  });
  if (!same) {
    write.metadata.clear();
    plan_.notes.emplace_back("__metadata__ of the weight files differs between them: left out");
  }
}

// The order of description and index is a writer's habit: nothing but a round trip depends on it.
void Planner::NoteOrder() {
  if (source_.description() == nullptr) return;
  std::vector<PlannedTensor> canonical;
  for (const SourceTensor& tensor : tensors_)
    canonical.push_back({{tensor.entry->name, tensor.entry->dtype, {}}, "", 0});
  OrderForDialect(plan_.from, canonical);
  const bool same = std::ranges::equal(
      canonical, tensors_,
      [](const PlannedTensor& a, const SourceTensor& b) { return a.spec.name == b.entry->name; });
  if (!same) {
    plan_.notes.push_back(
        fmt::format("the source's description is not in the order of {}: converting back gives the "
                    "same numbers in that order",
                    DialectName(plan_.from)));
  }
}

Status Planner::PlanConfig() {
  ConfigTarget target;
  target.from = plan_.from;
  target.to = plan_.to;
  target.quant_type = ToLower(plan_.quant_type);
  target.source_quant_type = ToLower(source_quant_type_);
  target.group_size = globals_.group_size;
  target.pdmix = is_mix_;
  target.dtype = options_.dtype;
  auto edited = EditConfig(source_.config_text(), target);
  if (!edited.ok())
    return std::move(edited).error().WithPath(JoinPath(source_.path(), "config.json"));
  plan_.config = std::move(*edited);
  plan_.notes.insert(plan_.notes.end(), plan_.config.notes.begin(), plan_.config.notes.end());
  return {};
}

}  // namespace

uint32_t ConvertPlan::Unchanged() const {
  return static_cast<uint32_t>(
      std::ranges::count(tensors, TensorAction::kCopy, &TensorPlan::action));
}

const TensorPlan* ConvertPlan::WorstTensor() const {
  const TensorPlan* worst = nullptr;
  for (const TensorPlan& tensor : tensors) {
    if (tensor.loss == LossClass::kExact) continue;
    if (worst == nullptr || tensor.worst_relative_error > worst->worst_relative_error)
      worst = &tensor;
  }
  return worst;
}

const TensorPlan* ConvertPlan::NoisiestTensor() const {
  const TensorPlan* noisiest = nullptr;
  for (const TensorPlan& tensor : tensors) {
    if (tensor.sqnr_db && (noisiest == nullptr || *tensor.sqnr_db < *noisiest->sqnr_db))
      noisiest = &tensor;
  }
  return noisiest;
}

Result<ConvertPlan> PlanConversion(const Checkpoint& source, const ConvertOptions& options,
                                   ThreadPool& pool, Listener& listener) {
  if (GoesByLayers(source.dialect(), options)) return PlanByLayers(source, options, pool, listener);
  return Planner(source, options, std::nullopt, pool, listener).Run();
}

Result<ConvertPlan> PlanConversion(const ConvertSource& source, ThreadPool& pool,
                                   Listener& listener) {
  if (GoesByLayers(source.checkpoint.dialect(), source.options)) {
    SLIM_ASSIGN(ConvertPlan plan, PlanByLayers(source.checkpoint, source.options, pool, listener));
    if (source.repairs) {
      plan.notes.push_back(
          fmt::format("judged for {} when it is written, and repaired where that finds errors",
                      source.repairs->loader.name));
    }
    return plan;
  }
  return Planner(source.checkpoint, source.options, source.repairs, pool, listener).Run();
}

Result<ConvertSource> OpenConvertSource(const std::string& path, const ConvertOptions& options,
                                        int threads, Listener& listener) {
  SLIM_ASSIGN(Checkpoint opened,
              options.loader ? Checkpoint::OpenForRepair(path) : Checkpoint::OpenForeign(path));
  SLIM_TRY(CheckOneDialect(opened.listing(), path, options.loader.has_value()));
  if (!options.loader) {
    SLIM_TRY(CheckOneDescription(opened.listing(), path));
    SLIM_TRY(CheckLabelled(opened));
  }
  ConvertSource source{std::move(opened), options, {}};
  if (!options.loader) return source;
  if (options.same_dialect)
    source.options.to = DialectFor(source.checkpoint.dialect(), *options.loader);
  SLIM_ASSIGN(source.repairs,
              RepairStatements(source.checkpoint, *options.loader, threads, listener));
  return source;
}

}  // namespace slim
