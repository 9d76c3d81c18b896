#include "quant/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <unordered_set>

#include "base/glob.h"
#include "base/text.h"
#include "model/read_config.h"

namespace slim {
namespace {

// The globs of one LinearStep, with their hits.
struct StepNames {
  const LinearStep* step = nullptr;
  GlobSet include;
  GlobSet exclude;
  GlobSet readmit;

  static Result<StepNames> Compile(const LinearStep& step) {
    StepNames names;
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
      : source_(source), options_(options), listener_(listener) {}

  Result<QuantPlan> Plan() {
    SLIM_TRY(CheckSource());
    SLIM_TRY(ReadConfig());
    modules_ = AllModules(plan_.config);
    SLIM_TRY(CheckTensors());
    SLIM_TRY(ChooseTypes());
    ChooseSmoothing();
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
    if (!config.ok()) return std::move(config).error();
    plan_.config = std::move(*config);
    const TensorEntry* embedding =
        source_.Find(fmt::format("{}.weight", EmbeddingName(plan_.config)));
    const DType stored = embedding == nullptr ? DType::kBF16 : embedding->dtype;
    plan_.model_dtype = plan_.config.dtype.value_or(stored);
    if (embedding != nullptr && plan_.model_dtype != stored) {
      listener_.Warning(
          fmt::format("config.json says {}, the weights are {}: loaders will cast them",
                      TorchDTypeName(plan_.model_dtype), DTypeName(stored)));
    }
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
    for (const Module& module : modules_) {
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
    if (!plan_.unknown_tensors.empty()) {
      listener_.Warning(fmt::format(
          "{} tensors are not part of the architecture and are carried as they are: {} first",
          plan_.unknown_tensors.size(), Quote(plan_.unknown_tensors.front())));
    }
    return {};
  }

  Status ChooseTypes() {
    std::vector<StepNames> steps;
    for (const LinearStep* step : StepsOf<LinearStep>(options_.recipe.process)) {
      SLIM_ASSIGN(StepNames names, StepNames::Compile(*step));
      steps.push_back(std::move(names));
    }
    for (const Module& module : modules_) {
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
        if (selected && settings == nullptr) settings = &step.step->settings;
      }
      if (module.kind == ModuleKind::kRouter) {
        linear.reason = "expert router, loaders expect it in float";
      } else if (settings == nullptr) {
        linear.reason = module.name == kLmHeadName ? "output head, loaders expect it in float"
                                                   : "on the list of float layers";
      } else {
        linear.scheme = settings->scheme;
        linear.activation = settings->activation;
        linear.weight = settings->weight;
      }
      plan_.linears.push_back(std::move(linear));
    }
    WarnOfUnmatched(steps);
    return ChooseModelType();
  }

  void WarnOfUnmatched(const std::vector<StepNames>& steps) {
    for (const StepNames& step : steps) {
      for (const GlobSet* set : {&step.include, &step.exclude, &step.readmit}) {
        for (const std::string& pattern : set->Unmatched()) {
          listener_.Warning(fmt::format("pattern {} matches no linear layer", Quote(pattern)));
        }
      }
    }
  }

  // The type of most linears; among equals the first.
  Status ChooseModelType() {
    std::map<Scheme, size_t> counts;
    for (const LinearPlan& linear : plan_.linears) {
      if (linear.scheme != Scheme::kFloat) ++counts[linear.scheme];
    }
    for (const LinearPlan& linear : plan_.linears) {
      if (linear.scheme == Scheme::kFloat) continue;
      if (plan_.type == Scheme::kFloat || counts[linear.scheme] > counts[plan_.type])
        plan_.type = linear.scheme;
    }
    if (counts.empty())
      return UsageError("every linear layer stays float, nothing is left to quantize");
    return {};
  }

  void ChooseSmoothing() {
    plan_.needs_calibration =
        std::any_of(plan_.linears.begin(), plan_.linears.end(),
                    [](const LinearPlan& linear) { return linear.scheme == Scheme::kW8A8; });
    const auto steps = StepsOf<SmoothStep>(options_.recipe.process);
    if (steps.empty()) return;
    plan_.smooth = *steps.front();
    for (uint64_t layer = 0; layer < plan_.config.num_layers; ++layer) {
      for (const SharedInput& input : SharedInputs(plan_.config, layer)) {
        const bool quantized = std::any_of(
            input.linears.begin(), input.linears.end(),
            [&](const std::string& name) { return plan_.Find(name)->scheme != Scheme::kFloat; });
        if (!input.norm.empty() && quantized) plan_.smoothed_norms.push_back(input.norm);
      }
    }
    plan_.needs_calibration = plan_.needs_calibration || !plan_.smoothed_norms.empty();
  }

  void AddFloat(const std::string& name, const TensorEntry& entry) {
    plan_.write.tensors.push_back(
        {{name, entry.dtype, entry.shape}, std::string(SchemeLabel(Scheme::kFloat))});
  }

  void PlanLinear(const Module& module, const TensorEntry& weight) {
    LinearPlan& linear =
        *std::find_if(plan_.linears.begin(), plan_.linears.end(),
                      [&](const LinearPlan& item) { return item.name == module.name; });
    const std::string bias_name = fmt::format("{}.bias", module.name);
    const TensorEntry* bias = module.has_bias ? source_.Find(bias_name) : nullptr;
    linear.bytes_before = weight.size + (bias == nullptr ? 0 : bias->size);
    if (linear.scheme == Scheme::kFloat) {
      linear.bytes_after = linear.bytes_before;
      AddFloat(fmt::format("{}.weight", module.name), weight);
      if (bias != nullptr) AddFloat(bias_name, *bias);
      return;
    }
    const DType bias_dtype = bias == nullptr ? DType::kF32 : bias->dtype;
    for (auto& [role, spec] :
         QuantizedParts(linear, options_.recipe.layout, plan_.model_dtype, bias_dtype)) {
      const Scheme label = role == Role::kBias ? Scheme::kFloat : linear.scheme;
      linear.bytes_after += ByteSize(spec.dtype, spec.shape).value();
      plan_.write.tensors.push_back({std::move(spec), std::string(SchemeLabel(label))});
    }
  }

  void PlanTensors() {
    for (const Module& module : modules_) {
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
      }
    }
    for (const std::string& name : plan_.unknown_tensors) AddFloat(name, *source_.Find(name));
    for (const TensorEntry& entry : source_.tensors()) plan_.bytes_before += entry.size;
    plan_.bytes_after = plan_.write.TotalBytes();
    plan_.write.dialect = options_.recipe.layout;
    plan_.write.globals.model_quant_type = SchemeLabel(plan_.type);
    plan_.write.part_size = options_.recipe.part_size;
    if (options_.recipe.part_size == 0 && options_.recipe.layout == Dialect::kAscendV1)
      plan_.write.part_size = 4ULL << 30;
    plan_.write.shard_names = options_.recipe.part_size > 0;
  }

  const Checkpoint& source_;
  const QuantOptions& options_;
  Listener& listener_;
  QuantPlan plan_;
  std::vector<Module> modules_;
  std::unordered_set<std::string_view> expected_;
};

}  // namespace

const LinearPlan* QuantPlan::Find(std::string_view module) const {
  for (const LinearPlan& linear : linears) {
    if (linear.name == module) return &linear;
  }
  return nullptr;
}

bool QuantPlan::IsSmoothed(std::string_view norm) const {
  return std::find(smoothed_norms.begin(), smoothed_norms.end(), norm) != smoothed_norms.end();
}

Result<QuantPlan> PlanQuantization(const Checkpoint& source, const QuantOptions& options,
                                   Listener& listener) {
  return Planner(source, options, listener).Plan();
}

uint64_t EstimateMemory(const QuantPlan& plan, uint64_t tokens, uint64_t longest) {
  constexpr uint64_t kProgram = 32ULL << 20;
  uint64_t largest = 0;
  uint64_t block = 0;
  for (const LinearPlan& linear : plan.linears) {
    if (linear.scheme != Scheme::kFloat)
      largest = std::max(largest, linear.bytes_before + linear.bytes_after);
    if (linear.name.starts_with(BlockPrefix(plan.config, 0) + ".")) block += linear.bytes_before;
  }
  if (!plan.needs_calibration) return kProgram + largest;
  const ModelConfig& config = plan.config;
  // Of the longest sample: normed, projected, queries, attended, keys and values with their cache,
  // gate and up.
  const uint64_t wide = 2 * config.hidden_size + 2 * config.num_heads * config.head_dim +
                        4 * config.num_kv_heads * config.head_dim + 2 * config.intermediate_size;
  const uint64_t activations = (tokens * config.hidden_size + longest * wide) * sizeof(float);
  return kProgram + std::max(block, largest) + activations;
}

std::vector<std::pair<Role, TensorSpec>> QuantizedParts(const LinearPlan& linear, Dialect layout,
                                                        DType model_dtype, DType bias_dtype) {
  const bool one_click = layout == Dialect::kAscendV1;
  const DType activation_dtype = one_click ? DType::kF32 : model_dtype;
  const DType deq_dtype = model_dtype == DType::kBF16 ? DType::kF32 : DType::kI64;
  std::vector<std::pair<Role, TensorSpec>> parts;
  const auto add = [&](Role role, DType dtype, Shape shape) {
    parts.emplace_back(role, TensorSpec{fmt::format("{}.{}", linear.name, RoleSuffix(role)), dtype,
                                        std::move(shape)});
  };
  add(Role::kWeight, DType::kI8, {linear.n, linear.k});
  if (linear.scheme == Scheme::kW8A8) {
    add(Role::kInputScale, activation_dtype, {1});
    add(Role::kInputOffset, activation_dtype, {1});
    add(Role::kQuantBias, DType::kI32, {linear.n});
    add(Role::kDeqScale, deq_dtype, {linear.n});
  } else {
    add(Role::kWeightScale, DType::kF32, {linear.n, 1});
    add(Role::kWeightOffset, DType::kF32, {linear.n, 1});
  }
  if (linear.has_bias) add(Role::kBias, one_click ? DType::kF32 : bias_dtype, {linear.n});
  return parts;
}

}  // namespace slim
