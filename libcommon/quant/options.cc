#include "quant/options.h"

#include <fmt/format.h>

#include "base/text.h"
#include "linear/w8a8.h"
#include "quant/stages.h"

namespace slim {

Recipe RecipeOf(const QuantFlags& flags) {
  Recipe recipe;
  recipe.layout = flags.layout;
  recipe.compute = flags.compute;
  recipe.propagate = flags.propagate;
  recipe.part_size = flags.part_size;
  recipe.calibration_file = flags.calibration_file;
  if (flags.smooth) {
    SmoothStep smooth;
    smooth.method = *flags.smooth;
    smooth.alpha = flags.alpha;
    smooth.pairs = flags.pairs.value_or(DefaultPairs(*flags.smooth));
    smooth.symmetric = flags.symmetric_smooth;
    recipe.process.push_back({{std::move(smooth)}});
  }
  LinearStep linear;
  linear.settings = SettingsOf(flags.type);
  linear.settings.activation.method =
      flags.activation_method.value_or(DefaultActivationMethod(flags));
  linear.settings.activation.aggregation = flags.aggregation;
  WeightSettings& weight = linear.settings.weight;
  if (flags.group_size) {
    weight.granularity = Granularity::kPerGroup;
    weight.group_size = *flags.group_size;
  }
  weight.symmetric = !flags.asymmetric;
  weight.method = flags.weight_method.value_or(DefaultWeightMethod(flags));
  weight.clip = flags.clip.value_or(DefaultClip(flags));
  weight.bias_correction = flags.bias_correction;
  linear.names.exclude = flags.float_names;
  linear.readmit = flags.quantize_names;
  linear.whole_model = true;
  recipe.process.push_back({{std::move(linear)}});
  if (flags.kv_cache) recipe.process.push_back({{KvCacheStep()}});
  return recipe;
}

std::vector<Scheme> QuantizableTypes() {
  return {Scheme::kW8A8,        Scheme::kW8A8Dynamic,     Scheme::kW8A8Mix,
          Scheme::kW8A16,       Scheme::kW4A8Dynamic,     Scheme::kW4A16,
          Scheme::kW4A4Dynamic, Scheme::kWFP8AFP8Dynamic, Scheme::kW8A8MXFP8,
          Scheme::kW4A4MXFP4,   Scheme::kW8A8S,           Scheme::kW16A16S};
}

namespace {

std::optional<Scheme> TypeNamed(std::string_view name) {
  for (const Scheme type : QuantizableTypes()) {
    if (name == SchemeName(type) || name == QuantTypeName(type)) return type;
  }
  return std::nullopt;
}

}  // namespace

Result<QuantFlags> FlagsOfType(std::string_view name) {
  QuantFlags flags;
  std::optional<Scheme> type = TypeNamed(name);
  if (!type && name.ends_with("c8")) {
    type = TypeNamed(name.substr(0, name.size() - 2));
    flags.kv_cache = true;
  }
  if (!type) {
    std::vector<std::string> known;
    for (const Scheme scheme : QuantizableTypes()) known.emplace_back(QuantTypeName(scheme));
    const std::string near = NearestSpelling(name, known);
    return UsageError(
        fmt::format("quantization type {} is not one that slim-quant makes", Quote(name)),
        (near.empty() ? "" : fmt::format("did you mean {}? ", near)) +
            "known: " + Join(known, ", "));
  }
  flags.type = *type;
  flags.smooth = DefaultSmooth(*type, flags.compute);
  flags.float_names = DefaultFloatNames(*type);
  return flags;
}

std::string_view QuantTypeName(Scheme type) {
  switch (type) {
    case Scheme::kW4A8Dynamic:
      return "w4a8";
    case Scheme::kW4A4Dynamic:
      return "w4a4";
    case Scheme::kWFP8AFP8Dynamic:
      return "fp8";
    default:
      return SchemeName(type);
  }
}

WeightMethod DefaultWeightMethod(const QuantFlags& flags) {
  const LinearSettings settings = SettingsOf(flags.type);
  const bool int4 = settings.weight.dtype == CodeType::kInt4;
  if (flags.compute == ComputeMode::kModel || (!int4 && settings.weight.dtype != CodeType::kInt8))
    return int4 ? WeightMethod::kSsz : WeightMethod::kMinMax;
  const bool calibrated = flags.smooth || NeedsRange(settings);
  const bool searched = calibrated ? int4 : flags.calibration_given;
  if (searched) return WeightMethod::kGptq;
  const bool rounds_inputs = settings.activation.dtype != CodeType::kFloat;
  return int4 || (rounds_inputs && !calibrated) ? WeightMethod::kSsz : WeightMethod::kMinMax;
}

WeightClip DefaultClip(const QuantFlags& flags) {
  const bool int4 = SettingsOf(flags.type).weight.dtype == CodeType::kInt4;
  return int4 && flags.compute == ComputeMode::kFp32 ? WeightClip::kMse : WeightClip::kNone;
}

ActivationMethod DefaultActivationMethod(const QuantFlags& flags) {
  const bool plain = flags.smooth || flags.compute == ComputeMode::kModel;
  return plain || !HasStaticActivations(flags.type) ? ActivationMethod::kMinMax
                                                    : ActivationMethod::kOutput;
}

std::vector<std::string> DefaultFloatNames(Scheme type) {
  if (HasStaticActivations(type)) return {"*down_proj", "lm_head"};
  return {"lm_head"};
}

std::optional<SmoothMethod> DefaultSmooth(Scheme type, ComputeMode compute) {
  const CodeType activation = SettingsOf(type).activation.dtype;
  const bool int4 = SettingsOf(type).weight.dtype == CodeType::kInt4;
  if (activation != CodeType::kInt8 && activation != CodeType::kInt4) return std::nullopt;
  if (compute == ComputeMode::kFp32) return SmoothMethod::kFlex;
  return int4 ? std::nullopt : std::optional(SmoothMethod::kIter);
}

std::vector<SmoothPair> DefaultPairs(SmoothMethod method) {
  if (method != SmoothMethod::kFlex) return {SmoothPair::kNormLinear};
  return {SmoothPair::kNormLinear, SmoothPair::kOv, SmoothPair::kUpDown};
}

}  // namespace slim
