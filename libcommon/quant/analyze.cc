#include "quant/analyze.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>

#include "base/glob.h"
#include "model/model_config.h"
#include "model/modules.h"
#include "os/file.h"
#include "quant/block_quantizer.h"
#include "quant/calibration.h"
#include "quant/fake_quant.h"
#include "quant/weights.h"
#include "quant/working_block.h"
#include "run/block.h"

namespace slim {
namespace {

constexpr uint64_t kThinning = 100;
constexpr double kTiny = 1e-10;

// What one linear's inputs leave behind over the samples.
struct InputShape {
  std::vector<float> thinned;
  double largest = 0;
  double deviation = 0;
};

class InputAnalyzer {
 public:
  explicit InputAnalyzer(AnalysisMetric metric) : metric_(metric) {}

  void See(std::string_view name, const float* x, uint64_t t, uint64_t k) {
    InputShape& shape = shapes_[std::string(name)];
    if (metric_ == AnalysisMetric::kStd) {
      AddDeviation(x, t, k, shape);
      return;
    }
    // Linears that share an input are called one after the other with the same array.
    if (x != last_ || t * k != last_count_) thinned_ = ThinnedSorted(x, t * k);
    last_ = x;
    last_count_ = t * k;
    shape.thinned.insert(shape.thinned.end(), thinned_.begin(), thinned_.end());
  }
  // The array may be used again for another sample.
  void EndSample() { last_ = nullptr; }

  double ScoreOf(const std::string& name) const {
    const auto found = shapes_.find(name);
    if (found == shapes_.end()) return 0;
    const InputShape& shape = found->second;
    switch (metric_) {
      case AnalysisMetric::kKurtosis:
        return KurtosisScore(shape.thinned);
      case AnalysisMetric::kQuantile:
        return QuantileScore(shape.thinned);
      default:
        return shape.deviation == 0 ? shape.largest : shape.largest / shape.deviation;
    }
  }
  bool Saw(const std::string& name) const { return shapes_.contains(name); }

 private:
  static void AddDeviation(const float* x, uint64_t t, uint64_t k, InputShape& shape) {
    ChannelRange range;
    range.Update(x, t, k);
    for (const float value : range.AbsMax())
      shape.largest = std::max(shape.largest, static_cast<double>(value));
    std::vector<float> centre(k);
    for (uint64_t i = 0; i < k; ++i) centre[i] = (range.max[i] + range.min[i]) / 2;
    const auto count = static_cast<double>(t * k);
    double sum = 0;
    for (uint64_t i = 0; i < t * k; ++i) sum += x[i] - centre[i % k];
    const double mean = sum / count;
    double squares = 0;
    for (uint64_t i = 0; i < t * k; ++i) {
      const double off = x[i] - centre[i % k] - mean;
      squares += off * off;
    }
    if (count > 1) shape.deviation = std::max(shape.deviation, std::sqrt(squares / (count - 1)));
  }

  const AnalysisMetric metric_;
  std::map<std::string, InputShape> shapes_;
  std::vector<float> thinned_;
  const float* last_ = nullptr;
  uint64_t last_count_ = 0;
};

class Analyzer {
 public:
  Analyzer(const Checkpoint& source, const AnalysisOptions& options, Listener& listener)
      : source_(source), options_(options), listener_(listener), pool_(options.threads) {}

  Result<Analysis> Run() {
    SLIM_TRY(ReadConfig());
    SLIM_ASSIGN(const CalibrationTokens tokens,
                LoadCalibration(source_, config_, options_.calibration_file, listener_));
    SLIM_ASSIGN(GlobSet patterns, GlobSet::Compile(options_.patterns));
    SLIM_ASSIGN(CalibrationPass pass, CalibrationPass::Start(source_, config_, tokens, pool_));
    Analysis analysis;
    analysis.metric = options_.metric;
    analysis.calibration = tokens.name;
    analysis.samples = tokens.samples.size();
    for (uint64_t layer = 0; layer < config_.num_layers; ++layer) {
      listener_.Progress("blocks", layer, config_.num_layers);
      SLIM_TRY(options_.metric == AnalysisMetric::kMse
                   ? CompareBlock(layer, pass, patterns, analysis)
                   : ObserveBlock(layer, pass, patterns, analysis));
    }
    listener_.Progress("blocks", config_.num_layers, config_.num_layers);
    for (const std::string& pattern : patterns.Unmatched())
      listener_.Warning(fmt::format("pattern {} matches no layer", pattern));
    if (analysis.scores.empty()) return InputError("ANALYZE-none", "no layer matches the patterns");
    std::stable_sort(analysis.scores.begin(), analysis.scores.end(),
                     [](const LayerScore& a, const LayerScore& b) { return a.score > b.score; });
    return analysis;
  }

 private:
  Status ReadConfig() {
    const std::string path = JoinPath(source_.path(), "config.json");
    if (source_.config() == nullptr) return InputError("CF-missing", "is missing").WithPath(path);
    auto config = ParseModelConfig(*source_.config());
    if (!config.ok()) return std::move(config).error().WithPath(path);
    config_ = std::move(*config);
    return {};
  }

  Status ObserveBlock(uint64_t layer, CalibrationPass& pass, GlobSet& patterns,
                      Analysis& analysis) {
    SLIM_ASSIGN(const DecoderBlock block,
                DecoderBlock::Load(source_, config_, layer, Backend::kReference));
    InputAnalyzer inputs(options_.metric);
    BlockOptions hooks;
    hooks.tap = [&](std::string_view name, const float* x, uint64_t t, uint64_t k) {
      inputs.See(name, x, t, k);
    };
    const auto sample_done = [&](size_t) -> Status {
      inputs.EndSample();
      return {};
    };
    SLIM_TRY(pass.Forward(block, std::move(hooks), sample_done, true));
    for (const Module& module : BlockModules(config_, layer)) {
      if (module.IsLinear() && patterns.Matches(module.name) && inputs.Saw(module.name))
        analysis.scores.push_back({module.name, inputs.ScoreOf(module.name)});
    }
    return {};
  }

  // The block in float, then with int8 weights and inputs from the same activations.
  Status CompareBlock(uint64_t layer, CalibrationPass& pass, GlobSet& patterns,
                      Analysis& analysis) {
    const std::string name = BlockPrefix(config_, layer);
    SLIM_ASSIGN(WorkingBlock block, WorkingBlock::Load(source_, config_, layer, ComputeMode::kFp32,
                                                       ExpertStorage::kResident, pool_));
    const std::string inputs = StateBytes(pass);
    SLIM_TRY(pass.Forward(block.block(), {}, {}, true));
    if (!patterns.Matches(name)) return {};
    const std::string outputs = StateBytes(pass);
    for (const Module& module : BlockModules(config_, layer)) {
      if (module.IsLinear()) SLIM_TRY(QuantizeModule(module, block));
    }
    SLIM_TRY(pass.Restore(inputs));
    SLIM_TRY(pass.Forward(block.block(), QuantizedInputs(), {}, true));
    analysis.scores.push_back({name, MeanSquaredError(pass, outputs)});
    return pass.Restore(outputs);
  }

  Status QuantizeModule(const Module& module, WorkingBlock& block) {
    LinearPlan plan;
    plan.name = module.name;
    plan.n = module.weight_shape[0];
    plan.k = module.weight_shape[1];
    plan.has_bias = block.Linear(module.name).Has(Role::kBias);
    const LinearSettings settings = SettingsOf(Scheme::kW8A8Dynamic);
    plan.scheme = settings.scheme;
    plan.activation = settings.activation;
    plan.weight = settings.weight;
    SLIM_ASSIGN(const LinearRecord record,
                QuantizeCalibrated(plan, WeightsOf(block.Linear(module.name)), nullptr,
                                   quant_options_, DType::kF32, pool_));
    block.SetWeight(module.name, DequantizedWeight(record, DType::kF32, pool_));
    return {};
  }

  BlockOptions QuantizedInputs() {
    BlockOptions hooks;
    hooks.replace_input = [this](std::string_view, const float* x, uint64_t t, uint64_t k) {
      replaced_.resize(t * k);
      FakeQuantizeInput(SettingsOf(Scheme::kW8A8Dynamic).activation, std::nullopt, DType::kF32, x,
                        t * k, replaced_.data(), pool_);
      return static_cast<const float*>(replaced_.data());
    };
    return hooks;
  }

  static std::string StateBytes(const CalibrationPass& pass) {
    std::string bytes;
    for (const auto& part : pass.State())
      bytes.append(reinterpret_cast<const char*>(part.data()), part.size());
    return bytes;
  }

  // The mean over the samples of each one's mean squared difference.
  static double MeanSquaredError(const CalibrationPass& pass, std::string_view wanted) {
    double sum = 0;
    const auto parts = pass.State();
    for (const auto& part : parts) {
      const size_t count = part.size() / sizeof(float);
      double squares = 0;
      for (size_t i = 0; i < count; ++i) {
        float found = 0;
        float expected = 0;
        std::memcpy(&found, part.data() + i * sizeof(float), sizeof(float));
        std::memcpy(&expected, wanted.data() + i * sizeof(float), sizeof(float));
        const double off = static_cast<double>(found) - static_cast<double>(expected);
        squares += off * off;
      }
      wanted.remove_prefix(part.size());
      sum += count == 0 ? 0 : squares / static_cast<double>(count);
    }
    return sum / static_cast<double>(parts.size());
  }

  const Checkpoint& source_;
  const AnalysisOptions& options_;
  Listener& listener_;
  ThreadPool pool_;
  ModelConfig config_;
  QuantOptions quant_options_;
  std::vector<float> replaced_;
};

}  // namespace

std::string_view AnalysisMetricName(AnalysisMetric metric) {
  constexpr std::array<std::string_view, 4> kNames = {"kurtosis", "std", "quantile", "mse"};
  return kNames[static_cast<size_t>(metric)];
}

std::vector<float> ThinnedSorted(const float* x, uint64_t count) {
  std::vector<float> sorted(x, x + count);
  std::sort(sorted.begin(), sorted.end());
  if (count < kThinning) return sorted;
  std::vector<float> thinned;
  for (uint64_t i = kThinning / 2; i < count; i += kThinning) thinned.push_back(sorted[i]);
  return thinned;
}

double KurtosisScore(const std::vector<float>& values) {
  if (values.empty()) return 0;
  const auto count = static_cast<double>(values.size());
  double sum = 0;
  for (const float value : values) sum += value;
  const double mean = sum / count;
  double squares = 0;
  for (const float value : values) squares += (value - mean) * (value - mean);
  const double deviation = std::sqrt(squares / count) + kTiny;
  double fourth = 0;
  for (const float value : values) {
    const double z = (value - mean) / deviation;
    fourth += z * z * z * z;
  }
  return fourth / count - 3;
}

double QuantileScore(std::vector<float> values) {
  if (values.empty()) return 0;
  double largest = 0;
  for (const float value : values)
    largest = std::max(largest, std::fabs(static_cast<double>(value)));
  std::sort(values.begin(), values.end());
  const size_t quarter = values.size() / 4;
  const double spread = static_cast<double>(values[3 * quarter]) - values[quarter];
  return 2 * largest / 254 / (spread + kTiny);
}

std::vector<LayerScore> TopScores(const Analysis& analysis, uint64_t count) {
  std::vector<LayerScore> top;
  uint64_t ranks = 0;
  for (const LayerScore& score : analysis.scores) {
    if (top.empty() || score.score != top.back().score) ++ranks;
    if (ranks > count) break;
    top.push_back(score);
  }
  return top;
}

Result<Analysis> AnalyzeModel(const Checkpoint& source, const AnalysisOptions& options,
                              Listener& listener) {
  return Analyzer(source, options, listener).Run();
}

}  // namespace slim
