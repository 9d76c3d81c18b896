// The configuration of a quantization run: what the command line, an old command and a YAML recipe
// are all translated into, and the only thing that plan and pipeline read. Plain values that
// determine the bytes of the output; knows no file format, no paths but the calibration file's.
// Words and defaults are those of msModelSlim's modelslim_v1 recipes (facts: algorithms.md 1.3 to
// 1.6).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "checkpoint/dialects/dialect.h"
#include "dtype/dtype.h"
#include "json/json.h"
#include "linear/scheme.h"
#include "model/smooth_pairs.h"

namespace slim {

// The dtype of elementwise steps. kFp32: scales and quotients in float32, the fold rounded once.
// kModel: every step rounded to the checkpoint's dtype as torch does, and RMSNorms run with eps
// 1e-6 while calibrating with iter_smooth or smooth_quant, so that the numbers are msModelSlim's
// (facts: algorithms.md 0.1, 3.3).
enum class ComputeMode : uint8_t { kFp32, kModel };

// What the block behind a quantized one is calibrated on. kFloat: the float model's activations;
// one pass serves every step. kQuantized: the outputs of the block with the quantized weights and
// inputs of the steps so far, one pass a step as msModelSlim's (facts: algorithms.md 2.4, 8.1).
enum class Propagation : uint8_t { kFloat, kQuantized };

enum class CodeType : uint8_t { kFloat, kInt8, kInt4, kFp8E4M3, kMxfp8, kMxfp4 };

enum class Granularity : uint8_t {
  kPerTensor,
  kPerChannel,
  kPerGroup,
  kPerBlock,
  kPerToken,
  kPdMix,
  kPerHead
};

enum class WeightMethod : uint8_t { kMinMax, kSsz, kGptq, kHqq, kAwq };
enum class WeightClip : uint8_t { kNone, kMse };

struct WeightSettings {
  CodeType dtype = CodeType::kInt8;
  Granularity granularity = Granularity::kPerChannel;
  bool symmetric = true;
  WeightMethod method = WeightMethod::kMinMax;
  uint64_t group_size = 128;  // kPerGroup
  WeightClip clip = WeightClip::kNone;
  bool bias_correction = false;
  uint64_t steps = 50;        // ssz
  double damping = 0.01;      // gptq: share of the mean of the Hessian's diagonal
  uint64_t block_size = 128;  // gptq: columns
  // w8a8s: share of the weights that keep 8 bits, or their distance in standard deviations.
  // w16a16s: share of the weights that become 0.
  double sparse_fraction = 0.01;
  std::optional<double> sparse_sigma;
  bool co_sparse = false;
};

// kAuto: histogram, unless max|x| / std of the layer is above 50, then minmax (traditional
// act_method 3). kOutput, ours: the range that changes the outputs of the layer least.
enum class ActivationMethod : uint8_t { kMinMax, kHistogram, kPercentile, kAuto, kOutput };
// How the ranges of samples become one: the widest, or the mean of each end.
enum class Aggregation : uint8_t { kMax, kMean };

struct ActivationSettings {
  CodeType dtype = CodeType::kFloat;
  Granularity granularity = Granularity::kPerTensor;
  bool symmetric = true;
  ActivationMethod method = ActivationMethod::kMinMax;
  Aggregation aggregation = Aggregation::kMax;
  double percentile = 99.99;  // kPercentile: of |x| (symmetric) or of both ends
};

// Module names that a step applies to: matched by `include` and not by `exclude`. An exact name or
// a glob (base/glob.h).
struct NameFilter {
  std::vector<std::string> include = {"*"};
  std::vector<std::string> exclude;
};

enum class SmoothMethod : uint8_t { kIter, kSmoothQuant, kFlex, kFlexAwqSsz, kAwq };

struct LinearSettings {
  Scheme scheme = Scheme::kFloat;  // SchemeOf(activation, weight), or a sparse type
  ActivationSettings activation;
  WeightSettings weight;
};

// Names are those of the source: the norm, v_proj, up_proj (without source: the first target).
struct SmoothStep {
  SmoothMethod method = SmoothMethod::kIter;
  std::optional<double> alpha;  // default: DefaultAlpha(method); flex: searched
  std::optional<double> beta;   // flex: searched when not given
  double scale_min = 1e-5;
  bool symmetric = true;  // false: norm-linear pairs are shifted, too
  std::vector<SmoothPair> pairs = {SmoothPair::kNormLinear, SmoothPair::kLinearLinear,
                                   SmoothPair::kOv, SmoothPair::kUpDown};
  NameFilter names;
  std::optional<LinearSettings> target;  // flex_awq_ssz, awq: the quantization it searches for
  uint64_t grid = 20;                    // awq
};

// Linears of the decoder blocks, and outside them only where `whole_model` says so. The first
// LinearStep of a run that selects a linear decides; a linear that none selects stays float.
struct LinearStep {
  LinearSettings settings;
  NameFilter names;
  std::vector<std::string> readmit;  // taken off `exclude` again
  bool whole_model = false;          // lm_head too
};

// Scales of keys before rotary positions, so that a quantized cache loses less (facts:
// algorithms.md 3.7). Names are those of attention modules.
struct KvSmoothStep {
  double factor = 1.0;
  NameFilter names;
};

// The int8 cache: one scale a channel of k and v. Names are those of attention modules.
struct KvCacheStep {
  bool symmetric = true;
  NameFilter names;
};

// Queries, keys and values of attention per head (FAQuant; facts: algorithms.md 6).
struct AttentionStep {
  NameFilter names;
};

// quarot: hidden states, and values per head, rotated by Hadamard matrices (facts: algorithms.md
// 4.2).
struct RotationStep {
  bool online = false;
  std::optional<uint64_t> block_size;  // empty: one matrix of the whole width
  std::vector<uint64_t> down_proj_online_layers;
  uint64_t max_tp_size = 4;
  bool export_extra_info = true;
};

// float_sparse: weights pruned against the inputs' second moments, W16A16S (facts: 5.2).
struct SparseStep {
  double ratio = 0.3;
  NameFilter names;
};

using RecipeStep = std::variant<SmoothStep, LinearStep, KvSmoothStep, KvCacheStep, AttentionStep,
                                RotationStep, SparseStep>;

// Steps that share one forward pass: a `group` of a recipe, or a single processor.
struct RecipeUnit {
  std::vector<RecipeStep> steps;
};

// A pass over the whole model before the main one, with its own calibration text if it names one.
struct PriorPass {
  std::vector<RecipeUnit> process;
  std::string calibration_file;
};

struct Recipe {
  std::vector<PriorPass> prior;
  std::vector<RecipeUnit> process;
  Dialect layout = Dialect::kAscendV1;
  ComputeMode compute = ComputeMode::kFp32;
  Propagation propagate = Propagation::kFloat;
  std::optional<DType> dtype;         // of the float tensors written; empty: the source's
  uint64_t part_size = 0;             // bytes; 0: the layout's own rule
  std::string calibration_file;       // empty: the set that ships
  std::vector<std::string> fallback;  // linears that stay float whatever the steps say
};

// The type that the settings describe: int8 per_token with int8 per_channel is W8A8_DYNAMIC.
// Errors: a pair that no layout can carry, said with both sides (QU-recipe-type).
Result<Scheme> SchemeOf(const ActivationSettings& activation, const WeightSettings& weight);
// The settings that a type stands for, min-max throughout. `scheme` is one that slim-quant makes.
LinearSettings SettingsOf(Scheme scheme);

double DefaultAlpha(SmoothMethod method);  // 0.9 for iter_smooth, 0.5 for smooth_quant

// Words as recipes write them: "iter_smooth", "norm-linear", "per_channel", "int8", "minmax".
std::string_view SmoothMethodName(SmoothMethod method);
std::string_view SmoothPairName(SmoothPair pair);
std::string_view CodeTypeName(CodeType type);
std::string_view GranularityName(Granularity granularity);
std::string_view WeightMethodName(WeightMethod method);
std::string_view ActivationMethodName(ActivationMethod method);
std::string_view AggregationName(Aggregation aggregation);
std::string_view ComputeModeName(ComputeMode compute);
std::string_view PropagationName(Propagation propagation);
std::optional<SmoothPair> ParseSmoothPair(std::string_view name);
std::optional<CodeType> ParseCodeType(std::string_view name);
std::optional<Granularity> ParseGranularity(std::string_view name);
std::optional<WeightMethod> ParseWeightMethod(std::string_view name);
std::optional<ActivationMethod> ParseActivationMethod(std::string_view name);
std::optional<Aggregation> ParseAggregation(std::string_view name);

// The recipe in the words of a modelslim_v1 `spec`, for receipts and plans; the calibration file's
// path is left out.
Json RecipeJson(const Recipe& recipe);

// Every step of one kind, in order.
template <typename Step>
std::vector<const Step*> StepsOf(const std::vector<RecipeUnit>& process) {
  std::vector<const Step*> found;
  for (const RecipeUnit& unit : process) {
    for (const RecipeStep& step : unit.steps) {
      if (const Step* match = std::get_if<Step>(&step)) found.push_back(match);
    }
  }
  return found;
}

}  // namespace slim
