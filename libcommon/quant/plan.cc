#include "quant/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <unordered_set>

#include "base/glob.h"
#include "base/text.h"
#include "model/read_config.h"
#include "quant/fused_types.h"
#include "quant/linear_parts.h"
#include "quant/stages.h"

namespace slim {
namespace {

// The globs of one LinearStep, with their hits.
struct StepNames {
  const LinearStep* step = nullptr;
  size_t index = 0;
  GlobSet include;
  GlobSet exclude;
  GlobSet readmit;

  static Result<StepNames> Compile(const LinearStep& step, size_t index) {
    StepNames names;
    names.index = index;
    names.step = &step;
    SLIM_ASSIGN(names.include, GlobSet::Compile(step.names.include));
    SLIM_ASSIGN(names.exclude, GlobSet::Compile(step.names.exclude));
    SLIM_ASSIGN(names.readmit, GlobSet::Compile(step.readmit));
    return names;
  }

  bool Selects(const std::string& module) {
    if (!step->whole_model && module.find(".layers.") == std::string::npos) return false;
    const bool included = include.Matches(module);
    const bool excluded = exclude.Matches(module);
    const bool readmitted = readmit.Matches(module);
    return included && (!excluded || readmitted);
  }
};

class Planner {
 public:
  Planner(const Checkpoint& source, const QuantOptions& options, Listener& listener)
      : source_(source),
        options_(options),
        listener_(listener),
        passes_(PassesOf(options.recipe)) {}

  Result<QuantPlan> Plan() {
    SLIM_TRY(CheckSource());
    SLIM_TRY(ReadConfig());
    plan_.modules = plan_.by_name ? LinearsByName(source_) : AllModules(plan_.config);
    for (const PassStages& pass : passes_) {
      for (const Stage& stage : pass.stages) {
        for (const StageStep& item : stage.steps) steps_.push_back(item);
      }
    }
    SLIM_TRY(ChooseRotation());
    SLIM_TRY(CheckTensors());
    SLIM_TRY(ChooseTypes());
    SLIM_TRY(CheckFusedTypes(plan_));
    SLIM_TRY(ChooseSmoothing());
    SLIM_TRY(ChooseCache());
    ChooseCalibration();
    SLIM_TRY(CheckByName());
    PlanTensors();
    return std::move(plan_);
  }

 private:
  Status CheckSource() {
    if (source_.is_single_file()) {
      return InputError("QU-single-file",
                        "is one file, quantization needs the directory with config.json")
          .WithPath(source_.path());
    }
    if (source_.dialect() != Dialect::kHf) {
      return InputError(
                 "QU-not-float",
                 fmt::format("is already an {} checkpoint, slim-quant starts from a float one (hf)",
                             source_.traits().name))
          .WithPath(source_.path());
    }
    return {};
  }

  Status ReadConfig() {
    const std::string path = JoinPath(source_.path(), "config.json");
    if (source_.config() == nullptr) {
      return InputError("CF-missing", "is missing", "copy it from the model's repository")
          .WithPath(path);
    }
    auto config = ReadModelConfig(source_);
    if (!config.ok() && config.error().rule == "CF-unknown-architecture") {
      unknown_architecture_ = std::move(config).error();
      return UseNames();
    }
    if (!config.ok()) return std::move(config).error();
    plan_.config = std::move(*config);
    const TensorEntry* embedding =
        source_.Find(fmt::format("{}.weight", EmbeddingName(plan_.config)));
    const DType stored = embedding == nullptr ? DType::kBF16 : embedding->dtype;
    plan_.model_dtype = plan_.config.dtype.value_or(stored);
    if (options_.recipe.dtype) {
      plan_.model_dtype = *options_.recipe.dtype;
      return {};
    }
    if (embedding != nullptr && plan_.model_dtype != stored) {
      listener_.Warning(
          fmt::format("config.json says {}, the weights are {}: loaders will cast them",
                      TorchDTypeName(plan_.model_dtype), DTypeName(stored)));
    }
    return {};
  }

  Status UseNames() {
    plan_.by_name = true;
    SLIM_ASSIGN(const std::optional<DType> named, ConfigDType(*source_.config()));
    const std::vector<Module> linears = LinearsByName(source_);
    if (linears.empty()) return std::move(*unknown_architecture_);
    plan_.model_dtype = named.value_or(source_.Find(linears.front().TensorName())->dtype);
    return {};
  }

  // Without a forward pass there is nothing to calibrate or to smooth.
  Status CheckByName() {
    if (!plan_.by_name) return {};
    if (plan_.needs_calibration) {
      Error error = std::move(*unknown_architecture_);
      error.message += ": its forward pass is unknown, too, and static ranges need one";
      error.hint =
          "types without static activations quantize any checkpoint of linear layers: "
          "w8a8_dynamic, w8a16, …";
      return error;
    }
    listener_.Warning(fmt::format(
        "{}: its linear layers are taken by name, nothing is smoothed, {} other tensors are "
        "carried as they are",
        unknown_architecture_->message, plan_.unknown_tensors.size()));
    return {};
  }

  Status CheckTensor(const std::string& name, const Shape& shape) {
    const TensorEntry* entry = source_.Find(name);
    if (entry == nullptr) {
      return InputError("CK-missing-tensor", "is not in the checkpoint, the architecture needs it")
          .WithTensor(name)
          .WithPath(source_.path());
    }
    expected_.insert(entry->name);
    if (entry->shape != shape) {
      return InputError("QU-shape", fmt::format("has shape {}, config.json gives {}",
                                                ShapeText(entry->shape), ShapeText(shape)))
          .WithTensor(name)
          .WithPath(source_.path());
    }
    const bool floating =
        entry->dtype == DType::kF32 || entry->dtype == DType::kF16 || entry->dtype == DType::kBF16;
    if (!floating) {
      return InputError("QU-dtype", fmt::format("has dtype {}, wanted F32, F16 or BF16",
                                                DTypeName(entry->dtype)))
          .WithTensor(name)
          .WithPath(source_.path());
    }
    return {};
  }

  Status CheckTensors() {
    SLIM_TRY(CheckExpertCount(source_, plan_.config));
    for (const Module& module : plan_.modules) {
      if (module.name == kLmHeadName && plan_.config.tie_word_embeddings &&
          source_.Find(fmt::format("{}.weight", kLmHeadName)) == nullptr) {
        continue;
      }
      SLIM_TRY(CheckTensor(module.TensorName(), module.weight_shape));
      if (module.has_bias)
        SLIM_TRY(CheckTensor(fmt::format("{}.bias", module.name), {module.weight_shape[0]}));
    }
    for (const TensorEntry& entry : source_.tensors()) {
      if (expected_.contains(entry.name)) continue;
      auto& list = entry.name.ends_with("rotary_emb.inv_freq") ? plan_.dropped_tensors
                                                               : plan_.unknown_tensors;
      list.push_back(entry.name);
    }
    if (!plan_.by_name) TellOfUnknownTensors();
    return {};
  }

  void TellOfUnknownTensors() {
    std::map<ModelPart, std::vector<std::string_view>> parts;
    for (const std::string& name : plan_.unknown_tensors)
      parts[PartOf(plan_.config, name)].push_back(name);
    for (const auto& [part, names] : parts) {
      const std::string first = Quote(names.front());
      if (part == ModelPart::kMtp) {
        listener_.Note(
            fmt::format("{} tensors of multi-token prediction layers stay float: {} first",
                        names.size(), first));
      } else if (part == ModelPart::kVision) {
        listener_.Note(fmt::format("{} tensors of the vision tower stay float: {} first",
                                   names.size(), first));
      } else {
        listener_.Warning(fmt::format(
            "{} tensors are not part of the architecture and are carried as they are: {} first",
            names.size(), first));
      }
    }
  }

  Status ChooseTypes() {
    std::vector<StepNames> steps;
    for (const StageStep& item : steps_) {
      const auto* step = std::get_if<LinearStep>(item.step);
      if (const auto* sparse = std::get_if<SparseStep>(item.step)) {
        LinearStep& linear = sparse_steps_.emplace_back();
        linear.settings = SettingsOf(Scheme::kW16A16S);
        linear.settings.weight.sparse_fraction = sparse->ratio;
        linear.names = sparse->names;
        step = &linear;
      }
      if (step == nullptr) continue;
      SLIM_ASSIGN(StepNames names, StepNames::Compile(*step, item.index));
      steps.push_back(std::move(names));
    }
    for (const Module& module : plan_.modules) {
      if (!module.IsLinear()) continue;
      LinearPlan linear;
      linear.name = module.name;
      linear.n = module.weight_shape[0];
      linear.k = module.weight_shape[1];
      linear.has_bias = module.has_bias;
      const LinearSettings* settings = nullptr;
      // Every step is asked for every name, so that each glob's hits are counted.
      for (StepNames& step : steps) {
        const bool selected = step.Selects(module.name);
        if (!selected || settings != nullptr) continue;
        settings = &step.step->settings;
        linear.step = step.index;
      }
      const std::vector<std::string>& fallback = options_.recipe.fallback;
      if (std::find(fallback.begin(), fallback.end(), module.name) != fallback.end()) {
        linear.reason = "kept in float for the budget of --auto-fallback";
      } else if (module.kind == ModuleKind::kRouter) {
        linear.reason = "expert router, loaders expect it in float";
      } else if (settings == nullptr) {
        linear.reason = module.name == kLmHeadName ? "output head, loaders expect it in float"
                                                   : "on the list of float layers";
      } else {
        linear.scheme = settings->scheme;
        linear.activation = settings->activation;
        linear.weight = settings->weight;
        // Without a forward pass there are no inputs to fit to.
        if (plan_.by_name && NeedsMoments(*settings)) linear.weight.method = WeightMethod::kSsz;
      }
      plan_.linear_index.emplace(linear.name, plan_.linears.size());
      plan_.linears.push_back(std::move(linear));
    }
    SLIM_TRY(ReportUnmatched(steps));
    return CheckLinears();
  }

  Status ReportUnmatched(const std::vector<StepNames>& steps) {
    for (const StepNames& step : steps) {
      for (const GlobSet* set : {&step.include, &step.exclude, &step.readmit}) {
        for (const std::string& pattern : set->Unmatched())
          SLIM_TRY(ReportUnmatched(pattern, "linear layer"));
      }
    }
    return {};
  }

  // A glob of a recipe that no name in the checkpoint matches is a slip of the pen.
  Status ReportUnmatched(const std::string& pattern, std::string_view wanted) {
    const std::string told = fmt::format("pattern {} matches no {}", Quote(pattern), wanted);
    SLIM_ASSIGN(const Glob glob, Glob::Compile(pattern));
    bool meant = options_.recipe_file.empty();
    for (const TensorEntry& entry : source_.tensors())
      meant = meant || glob.Matches(SplitTensorName(entry.name).module);
    if (!meant) {
      return InputError("RECIPE-glob", told, "correct it, or take it out")
          .WithPath(options_.recipe_file);
    }
    listener_.Warning(told);
    return {};
  }

  Status CheckLinears() {
    bool any = false;
    for (const LinearPlan& linear : plan_.linears) {
      if (linear.scheme == Scheme::kFloat) continue;
      if (linear.scheme == Scheme::kW8A8S && plan_.model_dtype == DType::kBF16) {
        return UsageError(
            "w8a8s runs on 300I Duo only, which has no bfloat16: MindIE refuses such a checkpoint "
            "(source document S003)",
            "--dtype fp16 casts the model");
      }
      SLIM_TRY(CheckLinearPlan(linear, options_.recipe.layout));
      any = true;
    }
    SLIM_TRY(CheckBiasCorrection());
    if (!any) return UsageError("every linear layer stays float, nothing is left to quantize");
    plan_.type = ModelType(plan_.linears, options_.recipe.layout,
                           options_.recipe.compute == ComputeMode::kModel);
    return {};
  }

  // What cannot be corrected is said, and an error when nothing can.
  Status CheckBiasCorrection() const {
    size_t asked = 0;
    size_t corrected = 0;
    for (const LinearPlan& linear : plan_.linears) {
      if (linear.scheme == Scheme::kFloat || !linear.weight.bias_correction) continue;
      ++asked;
      if (CorrectsBias(linear)) ++corrected;
    }
    if (corrected == asked) return {};
    const std::string why = "they have no bias, and loaders refuse one that the architecture lacks";
    if (corrected == 0) {
      return UsageError(
          fmt::format("bias correction has no place in these {} layers: {}", asked, why),
          "types with static ranges (w8a8) correct quant_bias, which every layer has");
    }
    listener_.Note(fmt::format("bias correction reaches {} of {} quantized layers: the others {}",
                               corrected, asked, why.substr(5)));
    return {};
  }

  // With --compute model only pairs that msModelSlim's adapter for an unknown model finds: a norm
  // and its linears (facts: algorithms.md 3.9).
  bool Eligible(const SmoothStep& step, const SmoothPairing& pairing) const {
    if (std::find(step.pairs.begin(), step.pairs.end(), pairing.kind) == step.pairs.end())
      return false;
    const bool norm = pairing.kind == SmoothPair::kNormLinear;
    if (step.method == SmoothMethod::kSmoothQuant && !norm) return false;
    if (options_.recipe.compute == ComputeMode::kModel) return norm;
    return std::any_of(pairing.targets.begin(), pairing.targets.end(),
                       [&](const std::string& name) {
                         const LinearPlan* linear = plan_.Find(name);
                         return linear != nullptr && linear->scheme != Scheme::kFloat;
                       });
  }

  void AddPair(size_t index, const SmoothStep& step, uint64_t layer, SmoothPairing pairing) {
    const bool norm = pairing.kind == SmoothPair::kNormLinear;
    if (norm && !step.symmetric) {
      for (const std::string& target : pairing.targets) {
        LinearPlan& linear = *const_cast<LinearPlan*>(plan_.Find(target));
        linear.bias_added = linear.bias_added || !linear.has_bias;
        linear.has_bias = true;
      }
    }
    const bool biased =
        norm && (!step.symmetric || (step.method == SmoothMethod::kSmoothQuant &&
                                     options_.recipe.compute == ComputeMode::kModel));
    if (biased && source_.Find(pairing.source + ".bias") == nullptr)
      plan_.biased_norms.push_back(pairing.source);
    plan_.smoothing[layer].push_back({index, std::move(pairing)});
  }

  Status ChoosePairs(const SmoothStep& step, size_t index) {
    SLIM_ASSIGN(GlobSet include, GlobSet::Compile(step.names.include));
    SLIM_ASSIGN(GlobSet exclude, GlobSet::Compile(step.names.exclude));
    for (uint64_t layer = 0; layer < plan_.config.num_layers; ++layer) {
      for (SmoothPairing& pairing : SmoothPairings(plan_.config, layer)) {
        const bool included = include.Matches(pairing.source);
        const bool excluded = exclude.Matches(pairing.source);
        if (included && !excluded && Eligible(step, pairing))
          AddPair(index, step, layer, std::move(pairing));
      }
    }
    for (const GlobSet* set : {&include, &exclude}) {
      for (const std::string& pattern : set->Unmatched()) {
        SLIM_TRY(ReportUnmatched(
            pattern, fmt::format("norm, v_proj or up_proj for {}", SmoothMethodName(step.method))));
      }
    }
    return {};
  }

  Status ChooseSmoothing() {
    if (plan_.by_name) return {};
    plan_.smoothing.resize(plan_.config.num_layers);
    for (const StageStep& item : steps_) {
      if (const auto* step = std::get_if<SmoothStep>(item.step))
        SLIM_TRY(ChoosePairs(*step, item.index));
    }
    return {};
  }

  // What this version has no arithmetic for; a recipe is refused before hours of work.
  Status ChooseRotation() {
    for (const StageStep& item : steps_) {
      if (std::holds_alternative<AttentionStep>(*item.step)) {
        return UsageError("fa3_quant is not made by slim-quant",
                          "dynamic_cache quantizes the cache, kv_smooth prepares it");
      }
    }
    std::vector<const RotationStep*> rotations = StepsOf<RotationStep>(options_.recipe.process);
    for (const PriorPass& pass : options_.recipe.prior) {
      for (const RotationStep* step : StepsOf<RotationStep>(pass.process))
        rotations.push_back(step);
    }
    if (rotations.empty()) return {};
    if (rotations.size() > 1)
      return UsageError("a model is rotated once, this recipe has two quarot");
    if (plan_.by_name)
      return UsageError("quarot needs an architecture that slim knows, this one it does not");
    for (const TensorEntry& entry : source_.tensors()) {
      if (PartOf(plan_.config, entry.name) != ModelPart::kMtp) continue;
      return InputError("QU-rotation",
                        "a layer that predicts further tokens would read rotated states",
                        "leave the quarot step out, or the layer")
          .WithTensor(entry.name);
    }
    SLIM_ASSIGN(plan_.rotation, ModelRotation::Create(*rotations.front(), plan_.config));
    return {};
  }

  Status ChooseCache() {
    for (const StageStep& item : steps_) {
      const auto* step = std::get_if<KvCacheStep>(item.step);
      if (step == nullptr) continue;
      for (uint64_t layer = 0; layer < plan_.config.num_layers; ++layer) {
        const std::string attention = BlockPrefix(plan_.config, layer) + ".self_attn";
        SLIM_ASSIGN(const bool selected, Selects(step->names, attention));
        if (selected) plan_.cached.push_back(attention);
      }
    }
    if (plan_.cached.empty()) return {};
    if (plan_.config.mla) {
      return UsageError(
          fmt::format("a {} model caches a latent, for which the type c8 has no scales",
                      plan_.config.model_type),
          "leave the cache out");
    }
    if (options_.recipe.layout == Dialect::kMindIE &&
        options_.recipe.compute == ComputeMode::kModel) {
      return UsageError("the layout mindie of msModelSlim cannot carry a quantized cache",
                        "--layout ascendv1 can");
    }
    return {};
  }

  void ChooseCalibration() {
    plan_.needs_calibration =
        !plan_.cached.empty() ||
        std::any_of(steps_.begin(), steps_.end(),
                    [](const StageStep& item) {
                      return std::holds_alternative<KvSmoothStep>(*item.step);
                    }) ||
        std::any_of(plan_.smoothing.begin(), plan_.smoothing.end(),
                    [](const auto& pairs) { return !pairs.empty(); }) ||
        std::any_of(plan_.linears.begin(), plan_.linears.end(), [](const LinearPlan& linear) {
          return linear.scheme != Scheme::kFloat &&
                 NeedsCalibration({linear.scheme, linear.activation, linear.weight});
        });
  }

  // --dtype casts every float tensor that the architecture knows as such.
  DType WrittenDType(DType stored) const {
    const bool floating = stored == DType::kF32 || stored == DType::kF16 || stored == DType::kBF16;
    return floating ? options_.recipe.dtype.value_or(stored) : stored;
  }

  void AddFloat(const std::string& name, const TensorEntry& entry) {
    plan_.write.tensors.push_back(
        {{name, WrittenDType(entry.dtype), entry.shape}, std::string(SchemeLabel(Scheme::kFloat))});
  }

  void PlanLinear(const Module& module, const TensorEntry& weight) {
    LinearPlan& linear = plan_.linears[plan_.linear_index.at(module.name)];
    const std::string bias_name = fmt::format("{}.bias", module.name);
    const TensorEntry* bias = module.has_bias ? source_.Find(bias_name) : nullptr;
    linear.bytes_before = weight.size + (bias == nullptr ? 0 : bias->size);
    if (linear.scheme == Scheme::kFloat) {
      linear.bytes_after = linear.bytes_before;
      AddFloat(fmt::format("{}.weight", module.name), weight);
      if (bias != nullptr) AddFloat(bias_name, *bias);
      if (linear.bias_added) {
        plan_.write.tensors.push_back(
            {{bias_name, weight.dtype, {linear.n}}, std::string(SchemeLabel(Scheme::kFloat))});
      }
      return;
    }
    const DType added_dtype = linear.bias_added ? weight.dtype : DType::kF32;
    linear.bias_dtype = bias == nullptr ? added_dtype : bias->dtype;
    linear.weight_dtype = weight.dtype;
    for (auto& [role, spec] : QuantizedParts(linear, options_.recipe, plan_.model_dtype)) {
      const bool float_bias = role == Role::kBias && linear.scheme != Scheme::kW16A16S;
      const Scheme label =
          float_bias ? Scheme::kFloat : LabelOf(linear.scheme, options_.recipe.layout);
      linear.bytes_after += ByteSize(spec.dtype, spec.shape).value();
      plan_.write.tensors.push_back({std::move(spec), std::string(SchemeLabel(label))});
    }
  }

  // Scales of the cache of `attention`, one a channel, when `module` is the first after it.
  void AddCache(const Module& module, std::string& attention) {
    const size_t part = module.name.find(".self_attn");
    if (part != std::string::npos) {
      attention = module.name.substr(0, part) + ".self_attn";
      return;
    }
    const bool cached =
        std::find(plan_.cached.begin(), plan_.cached.end(), attention) != plan_.cached.end();
    const uint64_t channels = plan_.config.num_kv_heads * plan_.config.head_dim;
    for (const char* linear : {"k_proj", "v_proj"}) {
      for (const char* suffix : {"kv_cache_scale", "kv_cache_offset"}) {
        if (!cached) continue;
        plan_.write.tensors.push_back(
            {{fmt::format("{}.{}.{}", attention, linear, suffix), plan_.model_dtype, {channels}},
             std::string(SchemeLabel(Scheme::kC8))});
      }
    }
    attention.clear();
  }

  void PlanTensors() {
    std::string attention;
    for (const Module& module : plan_.modules) {
      AddCache(module, attention);
      const std::string name = module.TensorName();
      const TensorEntry* weight = source_.Find(name);
      // A tied head is written as a tensor of its own, as the one-click writer does: loaders differ
      // in what they untie.
      if (weight == nullptr)
        weight = source_.Find(fmt::format("{}.weight", EmbeddingName(plan_.config)));
      if (module.IsLinear()) {
        PlanLinear(module, *weight);
      } else {
        AddFloat(name, *weight);
        if (std::find(plan_.biased_norms.begin(), plan_.biased_norms.end(), module.name) !=
            plan_.biased_norms.end()) {
          AddFloat(module.name + ".bias", *weight);
        }
      }
    }
    if (!plan_.cached.empty()) {
      plan_.write.globals.others.emplace_back("kv_cache_type", "C8");
      plan_.write.globals.others.emplace_back("kv_quant_type", "C8");
    }
    for (const std::string& name : plan_.unknown_tensors) AddFloat(name, *source_.Find(name));
    for (const TensorEntry& entry : source_.tensors()) plan_.bytes_before += entry.size;
    for (size_t i = 0; i < plan_.write.tensors.size(); ++i)
      plan_.tensor_index.emplace(plan_.write.tensors[i].spec.name, i);
    plan_.bytes_after = plan_.write.TotalBytes();
    plan_.write.dialect = options_.recipe.layout;
    plan_.write.globals.model_quant_type = SchemeLabel(plan_.type);
    for (const LinearPlan& linear : plan_.linears) {
      const int64_t group_size = linear.scheme == Scheme::kFloat ? 0 : GroupSizeOf(linear);
      if (group_size > 0) plan_.write.globals.group_size = group_size;
    }
    plan_.write.part_size = options_.recipe.part_size;
    if (options_.recipe.part_size == 0 && options_.recipe.layout == Dialect::kAscendV1)
      plan_.write.part_size = 4ULL << 30;
    plan_.write.shard_names = options_.recipe.part_size > 0;
  }

  const Checkpoint& source_;
  const QuantOptions& options_;
  Listener& listener_;
  const std::vector<PassStages> passes_;
  std::deque<LinearStep> sparse_steps_;  // what SparseSteps mean
  std::vector<StageStep> steps_;         // of all passes, but rotations
  QuantPlan plan_;
  std::optional<Error> unknown_architecture_;
  std::unordered_set<std::string_view> expected_;
};

}  // namespace

const LinearPlan* QuantPlan::Find(std::string_view module) const {
  const auto found = linear_index.find(std::string(module));
  return found == linear_index.end() ? nullptr : &linears[found->second];
}

const TensorSpec* QuantPlan::FindTensor(std::string_view name) const {
  const auto found = tensor_index.find(std::string(name));
  return found == tensor_index.end() ? nullptr : &write.tensors[found->second].spec;
}

std::vector<std::string> QuantPlan::SmoothedSources(SmoothPair kind) const {
  std::vector<std::string> sources;
  for (const std::vector<PlannedPair>& pairs : smoothing) {
    for (const PlannedPair& pair : pairs) {
      if (pair.pairing.kind == kind) sources.push_back(pair.pairing.source);
    }
  }
  return sources;
}

Result<QuantPlan> PlanQuantization(const Checkpoint& source, const QuantOptions& options,
                                   Listener& listener) {
  return Planner(source, options, listener).Plan();
}

}  // namespace slim
