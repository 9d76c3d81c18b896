// What the flags of a quantization run say, as plain values, and the recipe they stand for.
// Defaults are those of the command line (man page slim-quant.1).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "quant/recipe.h"
#include "quant/shard.h"
#include "verify/profile.h"

namespace slim {

// What a run is asked to do: the recipe determines the bytes, the rest says how to work.
struct QuantOptions {
  Recipe recipe;
  std::string recipe_file = {};  // that it was read from: its globs must match something
  ShardOf shard = {};            // of a data-free recipe
  uint64_t max_memory = 0;       // bytes; 0: no limit
  int threads = 1;
  bool strict = false;                     // what would be a guess with a warning is an error
  bool measure = false;                    // take the numbers of a report (quant/measurement.h)
  std::vector<LoaderTarget> targets = {};  // loaders that must take the output
};

struct QuantFlags {
  Scheme type = Scheme::kW8A8;
  Dialect layout = Dialect::kAscendV1;
  ComputeMode compute = ComputeMode::kFp32;
  Propagation propagate = Propagation::kFloat;
  std::optional<SmoothMethod> smooth = SmoothMethod::kIter;
  std::optional<double> alpha;
  std::optional<std::vector<SmoothPair>> pairs;  // DefaultPairs when not given
  bool symmetric_smooth = true;
  std::optional<ActivationMethod> activation_method;  // DefaultActivationMethod when not given
  Aggregation aggregation = Aggregation::kMax;
  bool kv_cache = false;
  // Globs over module names. `float_names` stay float; `quantize_names` are taken off that list
  // again.
  std::vector<std::string> float_names;
  std::vector<std::string> quantize_names;
  std::string calibration_file;  // empty: the set that ships
  bool calibration_given = false;
  uint64_t part_size = 0;  // bytes; 0: the layout's own rule
  // Weights; what is not given is the type's own (SettingsOf, DefaultWeightMethod, DefaultClip).
  std::optional<uint64_t> group_size;
  bool asymmetric = false;
  std::optional<WeightMethod> weight_method;
  std::optional<WeightClip> clip;
  bool bias_correction = false;
};

// Smoothing, then the one type for every linear.
Recipe RecipeOf(const QuantFlags& flags);

// The types this version makes, in the order of --help.
std::vector<Scheme> QuantizableTypes();
// What --type NAME alone means: the type, its default smoothing and the layers that stay float.
// By name or alias: w4a8 is w4a8_dynamic, w4a4 w4a4_dynamic, fp8 wfp8afp8_dynamic; "c8" at the end
// adds an int8 cache. A type that is not made is a usage error that lists those that are.
Result<QuantFlags> FlagsOfType(std::string_view name);
// The name as --type takes it: the alias, where there is one.
std::string_view QuantTypeName(Scheme type);

// gptq where there are calibration inputs anyway and the weights have 4 bits, or where calibration
// text is given to a type that needs none; else ssz for int4 weights, whose resolution a range
// alone wastes, and for weights of inputs that are rounded and not smoothed, and minmax. With
// --compute model nothing but ssz and minmax, as msModelSlim.
WeightMethod DefaultWeightMethod(const QuantFlags& flags);
// mse for int4 weights, none with --compute model.
WeightClip DefaultClip(const QuantFlags& flags);

// output where nothing is smoothed, since there a few channels spend the whole range; minmax for
// smoothed inputs and with --compute model.
ActivationMethod DefaultActivationMethod(const QuantFlags& flags);

// What stays float unless asked otherwise (design: cli.md): static w8a8 keeps down_proj, whose
// input has the widest range; every type keeps lm_head, which loaders expect in float.
std::vector<std::string> DefaultFloatNames(Scheme type);

// flex_smooth_quant for types that quantize activations to integers; with --compute model
// iter_smooth, and for w8a8 types alone, as msModelSlim. None for the others.
std::optional<SmoothMethod> DefaultSmooth(Scheme type, ComputeMode compute);
// norm-linear, ov and up-down for flex_smooth_quant, which measures what a pair gains; else
// norm-linear.
std::vector<SmoothPair> DefaultPairs(SmoothMethod method);

}  // namespace slim
