#include "options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "flags.h"
#include "old_commands.h"
#include "os/processors.h"
#include "quant/preset.h"
#include "quant/recipe_file.h"
#include "quant/stages.h"

namespace slim {
namespace {

Result<std::string> ModelOf(const Arguments& arguments,
                            std::initializer_list<std::string_view> flags) {
  for (const std::string_view flag : flags) {
    if (arguments.SpelledAs(flag).empty()) continue;
    if (arguments.operands().empty()) return arguments.Text(flag);
    return UsageError(fmt::format("the model is given twice, as {} and as an operand",
                                  arguments.SpelledAs(flag)));
  }
  if (!arguments.operands().empty()) return arguments.operands().front();
  return UsageError("no model is given", "slim-quant MODEL -o OUT");
}

Result<std::string> OutputOf(const Arguments& arguments,
                             std::initializer_list<std::string_view> old_flags) {
  if (arguments.Has("output")) return arguments.Text("output");
  for (const std::string_view flag : old_flags) {
    if (arguments.Has(flag)) return arguments.Text(flag);
  }
  if (arguments.Has("dry-run")) return std::string();
  return UsageError("no output is given", "-o OUT names it");
}

Status ReadWeights(const Arguments& arguments, QuantFlags& flags) {
  if (arguments.Has("group-size")) {
    const int64_t size = arguments.Integer("group-size", 0);
    if (size < 1) return UsageError(fmt::format("--group-size {} is not positive", size));
    flags.group_size = static_cast<uint64_t>(size);
  }
  flags.asymmetric = arguments.Has("asymmetric");
  if (arguments.Has("weight-method"))
    flags.weight_method = ParseWeightMethod(arguments.Text("weight-method"));
  if (arguments.Has("clip"))
    flags.clip = arguments.Text("clip") == "mse" ? WeightClip::kMse : WeightClip::kNone;
  flags.bias_correction = arguments.Has("bias-correction");
  return {};
}

Status ReadSmoothing(const Arguments& arguments, QuantFlags& flags) {
  flags.smooth = DefaultSmooth(flags.type, flags.compute);
  if (arguments.Has("smooth")) {
    constexpr std::pair<std::string_view, SmoothMethod> kMethods[] = {
        {"iter", SmoothMethod::kIter},
        {"smoothquant", SmoothMethod::kSmoothQuant},
        {"flex", SmoothMethod::kFlex}};
    flags.smooth.reset();
    for (const auto& [name, method] : kMethods) {
      if (arguments.Text("smooth") == name) flags.smooth = method;
    }
  }
  const bool quantizes_inputs = SettingsOf(flags.type).activation.dtype != CodeType::kFloat;
  if (flags.smooth && !quantizes_inputs) {
    return UsageError(
        fmt::format("--smooth {} does not apply to {}: its activations are not "
                    "quantized",
                    arguments.Text("smooth"), SchemeName(flags.type)));
  }
  for (const std::string_view flag : {"alpha", "smooth-pairs", "asymmetric-smooth"}) {
    if (!flags.smooth && arguments.Has(flag))
      return UsageError(fmt::format("--{} needs --smooth iter", flag));
  }
  // Strength and shift are iter_smooth's and smooth_quant's: flex searches the one and has none of
  // the other.
  for (const std::string_view flag : {"alpha", "asymmetric-smooth"}) {
    if (flags.smooth != SmoothMethod::kFlex || !arguments.Has(flag)) continue;
    if (arguments.Has("smooth"))
      return UsageError(fmt::format("--{} does not apply to --smooth flex", flag),
                        "--smooth iter takes it");
    flags.smooth = SmoothMethod::kIter;
  }
  flags.symmetric_smooth = !arguments.Has("asymmetric-smooth");
  if (arguments.Has("alpha")) flags.alpha = arguments.Real("alpha", 0);
  if (flags.alpha && !(*flags.alpha >= 0 && *flags.alpha <= 1))
    return UsageError(fmt::format("--alpha {} is outside 0 to 1", *flags.alpha));
  if (!arguments.Has("smooth-pairs")) return {};
  std::vector<SmoothPair>& pairs = flags.pairs.emplace();
  for (const std::string& list : arguments.All("smooth-pairs")) {
    for (const std::string_view name : Split(list, ',')) {
      const auto pair = ParseSmoothPair(name);
      if (!pair) {
        return UsageError(fmt::format("--smooth-pairs {} is unknown", Quote(name)),
                          "known: norm-linear, linear-linear, ov, up-down");
      }
      pairs.push_back(*pair);
    }
  }
  return {};
}

Result<QuantFlags> ReadOwn(const Arguments& arguments) {
  SLIM_ASSIGN(QuantFlags flags, FlagsOfType(arguments.Text("type", SchemeName(QuantFlags().type))));
  if (arguments.Text("compute") == "model") flags.compute = ComputeMode::kModel;
  flags.calibration_given = arguments.Has("calib");
  SLIM_TRY(ReadSmoothing(arguments, flags));
  SLIM_TRY(ReadWeights(arguments, flags));
  if (arguments.Has("kv-cache")) flags.kv_cache = arguments.Text("kv-cache") == "c8";
  if (arguments.Has("activation-method"))
    flags.activation_method = ParseActivationMethod(arguments.Text("activation-method"));
  flags.aggregation = *ParseAggregation(arguments.Text("aggregation", "max"));
  for (const std::string_view flag : {"activation-method", "aggregation"}) {
    if (arguments.Has(flag) && !NeedsRange(SettingsOf(flags.type))) {
      return UsageError(fmt::format("--{} does not apply to {}: it has no static ranges", flag,
                                    SchemeName(flags.type)));
    }
  }
  for (const std::string& name : arguments.All("disable-names")) flags.float_names.push_back(name);
  flags.quantize_names = arguments.All("quantize-names");
  return flags;
}

// A recipe says what these flags say: together they contradict each other.
Status CheckAlone(const Arguments& arguments, std::string_view source) {
  for (const std::string_view flag :
       {"type", "smooth", "alpha", "smooth-pairs", "asymmetric-smooth", "activation-method",
        "aggregation", "kv-cache", "group-size", "asymmetric", "weight-method", "clip",
        "bias-correction", "disable-names", "quantize-names", "recipe", "preset"}) {
    if (flag == source || arguments.SpelledAs(flag).empty()) continue;
    return UsageError(fmt::format("{} and {} contradict each other", arguments.SpelledAs(source),
                                  arguments.SpelledAs(flag)),
                      "a recipe says what is done to which layer: copy it and edit the copy");
  }
  return {};
}

// Types that a file names and this version does not make.
Status CheckTypes(const Recipe& recipe, const std::string& source) {
  const std::vector<Scheme> known = QuantizableTypes();
  for (const LinearStep* step : StepsOf<LinearStep>(recipe.process)) {
    const Scheme scheme = step->settings.scheme;
    if (std::find(known.begin(), known.end(), scheme) != known.end()) continue;
    return UsageError(
        fmt::format("{}: type {} is not one that this version makes", source, SchemeName(scheme)));
  }
  return {};
}

Result<Recipe> ReadRecipeOf(const std::string& path, const Arguments& arguments, Console& console) {
  SLIM_ASSIGN(RecipeFile file, ReadRecipeFile(path));
  // --calib takes the place of whatever the recipe names.
  if (arguments.command().name.empty() && arguments.Has("calib")) {
    file.recipe.calibration_file.clear();
    for (PriorPass& pass : file.recipe.prior) pass.calibration_file.clear();
  }
  SLIM_TRY(ResolveDatasets(path, file.recipe, console));
  SLIM_TRY(CheckTypes(file.recipe, path));
  return std::move(file.recipe);
}

Result<Recipe> ReadPreset(const Arguments& arguments, Console& console) {
  SLIM_ASSIGN(const std::vector<Preset> presets, LoadPresets());
  SLIM_ASSIGN(const Preset* preset, FindPreset(presets, arguments.Text("preset")));
  return ReadRecipeOf(preset->path, arguments, console);
}

// The recipe of the main command, from whichever source its flags name.
Result<Recipe> ReadMainRecipe(const Arguments& arguments, Console& console) {
  for (const std::string_view source : {"recipe", "preset"}) {
    if (!arguments.Has(source)) continue;
    SLIM_TRY(CheckAlone(arguments, source));
    if (source == "preset") return ReadPreset(arguments, console);
    return ReadRecipeOf(arguments.Text("recipe"), arguments, console);
  }
  if (IsAtbScript(arguments)) return ReadAtbScript(arguments);
  if (IsTraditional(arguments)) {
    SLIM_ASSIGN(Recipe recipe, ReadTraditional(arguments, console));
    SLIM_TRY(CheckTypes(recipe, "the old command"));
    return recipe;
  }
  SLIM_ASSIGN(const QuantFlags flags, ReadOwn(arguments));
  return RecipeOf(flags);
}

// --auto-fallback --budget kl=X.
Status ReadBudget(const Arguments& arguments, QuantCommand& command) {
  if (!arguments.Has("auto-fallback")) {
    if (!arguments.Has("budget")) return {};
    return UsageError("--budget needs --auto-fallback");
  }
  const std::string text = arguments.Text("budget");
  double value = 0;
  const char* end = text.data() + text.size();
  const bool named = text.starts_with("kl=");
  const auto parsed = std::from_chars(named ? text.data() + 3 : end, end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end || !(value > 0) || !std::isfinite(value)) {
    return UsageError(fmt::format("--auto-fallback needs --budget kl=X, X above 0; found {}",
                                  text.empty() ? "none" : Quote(text)),
                      "kl=0.001 is a thousandth of a nat a token");
  }
  for (const std::string_view flag : {"dry-run", "shard"}) {
    if (arguments.Has(flag))
      return UsageError(
          fmt::format("--auto-fallback measures whole runs: --{} contradicts it", flag));
  }
  command.budget = value;
  return {};
}

Result<QuantCommand> ReadMain(const Arguments& arguments, Console& console) {
  QuantCommand command;
  command.list_presets = arguments.Has("list-presets");
  if (command.list_presets) return command;
  Recipe& recipe = command.options.recipe;
  SLIM_ASSIGN(recipe, ReadMainRecipe(arguments, console));
  if (arguments.Has("layout")) {
    SLIM_ASSIGN(recipe.layout, ParseDialect(arguments.Text("layout")));
  }
  if (arguments.Has("dtype"))
    recipe.dtype = arguments.Text("dtype") == "fp16" ? DType::kF16 : DType::kBF16;
  if (arguments.Text("compute") == "model") recipe.compute = ComputeMode::kModel;
  if (arguments.Text("propagate") == "quantized") recipe.propagate = Propagation::kQuantized;
  command.options.strict = arguments.Has("strict");
  command.options.recipe_file = arguments.Text("recipe");
  SLIM_TRY(ReadBudget(arguments, command));
  if (arguments.Has("calib")) recipe.calibration_file = arguments.Text("calib");
  if (arguments.Has("part-size")) recipe.part_size = arguments.Size("part-size", 0);
  SLIM_ASSIGN(command.model, ModelOf(arguments, {"model-path", "src"}));
  SLIM_ASSIGN(command.output, OutputOf(arguments, {"save-directory", "dst"}));
  return command;
}

Result<Recipe> ReadOneClickRecipe(const Arguments& arguments, Console& console) {
  if (arguments.Has("config-path")) {
    if (!arguments.SpelledAs("quant-type").empty()) {
      return UsageError(fmt::format("{} and {} contradict each other",
                                    arguments.SpelledAs("config-path"),
                                    arguments.SpelledAs("quant-type")));
    }
    return ReadRecipeOf(arguments.Text("config-path"), arguments, console);
  }
  SLIM_ASSIGN(const std::vector<Preset> presets, LoadPresets());
  SLIM_ASSIGN(const PresetChoice choice,
              ChoosePreset(presets, arguments.Text("model-type"),
                           arguments.Text("quant-type", "w8a8"), arguments.All("tag")));
  console.Note(choice.note);
  return ReadRecipeOf(choice.preset->path, arguments, console);
}

Result<QuantCommand> ReadOneClick(const Arguments& arguments, Console& console) {
  QuantCommand command;
  Recipe& recipe = command.options.recipe;
  SLIM_ASSIGN(recipe, ReadOneClickRecipe(arguments, console));
  command.options.recipe_file = arguments.Text("config-path");
  if (arguments.Has("part-size")) recipe.part_size = arguments.Size("part-size", 0);
  SLIM_ASSIGN(command.model, ModelOf(arguments, {"model-path"}));
  SLIM_ASSIGN(command.output, OutputOf(arguments, {"save-path"}));
  constexpr std::string_view kMeaningless[] = {"device", "trust-remote-code", "debug"};
  NoteMeaningless(arguments, console, kMeaningless);
  return command;
}

}  // namespace

Result<QuantCommand> ReadQuantCommand(const Arguments& arguments, Console& console) {
  auto command = arguments.command().name == "quant" ? ReadOneClick(arguments, console)
                                                     : ReadMain(arguments, console);
  if (!command.ok()) return command;
  command->write = arguments.output_options();
  command->write.keep = true;
  if (arguments.command().name.empty()) {
    if (arguments.Has("shard")) {
      SLIM_ASSIGN(command->options.shard, ParseShard(arguments.Text("shard")));
    }
    for (const std::string& list : arguments.All("for")) {
      for (const std::string& word : Split(list, ',')) {
        SLIM_ASSIGN(command->options.targets.emplace_back(), ParseLoaderTarget(Trim(word)));
      }
    }
    if (!command->options.targets.empty() && !command->options.shard.whole())
      return UsageError("--for needs a whole run, --shard makes a part of one");
    if (arguments.Has("resume") && arguments.Has("clean"))
      return UsageError("--resume and --clean contradict each other");
    command->write.keep = !arguments.Has("clean");
  }
  command->dry_run = arguments.Has("dry-run");
  command->report = arguments.Text("report");
  command->options.measure = !command->report.empty();
  if (command->options.measure && !command->options.shard.whole())
    return UsageError("--report needs a whole run, --shard makes a part of one");
  command->options.max_memory = arguments.Size("max-memory", 0);
  command->options.threads = static_cast<int>(arguments.Integer("threads", DefaultThreadCount()));
  return command;
}

}  // namespace slim
