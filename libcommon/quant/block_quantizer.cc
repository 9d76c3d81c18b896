#include "quant/block_quantizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "base/text.h"
#include "kernels/matmul.h"
#include "linear/w8a8.h"
#include "model/modules.h"
#include "quant/fake_quant.h"
#include "quant/flex_smooth.h"
#include "quant/smooth.h"

namespace slim {
namespace {

// Calibration text never shows the widest activations: static ranges get this much more than was
// seen. Measured on the trained test models (testdata/models, held-out text): 1 % costs no
// resolution and saves clipping; 5 % costs resolution.
constexpr float kRangeHeadroom = 1.01F;

bool LinearIsIn(std::span<CalibratedLinear* const> linears, const CalibratedLinear* linear) {
  return std::find(linears.begin(), linears.end(), linear) != linears.end();
}

}  // namespace

BlockQuantizer::BlockQuantizer(const Checkpoint& source, const QuantPlan& plan,
                               const QuantOptions& options, std::vector<PassRun> passes,
                               ExpertStorage experts, ThreadPool& pool, Listener& listener)
    : source_(source),
      plan_(plan),
      options_(options),
      pool_(pool),
      listener_(listener),
      passes_(std::move(passes)),
      experts_(experts) {}

CalibratedLinear* BlockQuantizer::Find(std::string_view linear) {
  const auto place = linears_.find(linear);
  return place == linears_.end() ? nullptr : &place->second;
}

const CacheScales* BlockQuantizer::CacheOf(std::string_view linear) const {
  const auto place = caches_.find(linear);
  return place == caches_.end() ? nullptr : &place->second;
}

DType BlockQuantizer::ComputeOf(std::string_view linear) const {
  return block_->Working(block_->StoredDType(std::string(linear) + ".weight"));
}

LinearMeasurement BlockQuantizer::MeasurementOf(std::string_view linear) const {
  const auto place = measured_.find(linear);
  if (place != measured_.end()) return place->second;
  LinearMeasurement nothing;
  nothing.name = linear;
  return nothing;
}

// Of what the last pass over the block recorded.
void BlockQuantizer::MeasureInputs(Moment moment) {
  if (!options_.measure || !stats_) return;
  std::map<const InputStats*, InputMeasurement> shared;
  for (const Module& module : BlockModules(plan_.config, layer_)) {
    const InputStats* stats = module.IsLinear() ? stats_->Find(module.name) : nullptr;
    if (stats == nullptr) continue;
    const auto [input, fresh] = shared.emplace(stats, InputMeasurement{});
    if (fresh) input->second = MeasureInput(stats->range);
    LinearMeasurement& measured = measured_[module.name];
    measured.name = module.name;
    if (moment == Moment::kBeforeSmoothing) {
      if (!measured.input_before) measured.input_before = input->second;
      continue;
    }
    measured.input_after = input->second;
    if (stats->applied.empty()) continue;
    std::vector<float>& factor = smoothed_by_[module.name];
    factor.resize(stats->applied.size(), 1.0F);
    for (size_t i = 0; i < factor.size(); ++i) factor[i] *= stats->applied[i];
  }
}

void BlockQuantizer::MeasureResults() {
  if (!options_.measure) return;
  MeasureInputs(Moment::kAfterSmoothing);
  for (auto& [name, factor] : smoothed_by_) {
    for (float& value : factor) value = 1.0F / value;
    measured_[name].smoothing = SpreadOf(factor);
  }
  for (const auto& [name, scales] : caches_) {
    measured_[name].name = name;
    measured_[name].cache_scale = SpreadOf(scales.scale);
  }
  for (auto& [name, linear] : linears_) {
    if (!linear.range) continue;
    LinearMeasurement& measured = measured_[name];
    measured.name = name;
    measured.input = linear.range;
    const ValueRange range = {(-128.0F - linear.range->offset) * linear.range->scale,
                              (127.0F - linear.range->offset) * linear.range->scale};
    const InputStats* stats = stats_->Find(name);
    if (linear.observer && !linear.observer->empty()) {
      measured.input_saturation = linear.observer->ShareOutside(range);
    } else if (stats != nullptr && measured.input_after->min >= static_cast<double>(range.min) &&
               measured.input_after->max <= static_cast<double>(range.max)) {
      measured.input_saturation = 0.0;
    }
  }
}

std::vector<CalibratedLinear*> BlockQuantizer::LinearsOf(const Stage& stage) {
  std::vector<CalibratedLinear*> found;
  for (auto& [name, linear] : linears_) {
    for (const StageStep& step : stage.steps) {
      if (linear.plan->step == step.index) found.push_back(&linear);
    }
  }
  return found;
}

Status BlockQuantizer::Run(uint64_t layer) {
  layer_ = layer;
  linears_.clear();
  caches_.clear();
  float_weights_.clear();
  measured_.clear();
  smoothed_by_.clear();
  unseen_.clear();
  unsmoothed_.clear();
  stats_.reset();
  block_.reset();  // before the next one is there
  SLIM_ASSIGN(WorkingBlock block, WorkingBlock::Load(source_, plan_.config, layer,
                                                     options_.recipe.compute, experts_, pool_));
  block_.emplace(std::move(block));
  for (const Module& module : BlockModules(plan_.config, layer)) {
    if (module.kind != ModuleKind::kLinear) continue;
    const LinearPlan* linear = plan_.Find(module.name);
    if (linear == nullptr || linear->scheme == Scheme::kFloat) continue;
    linears_[module.name].plan = linear;
  }
  if (plan_.rotation) plan_.rotation->RotateBlock(plan_.config, *block_, pool_);
  for (PassRun& run : passes_) {
    if (run.pass) SLIM_TRY(RunPass(run));
  }
  WarnOfUnseen();
  MeasureResults();
  return block_->status();
}

// One line a block: of many experts, many may have seen no token.
void BlockQuantizer::WarnOfUnseen() {
  const auto warn = [&](const std::vector<std::string>& names, std::string_view what) {
    if (names.empty()) return;
    const std::string more =
        names.size() == 1 ? "" : fmt::format(" and {} more linears", names.size() - 1);
    listener_.Warning(
        fmt::format("{}{} saw no calibration token: {}", Quote(names.front()), more, what));
  };
  warn(unseen_, "given the range of the other experts");
  warn(unsmoothed_, "not smoothed");
}

Status BlockQuantizer::RunPass(PassRun& run) {
  // Only the last pass over the block moves the samples on.
  std::vector<size_t> forwards;
  for (size_t i = 0; i < run.stages.size(); ++i) {
    if (StageNeedsForward(run.stages[i], forwards.empty())) forwards.push_back(i);
  }
  size_t done = 0;
  for (size_t i = 0; i < run.stages.size(); ++i) {
    PrepareForward(run.stages[i]);
    if (done < forwards.size() && forwards[done] == i) {
      ++done;
      SLIM_TRY(Forward(run, run.stages[i], done == forwards.size()));
    }
    SLIM_TRY(FinishStage(run.stages[i]));
  }
  if (forwards.empty()) SLIM_TRY(Forward(run, {}, true));
  return {};
}

bool BlockQuantizer::StageNeedsForward(const Stage& stage, bool first) const {
  const bool sequential = options_.recipe.propagate == Propagation::kQuantized;
  bool needs = false;
  for (const StageStep& item : stage.steps) {
    if (const auto* smooth = std::get_if<SmoothStep>(item.step)) {
      const bool any =
          std::any_of(plan_.smoothing[layer_].begin(), plan_.smoothing[layer_].end(),
                      [&](const PlannedPair& pair) { return pair.step == item.index; });
      needs = needs || (any && (sequential || first || SearchesTokens(*smooth)));
    } else if (std::holds_alternative<LinearStep>(*item.step) ||
               std::holds_alternative<SparseStep>(*item.step)) {
      for (const auto& [name, linear] : linears_) {
        if (linear.plan->step != item.index) continue;
        const LinearSettings settings = {linear.plan->scheme, linear.plan->activation,
                                         linear.plan->weight};
        const bool values = NeedsMoments(settings) ||
                            (NeedsRange(settings) && NeedsValues(linear.plan->activation));
        needs = needs || values || (NeedsCalibration(settings) && (sequential || first));
      }
    } else {
      needs = needs || sequential || first;
    }
  }
  return needs;
}

void BlockQuantizer::PrepareForward(const Stage& stage) {
  const BlockStats groups(plan_.config, layer_);
  // gptq wants more than awq: they do not share.
  std::map<std::pair<std::string, WeightMethod>, std::shared_ptr<SecondMoments>> moments;
  for (CalibratedLinear* linear : LinearsOf(stage)) {
    const LinearSettings settings = {linear->plan->scheme, linear->plan->activation,
                                     linear->plan->weight};
    if (NeedsMoments(settings)) {
      std::shared_ptr<SecondMoments>& shared =
          moments[{groups.LeaderOf(linear->plan->name), settings.weight.method}];
      if (!shared) {
        shared = std::make_shared<SecondMoments>(linear->plan->name, NeedsMomentMatrix(settings));
      }
      linear->moments = shared;
    }
    if (NeedsRange(settings))
      linear->observer.emplace(linear->plan->activation, ColumnSquares(*linear));
  }
}

// Linears that share an input are judged together, so that they get one range: loaders that fuse
// them want one input_scale.
std::vector<float> BlockQuantizer::ColumnSquares(const CalibratedLinear& linear) {
  if (linear.plan->activation.method != ActivationMethod::kOutput) return {};
  std::vector<float> squares(linear.plan->k);
  const BlockStats groups(plan_.config, layer_);
  const std::string& leader = groups.LeaderOf(linear.plan->name);
  for (const auto& [name, other] : linears_) {
    if (!HasStaticActivations(other.plan->scheme) || groups.LeaderOf(name) != leader) continue;
    block_->AddColumnSquares(name, squares);
  }
  return squares;
}

// A mean over samples, and the middle of their ranges, ask for each of them.
bool BlockQuantizer::NeedsSamples() const {
  for (const PassRun& run : passes_) {
    for (const Stage& stage : run.stages) {
      for (const StageStep& item : stage.steps) {
        const auto* smooth = std::get_if<SmoothStep>(item.step);
        if (smooth != nullptr && !smooth->symmetric) return true;
      }
    }
  }
  return std::any_of(linears_.begin(), linears_.end(), [](const auto& item) {
    return item.second.plan->activation.aggregation == Aggregation::kMean;
  });
}

Status BlockQuantizer::Forward(PassRun& run, const Stage& stage, bool advance) {
  MeasureInputs(Moment::kAfterSmoothing);
  stats_.emplace(plan_.config, layer_);
  std::set<std::string, std::less<>> kept;
  std::optional<float> norm_eps;
  for (const StageStep& item : stage.steps) {
    const auto* smooth = std::get_if<SmoothStep>(item.step);
    if (smooth == nullptr || !SearchesTokens(*smooth)) continue;
    for (const PlannedPair& pair : plan_.smoothing[layer_]) {
      if (pair.step == item.index) kept.insert(stats_->LeaderOf(pair.pairing.targets.front()));
    }
  }
  const bool as_model = options_.recipe.compute == ComputeMode::kModel;
  // msModelSlim replaces the norms it smooths by its own, whose epsilon is fixed (facts:
  // algorithms.md 3.3).
  for (const Stage& other : run.stages) {
    for (const StageStep& item : other.steps) {
      const auto* step = std::get_if<SmoothStep>(item.step);
      if (step == nullptr || SearchesTokens(*step) || plan_.smoothing[layer_].empty()) continue;
      if (as_model) norm_eps = 1e-6F;
    }
  }
  if (std::any_of(linears_.begin(), linears_.end(),
                  [](const auto& item) { return item.second.plan->weight.bias_correction; })) {
    stats_->CollectMoments();
  }
  if (NeedsSamples()) stats_->KeepSamples();
  stats_->KeepTokens(std::move(kept), as_model ? 0 : kSearchTokens, run.all_tokens);

  const std::vector<CalibratedLinear*> observed = LinearsOf(stage);
  const bool sequential = options_.recipe.propagate == Propagation::kQuantized;
  if (sequential) {
    for (CalibratedLinear* linear : observed) SLIM_TRY(InstallFakeWeight(*linear));
  }
  BlockOptions options;
  options.norm_eps = norm_eps;
  options.tap = [&](std::string_view name, const float* x, uint64_t t, uint64_t k) {
    stats_->AddInput(name, x, t, k);
    CalibratedLinear* linear = Find(name);
    if (linear == nullptr || !LinearIsIn(observed, linear)) return;
    if (linear->observer && (sequential || NeedsValues(linear->plan->activation)))
      linear->observer->AddSample(x, t * k);
    if (!sequential) AddMoments(*linear, x, t, k);
  };
  options.cache_tap = [&](const float* keys, const float* values, uint64_t t) {
    const uint64_t heads = plan_.config.num_kv_heads;
    stats_->AddCache(keys, heads * plan_.config.head_dim, values, heads * plan_.config.ValueDim(),
                     t);
  };
  if (sequential) {
    options.replace_input = [&](std::string_view name, const float* x, uint64_t t, uint64_t k) {
      CalibratedLinear* linear = Find(name);
      if (linear == nullptr || !linear->fake) return x;
      std::optional<QuantizationRange> range = linear->range;
      if (!range && linear->observer && !linear->observer->empty())
        range = ToQuantizationRange(*linear->plan, linear->observer->Range());
      replaced_input_.resize(t * k);
      FakeQuantizeInput(linear->plan->activation, range, ComputeOf(name), x, t * k,
                        replaced_input_.data(), pool_);
      if (LinearIsIn(observed, linear)) AddMoments(*linear, replaced_input_.data(), t, k);
      return static_cast<const float*>(replaced_input_.data());
    };
  }
  SLIM_TRY(run.pass->Forward(
      block_->block(), std::move(options),
      [&](size_t) -> Status {
        stats_->EndSample();
        return {};
      },
      advance));
  for (CalibratedLinear* linear : observed) {
    if (linear->moments) linear->moments->Finish(pool_);
  }
  MeasureInputs(Moment::kBeforeSmoothing);
  return {};
}

// Of the inputs as the layer computes with them: --propagate quantized rounds them first, as
// msModelSlim.
void BlockQuantizer::AddMoments(const CalibratedLinear& linear, const float* x, uint64_t t,
                                uint64_t k) {
  if (linear.moments && linear.moments->owner() == linear.plan->name)
    linear.moments->Add(x, t, k, pool_);
}

Status BlockQuantizer::FinishStage(const Stage& stage) {
  for (const StageStep& item : stage.steps) {
    if (const auto* smooth = std::get_if<SmoothStep>(item.step)) {
      SLIM_TRY(Smooth(*smooth, item.index));
    } else if (const auto* keys = std::get_if<KvSmoothStep>(item.step)) {
      SLIM_TRY(SmoothCache(*keys));
    } else if (const auto* cache = std::get_if<KvCacheStep>(item.step)) {
      SLIM_TRY(QuantizeCache(*cache));
    }
  }
  for (CalibratedLinear* linear : LinearsOf(stage)) SLIM_TRY(FinishLinear(*linear));
  return {};
}

Status BlockQuantizer::Smooth(const SmoothStep& step, size_t index) {
  for (const PlannedPair& pair : plan_.smoothing[layer_]) {
    if (pair.step != index) continue;
    const std::string& target = pair.pairing.targets.front();
    const LinearPlan* linear = nullptr;
    for (const std::string& name : pair.pairing.targets) {
      const LinearPlan* candidate = plan_.Find(name);
      if (candidate != nullptr && candidate->scheme != Scheme::kFloat) linear = candidate;
    }
    const LinearPlan* source = plan_.Find(pair.pairing.source);
    SmoothContext context = {*block_, *stats_, options_.recipe.compute, 8, false, pool_};
    if (linear != nullptr) context.weight_bits = SchemeWeightBits(linear->scheme);
    context.exact_source = source != nullptr && source->scheme == Scheme::kFloat &&
                           block_->StoredDType(source->name + ".weight") != DType::kF32;
    SLIM_ASSIGN(const bool smoothed, SmoothPairOf(step, pair.pairing, context));
    if (!smoothed) unsmoothed_.push_back(target);
  }
  return {};
}

Status BlockQuantizer::SmoothCache(const KvSmoothStep& step) {
  const std::string attention = BlockPrefix(plan_.config, layer_) + ".self_attn";
  SLIM_ASSIGN(const bool selected, Selects(step.names, attention));
  if (selected) SmoothKeys(step, attention, plan_.config, *block_, *stats_);
  return {};
}

Status BlockQuantizer::QuantizeCache(const KvCacheStep& step) {
  const std::string attention = BlockPrefix(plan_.config, layer_) + ".self_attn";
  SLIM_ASSIGN(const bool selected, Selects(step.names, attention));
  if (!selected) return {};
  // msModelSlim's observer starts anew with every sample (facts: algorithms.md 6).
  const bool last = options_.recipe.compute == ComputeMode::kModel;
  const ChannelRange& keys = last ? stats_->last_keys : stats_->keys;
  const ChannelRange& values = last ? stats_->last_values : stats_->values;
  for (const auto& [name, range] : {std::pair{".k_proj", &keys}, std::pair{".v_proj", &values}}) {
    CacheScales scales;
    const DType compute = ComputeOf(attention + name);
    for (size_t i = 0; i < range->min.size(); ++i) {
      const QuantizationRange channel =
          step.symmetric ? SymmetricInt8Range(range->min[i], range->max[i], compute)
                         : AsymmetricInt8Range(range->min[i], range->max[i], compute);
      scales.scale.push_back(channel.scale);
      scales.offset.push_back(channel.offset);
    }
    caches_.emplace(attention + name, std::move(scales));
  }
  return {};
}

Result<ValueRange> BlockQuantizer::ObservedRange(CalibratedLinear& linear) {
  if (linear.observer && !linear.observer->empty()) return linear.observer->Range();
  const bool mean = linear.plan->activation.aggregation == Aggregation::kMean;
  const auto range_of = [&](const InputStats& stats) {
    const auto widest = [](const ChannelRange& range) {
      return ValueRange{*std::min_element(range.min.begin(), range.min.end()),
                        *std::max_element(range.max.begin(), range.max.end())};
    };
    if (!mean) return widest(stats.range);
    double low = 0;
    double high = 0;
    for (const ChannelRange& sample : stats.samples) {
      const ValueRange range = widest(sample);
      low += static_cast<double>(range.min);
      high += static_cast<double>(range.max);
    }
    const auto count = static_cast<double>(stats.samples.size());
    return ValueRange{static_cast<float>(low / count), static_cast<float>(high / count)};
  };
  const std::string& name = linear.plan->name;
  if (const InputStats* stats = stats_->Find(name)) return range_of(*stats);
  // An expert that no token reached takes the widest range of its like.
  const std::string leaf = name.substr(name.rfind('.'));
  std::optional<ValueRange> widest;
  for (const auto& [other, state] : linears_) {
    if (!other.ends_with(leaf) || other.find(".experts.") == std::string::npos) continue;
    const InputStats* stats = stats_->Find(other);
    if (stats == nullptr) continue;
    const ValueRange range = range_of(*stats);
    if (!widest) widest = range;
    widest->min = std::min(widest->min, range.min);
    widest->max = std::max(widest->max, range.max);
  }
  if (!widest || options_.strict) {
    return InputError("CALIB-unseen", "no calibration token reached this layer",
                      "calibrate with more text, or use a type without static activations")
        .WithTensor(name);
  }
  unseen_.push_back(name);
  return *widest;
}

QuantizationRange BlockQuantizer::ToQuantizationRange(const LinearPlan& linear,
                                                      const ValueRange& range) const {
  const DType compute = ComputeOf(linear.name);
  const bool as_model = options_.recipe.compute == ComputeMode::kModel;
  const DType stored =
      options_.recipe.layout == Dialect::kAscendV1 ? DType::kF32 : plan_.model_dtype;
  const float headroom =
      as_model || linear.activation.method != ActivationMethod::kMinMax ? 1.0F : kRangeHeadroom;
  if (linear.activation.symmetric)
    return SymmetricInt8Range(range.min * headroom, range.max * headroom, compute);
  return AsymmetricInt8Range(range.min * headroom, range.max * headroom, compute, stored);
}

Result<QuantizationRange> BlockQuantizer::RangeOf(CalibratedLinear& linear) {
  SLIM_ASSIGN(const ValueRange range, ObservedRange(linear));
  return ToQuantizationRange(*linear.plan, range);
}

Status BlockQuantizer::InstallFakeWeight(CalibratedLinear& linear) {
  linear.fake = true;
  const LinearSettings settings = {linear.plan->scheme, linear.plan->activation,
                                   linear.plan->weight};
  // gptq computes with the float weight until it knows all inputs.
  if (NeedsMoments(settings)) return {};
  const std::string& name = linear.plan->name;
  LinearPlan weight_only = *linear.plan;
  if (NeedsRange(settings)) weight_only.scheme = Scheme::kW8A8Dynamic;
  SLIM_ASSIGN(const LinearRecord record,
              QuantizeCalibrated(weight_only, WeightsOf(block_->Linear(name)), nullptr, options_,
                                 plan_.model_dtype, pool_));
  float_weights_[name] = Tensor::Copy(block_->Linear(name)[Role::kWeight].view());
  block_->SetWeight(name, DequantizedWeight(record, ComputeOf(name), pool_));
  return {};
}

Status BlockQuantizer::FinishLinear(CalibratedLinear& linear) {
  const LinearSettings settings = {linear.plan->scheme, linear.plan->activation,
                                   linear.plan->weight};
  if (NeedsRange(settings)) {
    SLIM_ASSIGN(linear.range, RangeOf(linear));
  }
  const InputStats* stats = stats_ ? stats_->Find(linear.plan->name) : nullptr;
  if (linear.plan->weight.bias_correction && stats != nullptr) linear.mean = stats->Mean();
  const auto weight = float_weights_.find(linear.plan->name);
  if (weight == float_weights_.end()) return {};
  const LinearRecord& computed = block_->Linear(linear.plan->name);
  LinearRecord original;
  original.name = linear.plan->name;
  original[Role::kWeight] = std::move(weight->second);
  if (computed.Has(Role::kBias)) original[Role::kBias] = Tensor::Copy(computed[Role::kBias].view());
  float_weights_.erase(weight);
  SLIM_ASSIGN(linear.record, QuantizeCalibrated(*linear.plan, WeightsOf(original), &linear,
                                                options_, plan_.model_dtype, pool_));
  if (!options_.measure) return {};
  measured_[linear.plan->name].name = linear.plan->name;
  return MeasureWeight(original[Role::kWeight].view(), *linear.record,
                       TraitsOf(options_.recipe.layout).packs_int4, pool_,
                       measured_[linear.plan->name]);
}

Result<QuantizationRange> BlockQuantizer::HeadRange(const LinearPlan& head) {
  ActivationObserver observer(head.activation);
  SLIM_TRY(passes_.back().pass->Head(
      plan_.rotation.has_value(),
      [&](const float* x, uint64_t t, uint64_t k) { observer.AddSample(x, t * k); }));
  const DType stored = source_.Find(head.name + ".weight") == nullptr
                           ? plan_.model_dtype
                           : source_.Find(head.name + ".weight")->dtype;
  const bool as_model = options_.recipe.compute == ComputeMode::kModel;
  const ValueRange range = observer.Range();
  const float headroom = as_model ? 1.0F : kRangeHeadroom;
  const DType compute = as_model ? stored : DType::kF32;
  if (head.activation.symmetric)
    return SymmetricInt8Range(range.min * headroom, range.max * headroom, compute);
  return AsymmetricInt8Range(
      range.min * headroom, range.max * headroom, compute,
      options_.recipe.layout == Dialect::kAscendV1 ? DType::kF32 : plan_.model_dtype);
}

WeightInput WeightsOf(const LinearRecord& weights) {
  WeightInput input;
  input.weight = weights[Role::kWeight].view();
  if (weights.Has(Role::kBias)) input.bias = weights[Role::kBias].view();
  return input;
}

Result<LinearRecord> QuantizeCalibrated(const LinearPlan& plan, WeightInput weights,
                                        CalibratedLinear* calibrated, const QuantOptions& options,
                                        DType model_dtype, ThreadPool& pool) {
  std::shared_ptr<SecondMoments> moments;
  std::vector<float> spent;
  if (calibrated != nullptr) {
    weights.activation = calibrated->range;
    weights.mean = calibrated->mean;
    moments = std::move(calibrated->moments);
  }
  if (moments) {
    weights.importance = moments->importance();
    weights.moments = moments->matrix();
  }
  if (moments.use_count() == 1) {
    spent = moments->TakeMatrix();
    weights.moments = spent;
    weights.spent_moments = &spent;
  }
  return QuantizeLinear(plan, weights, options, model_dtype, pool);
}

}  // namespace slim
