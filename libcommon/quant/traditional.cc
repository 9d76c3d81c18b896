#include "quant/traditional.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace slim {
namespace {

constexpr double kTraditionalAlpha = 0.5;  // AntiOutlierConfig's, whatever the method

Result<Scheme> SchemeOfBits(const TraditionalSettings& s) {
  if (s.w_bit == 8 && s.a_bit == 8) {
    if (s.pdmix) return Scheme::kW8A8Mix;
    return s.is_dynamic ? Scheme::kW8A8Dynamic : Scheme::kW8A8;
  }
  if (s.w_bit == 8 && s.a_bit == 16) return Scheme::kW8A16;
  if (s.w_bit == 4 && s.a_bit == 16) return Scheme::kW4A16;
  if (s.w_bit == 4 && s.a_bit == 8) return Scheme::kW8A8S;
  return UsageError(
      fmt::format("w_bit {} with a_bit {} is not a type that slim-quant makes", s.w_bit, s.a_bit),
      "known: 8 8 (w8a8; is_dynamic: w8a8_dynamic; pdmix: w8a8_mix), 8 16 (w8a16), 4 16 (w4a16), "
      "4 8 (w8a8s, the sparse type)");
}

Status SetActivation(const TraditionalSettings& s, ActivationSettings& activation) {
  if (s.act_method < 1 || s.act_method > 3) {
    return UsageError(fmt::format("act_method {} is unknown", s.act_method),
                      "known: 1 (min-max), 2 (histogram), 3 (either, by layer)");
  }
  const bool observed =
      activation.dtype == CodeType::kInt8 && (activation.granularity == Granularity::kPerTensor ||
                                              activation.granularity == Granularity::kPdMix);
  if (!observed) return {};
  activation.method = s.act_method == 1   ? ActivationMethod::kMinMax
                      : s.act_method == 2 ? ActivationMethod::kHistogram
                                          : ActivationMethod::kAuto;
  return {};
}

Status SetWeight(const TraditionalSettings& s, LinearSettings& settings) {
  WeightSettings& weight = settings.weight;
  const std::string method = ToLower(s.w_method);
  const auto parsed = ParseWeightMethod(method);
  if (!parsed || *parsed == WeightMethod::kSsz) {
    return UsageError(fmt::format("w_method {} is not supported", Quote(s.w_method)),
                      "known: MinMax, HQQ, GPTQ");
  }
  weight.method = *parsed;
  weight.damping = s.percdamp;
  weight.symmetric = s.w_sym;
  const bool weight_only = settings.scheme == Scheme::kW8A16 || settings.scheme == Scheme::kW4A16;
  if (!s.w_sym && !weight_only) return UsageError("w_sym False needs a weight-only type: a_bit 16");
  if (settings.scheme == Scheme::kW4A16 && !s.open_outlier) {
    weight.granularity = Granularity::kPerGroup;
    weight.group_size = static_cast<uint64_t>(s.group_size);
  }
  if (settings.scheme == Scheme::kW8A8S) {
    weight.sparse_fraction = s.fraction;
    if (s.use_sigma) weight.sparse_sigma = s.sigma_factor;
    weight.co_sparse = s.co_sparse && !s.is_lowbit;
  }
  return {};
}

// Sources of pairs by the linear that a script would name.
std::string SmoothSourceOf(std::string name) {
  for (const auto& [target, source] :
       {std::pair<std::string_view, std::string_view>{"self_attn.o_proj", "self_attn.v_proj"},
        {"mlp.down_proj", "mlp.up_proj"}}) {
    if (name.ends_with(target))
      return name.replace(name.size() - target.size(), target.size(), source);
  }
  return name;
}

// Which of ours stands for m1 to m6 (facts: algorithms.md 3.8).
Result<SmoothStep> SmoothStepOf(const TraditionalSettings& s, const LinearSettings& settings,
                                std::vector<std::string>& notes) {
  SmoothStep step;
  step.alpha = kTraditionalAlpha;
  for (const std::string& name : s.disable_anti_names)
    step.names.exclude.push_back(SmoothSourceOf(name));
  if (s.anti_method == "m1") {
    // SmoothQuant at its fixed strength costs more than the closed code that the scripts call.
    step.method = SmoothMethod::kFlex;
    step.alpha.reset();
    step.pairs = {SmoothPair::kNormLinear};
  } else if (s.anti_method == "m3") {
    step.method = SmoothMethod::kAwq;
    step.alpha.reset();
    step.target = settings;
    notes.emplace_back("outlier method m3 is closed code: awq stands in for it");
  } else if (s.anti_method == "m4") {
    step.method = SmoothMethod::kIter;
  } else if (s.anti_method == "m6") {
    step.method = SmoothMethod::kFlex;
    step.alpha = s.flex_alpha;
    step.beta = s.flex_beta;
  } else if (s.anti_method == "m2" || s.anti_method == "m5") {
    step.method = SmoothMethod::kIter;
    step.alpha.reset();
    step.pairs = {SmoothPair::kNormLinear};
    notes.push_back(
        fmt::format("outlier method {} is closed code: iter_smooth with alpha {} stands "
                    "in for it",
                    s.anti_method, DefaultAlpha(SmoothMethod::kIter)));
  } else {
    return UsageError(fmt::format("outlier method {} is unknown", Quote(s.anti_method)),
                      "known: m1 to m6");
  }
  return step;
}

// One step a pattern, in order; each leaves to the earlier ones what they matched.
Status AddMixedSteps(const TraditionalSettings& s, const LinearStep& base, Recipe& recipe) {
  NameFilter rest = base.names;
  for (const auto& [pattern, type] : s.mix_cfg) {
    LinearStep step = base;
    step.names.exclude = rest.exclude;
    step.names.include = {pattern};
    rest.exclude.push_back(pattern);
    if (ToLower(type) == "float") continue;
    const auto scheme = ParseSchemeName(ToLower(type));
    if (!scheme) return UsageError(fmt::format("type {} of mix_cfg is unknown", Quote(type)));
    step.settings = SettingsOf(*scheme);
    SLIM_TRY(SetActivation(s, step.settings.activation));
    recipe.process.push_back({{std::move(step)}});
  }
  LinearStep last = base;
  last.names.exclude = std::move(rest.exclude);
  const bool all_matched = std::any_of(s.mix_cfg.begin(), s.mix_cfg.end(),
                                       [](const auto& entry) { return entry.first == "*"; });
  if (!all_matched) recipe.process.push_back({{std::move(last)}});
  return {};
}

constexpr int64_t kLargest = std::numeric_limits<int32_t>::max();

template <class T>
void Assign(T& to, const std::optional<T>& from) {
  if (from) to = *from;
}

Status ReadBool(YamlSection& section, std::string_view key, bool& value) {
  SLIM_ASSIGN(const auto given, section.Bool(key));
  Assign(value, given);
  return {};
}

// A setting that only has its usual value here.
Status ReadFixed(YamlSection& section, std::string_view key, std::string_view usual,
                 std::string_view why) {
  const Yaml* at = section.Take(key);
  if (at == nullptr || ToLower(at->text()) == usual) return {};
  return section.Refuse(*at,
                        fmt::format("{} {} is not supported: {}", key, Quote(at->text()), why));
}

Status ReadAnti(YamlSection anti, TraditionalSettings& s) {
  SLIM_ASSIGN(const auto method, anti.Text("anti_method"));
  Assign(s.anti_method, method);
  SLIM_ASSIGN(s.disable_anti_names, anti.Texts("disable_anti_names"));
  SLIM_ASSIGN(YamlSection flex, anti.Inner("flex_config", "flex_config"));
  SLIM_ASSIGN(s.flex_alpha, flex.Real("alpha", 0, 1));
  SLIM_ASSIGN(s.flex_beta, flex.Real("beta", 0, 1));
  SLIM_TRY(flex.Done());
  // The bits and the device that calib_cfg names, too.
  for (const std::string_view key : {"w_bit", "a_bit", "w_sym", "dev_type", "dev_id"})
    anti.Take(key);
  return anti.Done();
}

Status ReadNumbers(YamlSection& calib, TraditionalSettings& s) {
  for (const auto& [key, value] : {std::pair<std::string_view, int64_t*>{"w_bit", &s.w_bit},
                                   {"a_bit", &s.a_bit},
                                   {"act_method", &s.act_method},
                                   {"group_size", &s.group_size}}) {
    SLIM_ASSIGN(const auto given, calib.Integer(key, 1, kLargest));
    Assign(*value, given);
  }
  for (const auto& [key, value, most] :
       {std::tuple<std::string_view, double*, double>{"fraction", &s.fraction, 1.0},
        {"sigma_factor", &s.sigma_factor, 100.0},
        {"percdamp", &s.percdamp, 1.0}}) {
    SLIM_ASSIGN(const auto given, calib.Real(key, 0, most));
    Assign(*value, given);
  }
  return {};
}

Status ReadCalibration(YamlSection calib, TraditionalSettings& s) {
  SLIM_TRY(ReadNumbers(calib, s));
  for (const auto& [key, value] : {std::pair<std::string_view, bool*>{"w_sym", &s.w_sym},
                                   {"is_dynamic", &s.is_dynamic},
                                   {"pdmix", &s.pdmix},
                                   {"use_kvcache_quant", &s.use_kvcache_quant},
                                   {"kv_sym", &s.kv_sym},
                                   {"use_fa_quant", &s.use_fa_quant},
                                   {"is_lowbit", &s.is_lowbit},
                                   {"open_outlier", &s.open_outlier},
                                   {"co_sparse", &s.co_sparse},
                                   {"use_sigma", &s.use_sigma},
                                   {"disable_last_linear", &s.disable_last_linear}}) {
    SLIM_TRY(ReadBool(calib, key, *value));
  }
  SLIM_ASSIGN(const auto method, calib.Text("w_method"));
  Assign(s.w_method, method);
  SLIM_ASSIGN(s.disable_names, calib.Texts("disable_names"));
  SLIM_TRY(ReadFixed(calib, "mm_tensor", "false", "weights have a scale a channel here"));
  SLIM_TRY(ReadFixed(calib, "nonuniform", "false", "codes are evenly spaced here"));
  SLIM_TRY(ReadFixed(calib, "do_smooth", "false", "anti_cfg names the outlier method"));
  for (const std::string_view key : {"dev_type", "dev_id", "pr", "fa_amp"}) calib.Take(key);
  return calib.Done();
}

Status ReadCalibrator(YamlSection params, TraditionalSettings& s) {
  SLIM_TRY(ReadFixed(params, "disable_level", "l0",
                     "name the layers under disable_names; slim-quant analyze ranks them"));
  SLIM_ASSIGN(YamlSection mixed, params.Inner("mix_cfg", "mix_cfg"));
  for (const auto& [pattern, type] : mixed.value().members())
    s.mix_cfg.emplace_back(pattern.text(), type.text());
  return params.Done();
}

}  // namespace

Result<TraditionalRecipe> RecipeOf(const TraditionalSettings& s) {
  TraditionalRecipe result;
  Recipe& recipe = result.recipe;
  LinearStep linear;
  SLIM_ASSIGN(const Scheme scheme, SchemeOfBits(s));
  linear.settings = SettingsOf(scheme);
  SLIM_TRY(SetActivation(s, linear.settings.activation));
  SLIM_TRY(SetWeight(s, linear.settings));
  linear.names.exclude = s.disable_names;
  linear.whole_model = !s.disable_last_linear;
  recipe.layout = s.layout;
  recipe.part_size = s.part_size;
  recipe.calibration_file = s.calib_file;
  if (s.rotate) recipe.process.push_back({{RotationStep()}});
  if (!s.anti_method.empty()) {
    SLIM_ASSIGN(SmoothStep smooth, SmoothStepOf(s, linear.settings, result.notes));
    if (s.anti_file.empty()) {
      recipe.process.push_back({{std::move(smooth)}});
    } else {
      recipe.prior.push_back({{{{std::move(smooth)}}}, s.anti_file});
    }
  }
  if (s.mix_cfg.empty()) {
    recipe.process.push_back({{std::move(linear)}});
  } else {
    SLIM_TRY(AddMixedSteps(s, linear, recipe));
  }
  if (s.use_kvcache_quant) {
    KvCacheStep cache;
    cache.symmetric = s.kv_sym;
    recipe.process.push_back({{std::move(cache)}});
  }
  if (s.use_fa_quant) recipe.process.push_back({{AttentionStep()}});
  return result;
}

Result<Recipe> ReadTraditionalSpec(YamlSection& spec) {
  TraditionalSettings s;
  SLIM_ASSIGN(YamlSection anti, spec.Inner("anti_cfg", "anti_cfg"));
  SLIM_TRY(ReadAnti(anti, s));
  SLIM_ASSIGN(YamlSection calib, spec.Inner("calib_cfg", "calib_cfg"));
  SLIM_TRY(ReadCalibration(calib, s));
  SLIM_ASSIGN(YamlSection params, spec.Inner("calib_params", "calib_params"));
  SLIM_TRY(ReadCalibrator(params, s));
  SLIM_ASSIGN(YamlSection save, spec.Inner("calib_save_params", "calib_save_params"));
  SLIM_ASSIGN(const auto part, save.Integer("part_file_size", 0, 1'000'000));
  if (part) s.part_size = static_cast<uint64_t>(*part) << 30;
  SLIM_TRY(save.Done());
  SLIM_ASSIGN(const auto dataset, spec.Text("calib_dataset"));
  Assign(s.calib_file, dataset);
  SLIM_ASSIGN(const auto anti_dataset, spec.Text("anti_dataset"));
  Assign(s.anti_file, anti_dataset);
  for (const std::string_view key : {"batch_size", "anti_params"}) spec.Take(key);
  SLIM_TRY(spec.Done());
  auto recipe = RecipeOf(s);
  if (!recipe.ok()) return spec.Refuse(recipe.error().message, recipe.error().hint);
  return std::move(recipe->recipe);
}

}  // namespace slim
