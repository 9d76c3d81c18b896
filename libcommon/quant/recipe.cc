#include "quant/recipe.h"

#include <fmt/format.h>

#include <iterator>

namespace slim {
namespace {

constexpr std::string_view kSmoothMethods[] = {"iter_smooth", "smooth_quant", "flex_smooth_quant",
                                               "flex_awq_ssz", "awq"};
constexpr std::string_view kSmoothPairs[] = {"norm-linear", "linear-linear", "ov", "up-down"};
constexpr std::string_view kCodeTypes[] = {"float", "int8", "int4", "fp8_e4m3", "mxfp8", "mxfp4"};
constexpr std::string_view kGranularities[] = {
    "per_tensor", "per_channel", "per_group", "per_block", "per_token", "pd_mix", "per_head"};
constexpr std::string_view kWeightMethods[] = {"minmax", "ssz", "gptq", "hqq", "awq"};
constexpr std::string_view kActivationMethods[] = {"minmax", "histogram", "percentile", "auto",
                                                   "output"};
constexpr std::string_view kAggregations[] = {"max", "mean"};

template <typename Enum, size_t kSize>
std::optional<Enum> Parse(const std::string_view (&names)[kSize], std::string_view name) {
  for (size_t i = 0; i < kSize; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

struct SchemeRow {
  Scheme scheme;
  CodeType activation;
  Granularity activation_granularity;
  CodeType weight;
  Granularity weight_granularity;
};

// Legal pairs (facts: algorithms.md 1.4; W4A16 is the traditional scripts'). The first row of a
// scheme is what SettingsOf gives.
constexpr SchemeRow kSchemeRows[] = {
    {Scheme::kW8A8, CodeType::kInt8, Granularity::kPerTensor, CodeType::kInt8,
     Granularity::kPerChannel},
    {Scheme::kW8A8Dynamic, CodeType::kInt8, Granularity::kPerToken, CodeType::kInt8,
     Granularity::kPerChannel},
    {Scheme::kW8A8Dynamic, CodeType::kInt8, Granularity::kPerToken, CodeType::kInt8,
     Granularity::kPerGroup},
    {Scheme::kW8A8Mix, CodeType::kInt8, Granularity::kPdMix, CodeType::kInt8,
     Granularity::kPerChannel},
    {Scheme::kW8A16, CodeType::kFloat, Granularity::kPerTensor, CodeType::kInt8,
     Granularity::kPerChannel},
    {Scheme::kW8A16, CodeType::kFloat, Granularity::kPerTensor, CodeType::kInt8,
     Granularity::kPerGroup},
    {Scheme::kW4A16, CodeType::kFloat, Granularity::kPerTensor, CodeType::kInt4,
     Granularity::kPerChannel},
    {Scheme::kW4A16, CodeType::kFloat, Granularity::kPerTensor, CodeType::kInt4,
     Granularity::kPerGroup},
    {Scheme::kW4A8Dynamic, CodeType::kInt8, Granularity::kPerToken, CodeType::kInt4,
     Granularity::kPerChannel},
    {Scheme::kW4A8Dynamic, CodeType::kInt8, Granularity::kPerToken, CodeType::kInt4,
     Granularity::kPerGroup},
    {Scheme::kW4A4Dynamic, CodeType::kInt4, Granularity::kPerToken, CodeType::kInt4,
     Granularity::kPerChannel},
    {Scheme::kW4A4Dynamic, CodeType::kInt4, Granularity::kPerToken, CodeType::kInt4,
     Granularity::kPerGroup},
    {Scheme::kWFP8AFP8Dynamic, CodeType::kFp8E4M3, Granularity::kPerToken, CodeType::kFp8E4M3,
     Granularity::kPerChannel},
    {Scheme::kW8A8MXFP8, CodeType::kMxfp8, Granularity::kPerBlock, CodeType::kMxfp8,
     Granularity::kPerBlock},
    {Scheme::kW4A8MXFP, CodeType::kMxfp8, Granularity::kPerBlock, CodeType::kMxfp4,
     Granularity::kPerBlock},
    {Scheme::kW4A4MXFP4, CodeType::kMxfp4, Granularity::kPerBlock, CodeType::kMxfp4,
     Granularity::kPerBlock},
    {Scheme::kW8A8S, CodeType::kInt8, Granularity::kPerTensor, CodeType::kInt8,
     Granularity::kPerChannel},
};

Json Names(const std::vector<std::string>& names) {
  Json array = Json::Array();
  for (const std::string& name : names) array.Push(name);
  return array;
}

void AddFilter(const NameFilter& filter, Json& json) {
  json.Set("include", Names(filter.include)).Set("exclude", Names(filter.exclude));
}

Json ActivationJson(const ActivationSettings& settings) {
  Json json = Json::Object();
  json.Set("dtype", CodeTypeName(settings.dtype));
  if (settings.dtype == CodeType::kFloat) return json;
  json.Set("scope", GranularityName(settings.granularity))
      .Set("symmetric", settings.symmetric)
      .Set("method", ActivationMethodName(settings.method));
  const bool observed = settings.granularity == Granularity::kPerTensor ||
                        settings.granularity == Granularity::kPdMix;
  if (!observed) return json;
  json.Set("aggregation_type", AggregationName(settings.aggregation));
  if (settings.method == ActivationMethod::kPercentile)
    json.Set("percentile", Json::Real(settings.percentile));
  return json;
}

Json WeightJson(const WeightSettings& settings) {
  Json json = Json::Object();
  json.Set("dtype", CodeTypeName(settings.dtype))
      .Set("scope", GranularityName(settings.granularity))
      .Set("symmetric", settings.symmetric)
      .Set("method", WeightMethodName(settings.method));
  if (settings.granularity == Granularity::kPerGroup) json.Set("group_size", settings.group_size);
  if (settings.clip == WeightClip::kMse) json.Set("clip", "mse");
  if (settings.bias_correction) json.Set("bias_correction", true);
  if (settings.method == WeightMethod::kSsz) json.Set("step", settings.steps);
  if (settings.method == WeightMethod::kGptq)
    json.Set("percdamp", Json::Real(settings.damping)).Set("block_size", settings.block_size);
  return json;
}

Json SettingsJson(const LinearSettings& settings) {
  Json json = Json::Object();
  json.Set("act", ActivationJson(settings.activation)).Set("weight", WeightJson(settings.weight));
  if (settings.scheme == Scheme::kW8A8S) {
    json.Set("fraction", Json::Real(settings.weight.sparse_fraction));
    if (settings.weight.sparse_sigma)
      json.Set("sigma_factor", Json::Real(*settings.weight.sparse_sigma));
    json.Set("co_sparse", settings.weight.co_sparse);
  }
  return json;
}

Json StepJson(const SmoothStep& step) {
  Json json = Json::Object();
  json.Set("type", SmoothMethodName(step.method));
  const bool searched = step.method == SmoothMethod::kFlex || step.method == SmoothMethod::kAwq ||
                        step.method == SmoothMethod::kFlexAwqSsz;
  if (step.alpha || !searched)
    json.Set("alpha", Json::Real(step.alpha.value_or(DefaultAlpha(step.method))));
  if (step.beta) json.Set("beta", Json::Real(*step.beta));
  json.Set("scale_min", Json::Real(step.scale_min)).Set("symmetric", step.symmetric);
  Json pairs = Json::Array();
  for (const SmoothPair pair : step.pairs) pairs.Push(SmoothPairName(pair));
  json.Set("enable_subgraph_type", std::move(pairs));
  AddFilter(step.names, json);
  if (step.target) json.Set("qconfig", SettingsJson(*step.target));
  if (step.method == SmoothMethod::kAwq) json.Set("n_grid", step.grid);
  return json;
}

Json StepJson(const LinearStep& step) {
  Json json = Json::Object();
  json.Set("type", "linear_quant").Set("scheme", SchemeName(step.settings.scheme));
  json.Set("qconfig", SettingsJson(step.settings));
  AddFilter(step.names, json);
  return json.Set("readmit", Names(step.readmit)).Set("whole_model", step.whole_model);
}

Json StepJson(const KvSmoothStep& step) {
  Json json = Json::Object();
  json.Set("type", "kv_smooth").Set("smooth_factor", Json::Real(step.factor));
  AddFilter(step.names, json);
  return json;
}

Json StepJson(const KvCacheStep& step) {
  Json json = Json::Object();
  json.Set("type", "dynamic_cache").Set("symmetric", step.symmetric);
  AddFilter(step.names, json);
  return json;
}

Json StepJson(const AttentionStep& step) {
  Json json = Json::Object();
  json.Set("type", "fa3_quant");
  AddFilter(step.names, json);
  return json;
}

Json StepJson(const RotationStep& step) {
  Json json = Json::Object();
  json.Set("type", "quarot").Set("online", step.online);
  if (step.block_size) json.Set("block_size", *step.block_size);
  Json layers = Json::Array();
  for (const uint64_t layer : step.down_proj_online_layers) layers.Push(layer);
  return json.Set("down_proj_online_layers", std::move(layers))
      .Set("max_tp_size", step.max_tp_size)
      .Set("export_extra_info", step.export_extra_info);
}

Json StepJson(const SparseStep& step) {
  Json json = Json::Object();
  json.Set("type", "float_sparse").Set("sparse_ratio", Json::Real(step.ratio));
  AddFilter(step.names, json);
  return json;
}

Json ProcessJson(const std::vector<RecipeUnit>& process) {
  Json list = Json::Array();
  for (const RecipeUnit& unit : process) {
    Json steps = Json::Array();
    for (const RecipeStep& step : unit.steps) {
      Json json = std::visit([](const auto& value) { return StepJson(value); }, step);
      if (unit.steps.size() == 1) {
        list.Push(std::move(json));
      } else {
        steps.Push(std::move(json));
      }
    }
    if (unit.steps.size() == 1) continue;
    Json group = Json::Object();
    group.Set("type", "group").Set("configs", std::move(steps));
    list.Push(std::move(group));
  }
  return list;
}

}  // namespace

Result<Scheme> SchemeOf(const ActivationSettings& activation, const WeightSettings& weight) {
  for (const SchemeRow& row : kSchemeRows) {
    const bool activation_fits = row.activation == activation.dtype &&
                                 (activation.dtype == CodeType::kFloat ||
                                  row.activation_granularity == activation.granularity);
    if (activation_fits && row.weight == weight.dtype &&
        row.weight_granularity == weight.granularity) {
      return row.scheme;
    }
  }
  return UsageError(fmt::format("no quantization type has {} {} activations with {} {} weights",
                                CodeTypeName(activation.dtype),
                                GranularityName(activation.granularity), CodeTypeName(weight.dtype),
                                GranularityName(weight.granularity)));
}

LinearSettings SettingsOf(Scheme scheme) {
  LinearSettings settings;
  settings.scheme = scheme;
  if (scheme == Scheme::kW16A16S) {
    settings.weight.dtype = CodeType::kFloat;
    settings.weight.sparse_fraction = SparseStep().ratio;
    return settings;
  }
  for (const SchemeRow& row : kSchemeRows) {
    if (row.scheme != scheme) continue;
    settings.activation.dtype = row.activation;
    settings.activation.granularity = row.activation_granularity;
    settings.weight.dtype = row.weight;
    settings.weight.granularity = row.weight_granularity;
    break;
  }
  // What is written with an offset uses it.
  settings.activation.symmetric =
      scheme != Scheme::kW8A8 && scheme != Scheme::kW8A8Mix && scheme != Scheme::kW8A8S;
  return settings;
}

double DefaultAlpha(SmoothMethod method) {
  return method == SmoothMethod::kSmoothQuant ? 0.5 : 0.9;
}

std::string_view SmoothMethodName(SmoothMethod method) {
  return kSmoothMethods[static_cast<size_t>(method)];
}
std::string_view SmoothPairName(SmoothPair pair) { return kSmoothPairs[static_cast<size_t>(pair)]; }
std::string_view CodeTypeName(CodeType type) { return kCodeTypes[static_cast<size_t>(type)]; }
std::string_view GranularityName(Granularity granularity) {
  return kGranularities[static_cast<size_t>(granularity)];
}
std::string_view WeightMethodName(WeightMethod method) {
  return kWeightMethods[static_cast<size_t>(method)];
}
std::string_view ActivationMethodName(ActivationMethod method) {
  return kActivationMethods[static_cast<size_t>(method)];
}
std::string_view AggregationName(Aggregation aggregation) {
  return kAggregations[static_cast<size_t>(aggregation)];
}
std::string_view ComputeModeName(ComputeMode compute) {
  return compute == ComputeMode::kModel ? "model" : "fp32";
}
std::string_view PropagationName(Propagation propagation) {
  return propagation == Propagation::kQuantized ? "quantized" : "float";
}

std::optional<SmoothPair> ParseSmoothPair(std::string_view name) {
  return Parse<SmoothPair>(kSmoothPairs, name);
}
std::optional<CodeType> ParseCodeType(std::string_view name) {
  return Parse<CodeType>(kCodeTypes, name);
}
std::optional<Granularity> ParseGranularity(std::string_view name) {
  return Parse<Granularity>(kGranularities, name);
}
std::optional<WeightMethod> ParseWeightMethod(std::string_view name) {
  return Parse<WeightMethod>(kWeightMethods, name);
}
std::optional<ActivationMethod> ParseActivationMethod(std::string_view name) {
  return Parse<ActivationMethod>(kActivationMethods, name);
}
std::optional<Aggregation> ParseAggregation(std::string_view name) {
  return Parse<Aggregation>(kAggregations, name);
}

Json RecipeJson(const Recipe& recipe) {
  Json json = Json::Object();
  json.Set("layout", TraitsOf(recipe.layout).name)
      .Set("compute", ComputeModeName(recipe.compute))
      .Set("propagate", PropagationName(recipe.propagate));
  if (recipe.dtype) json.Set("dtype", DTypeName(*recipe.dtype));
  if (!recipe.prior.empty()) {
    Json prior = Json::Array();
    for (const PriorPass& pass : recipe.prior) {
      Json item = Json::Object();
      item.Set("process", ProcessJson(pass.process));
      prior.Push(std::move(item));
    }
    json.Set("prior", std::move(prior));
  }
  if (!recipe.fallback.empty()) json.Set("fallback", Names(recipe.fallback));
  return json.Set("process", ProcessJson(recipe.process)).Set("part_size", recipe.part_size);
}

}  // namespace slim
