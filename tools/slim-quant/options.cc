#include "options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "os/processors.h"

namespace slim {
namespace {

constexpr std::string_view kOld = "Old flags";
constexpr double kSmoothQuantAlpha = 0.5;

constexpr Flag kFlags[] = {
    {.name = "type",
     .kind = FlagKind::kChoice,
     .help = "quantization type",
     .choices = "w8a8 w8a8_dynamic w8a16"},
    {.name = "calib",
     .kind = FlagKind::kText,
     .help = "calibration text (JSONL, JSON list or plain text); default: the set that ships",
     .value = "FILE",
     .aliases = "calib_file"},
    {.name = "smooth",
     .kind = FlagKind::kChoice,
     .help = "smoothing of outlier channels; default: iter for w8a8 types",
     .choices = "none iter"},
    {.name = "alpha",
     .kind = FlagKind::kReal,
     .help = "smoothing strength, 0 to 1; default 0.9",
     .value = "X"},
    {.name = "layout",
     .kind = FlagKind::kChoice,
     .help = "layout of the output; default ascendv1",
     .choices = "ascendv1 ascendv1-v0 mindie"},
    {.name = "compute",
     .kind = FlagKind::kChoice,
     .help = "precision of elementwise steps: fp32 (default), or model for msModelSlim's numbers",
     .choices = "fp32 model"},
    {.name = "disable-names",
     .kind = FlagKind::kList,
     .help = "linears that stay float, besides the type's own list",
     .value = "GLOB",
     .repeatable = true},
    {.name = "quantize-names",
     .kind = FlagKind::kList,
     .help = "linears taken off the list of float ones",
     .value = "GLOB",
     .repeatable = true},
    // The traditional command of msModelSlim.
    {.name = "model-path",
     .kind = FlagKind::kText,
     .help = "the model",
     .value = "DIR",
     .group = kOld,
     .hidden = true},
    {.name = "save-directory",
     .kind = FlagKind::kText,
     .help = "the output",
     .value = "DIR",
     .group = kOld,
     .hidden = true},
    {.name = "w-bit",
     .kind = FlagKind::kInteger,
     .help = "bits of a weight",
     .value = "N",
     .group = kOld,
     .hidden = true},
    {.name = "a-bit",
     .kind = FlagKind::kInteger,
     .help = "bits of an activation",
     .value = "N",
     .group = kOld,
     .hidden = true},
    {.name = "is-dynamic",
     .kind = FlagKind::kBoolean,
     .help = "per-token activations",
     .group = kOld,
     .hidden = true},
    {.name = "act-method",
     .kind = FlagKind::kInteger,
     .help = "activation ranges",
     .value = "N",
     .group = kOld,
     .hidden = true},
    {.name = "anti-method",
     .kind = FlagKind::kText,
     .help = "outlier method",
     .value = "mN",
     .group = kOld,
     .hidden = true},
    {.name = "mindie-format",
     .kind = FlagKind::kBoolean,
     .help = "layout mindie",
     .group = kOld,
     .hidden = true},
    {.name = "device-type",
     .kind = FlagKind::kText,
     .help = "means nothing here",
     .value = "NAME",
     .group = kOld,
     .hidden = true},
    {.name = "model-type",
     .kind = FlagKind::kText,
     .help = "means nothing here",
     .value = "NAME",
     .group = kOld,
     .hidden = true},
    {.name = "trust-remote-code",
     .kind = FlagKind::kBoolean,
     .help = "means nothing here",
     .group = kOld,
     .hidden = true},
};

// `slim-quant quant …`: msModelSlim's one-click command.
constexpr Flag kOneClickFlags[] = {
    {.name = "model-path", .kind = FlagKind::kText, .help = "the float model", .value = "DIR"},
    {.name = "save-path", .kind = FlagKind::kText, .help = "the output", .value = "DIR"},
    {.name = "quant-type",
     .kind = FlagKind::kText,
     .help = "w8a8 or w8a16; default w8a8",
     .value = "TYPE"},
    {.name = "model-type",
     .kind = FlagKind::kText,
     .help = "accepted, config.json decides",
     .value = "NAME"},
    {.name = "device",
     .kind = FlagKind::kText,
     .help = "accepted, slim runs on the CPU",
     .value = "NAME"},
    {.name = "trust-remote-code",
     .kind = FlagKind::kBoolean,
     .help = "accepted, slim never runs code of a checkpoint"},
};

constexpr Operand kOperands[] = {
    {.name = "MODEL", .help = "directory of a float Hugging Face checkpoint", .required = false}};

constexpr Command kCommands[] = {
    {.name = "",
     .synopsis = "MODEL -o OUT [--type TYPE] [options]",
     .summary = "quantize a checkpoint",
     .flags = kFlags,
     .operands = kOperands,
     .writes = true},
    {.name = "quant",
     .synopsis = "--model_path MODEL --save_path OUT [--quant_type TYPE] [options]",
     .summary = "the same by the flags of msmodelslim quant",
     .flags = kOneClickFlags,
     .operands = {},
     .writes = true},
};

void NoteMeaningless(const Arguments& arguments, Console& console,
                     std::initializer_list<std::string_view> flags) {
  for (const std::string_view flag : flags) {
    if (!arguments.SpelledAs(flag).empty()) {
      console.Note(fmt::format("{} means nothing here and is ignored", arguments.SpelledAs(flag)));
    }
  }
}

Result<Scheme> TypeByName(std::string_view name) {
  std::vector<std::string> known;
  for (const Scheme scheme : QuantizableTypes()) {
    if (SchemeName(scheme) == name) return scheme;
    known.emplace_back(SchemeName(scheme));
  }
  return UsageError(
      fmt::format("quantization type {} is not one that slim-quant makes", Quote(name)),
      "known: " + Join(known, ", "));
}

Result<std::string> ModelOf(const Arguments& arguments, std::string_view flag) {
  const bool given = !arguments.SpelledAs(flag).empty();
  if (!arguments.operands().empty()) {
    if (given)
      return UsageError(fmt::format("the model is given twice, as {} and as an operand",
                                    arguments.SpelledAs(flag)));
    return arguments.operands().front();
  }
  if (given) return arguments.Text(flag);
  return UsageError("no model is given", "slim-quant MODEL -o OUT");
}

Result<std::string> OutputOf(const Arguments& arguments, std::string_view old_flag, bool dry_run) {
  if (arguments.Has("output")) return arguments.Text("output");
  if (arguments.Has(old_flag)) return arguments.Text(old_flag);
  if (dry_run) return std::string();
  return UsageError("no output is given", "-o OUT names it");
}

// What msModelSlim's outlier methods mean here. Most are closed code: the man page says what stands
// in for them.
Status ReadAntiMethod(const Arguments& arguments, Console& console, QuantFlags& options) {
  options.smooth.reset();
  if (!arguments.Has("anti-method")) return {};
  const std::string method = arguments.Text("anti-method");
  constexpr std::array<std::string_view, 6> kMethods = {"m1", "m2", "m3", "m4", "m5", "m6"};
  if (std::find(kMethods.begin(), kMethods.end(), method) == kMethods.end()) {
    return UsageError(fmt::format("outlier method {} is unknown", Quote(method)),
                      "known: m1 to m6");
  }
  if (options.type == Scheme::kW8A16) {
    return UsageError(fmt::format(
        "outlier method {} does not apply to w8a16: its activations are not quantized", method));
  }
  options.smooth = SmoothMethod::kIter;
  if (method == "m1" || method == "m4") {
    options.alpha = kSmoothQuantAlpha;
    return {};
  }
  console.Note(
      fmt::format("outlier method {} is closed or not in this version: iter_smooth with alpha {} "
                  "is used instead",
                  method, options.alpha.value_or(DefaultAlpha(SmoothMethod::kIter))));
  return {};
}

Status ReadTraditionalType(const Arguments& arguments, QuantFlags& options) {
  const int64_t weight_bits = arguments.Integer("w-bit", 8);
  const int64_t activation_bits = arguments.Integer("a-bit", 8);
  if (weight_bits != 8 || (activation_bits != 8 && activation_bits != 16)) {
    return UsageError(fmt::format("--w_bit {} --a_bit {} is not a type that slim-quant makes",
                                  weight_bits, activation_bits),
                      "known: 8 8 (w8a8, with --is_dynamic True w8a8_dynamic) and 8 16 (w8a16)");
  }
  if (arguments.Integer("act-method", 1) != 1) {
    return UsageError(
        fmt::format("--act_method {} is not in this version", arguments.Integer("act-method", 1)),
        "1 (min-max) is the one there is");
  }
  options.type = activation_bits == 16         ? Scheme::kW8A16
                 : arguments.Has("is-dynamic") ? Scheme::kW8A8Dynamic
                                               : Scheme::kW8A8;
  return {};
}

// quant_qwen.py and its siblings: names given replace the list of down_proj layers; the last linear
// stays float always.
Status ReadTraditional(const Arguments& arguments, Console& console, QuantFlags& options) {
  SLIM_TRY(ReadTraditionalType(arguments, options));
  SLIM_TRY(ReadAntiMethod(arguments, console, options));
  options.layout = arguments.Has("mindie-format") ? Dialect::kMindIE : Dialect::kAscendV1V0;
  options.float_names = arguments.All("disable-names");
  if (options.float_names.empty()) options.float_names = {"*down_proj"};
  if (std::find(options.float_names.begin(), options.float_names.end(), "lm_head") ==
      options.float_names.end()) {
    options.float_names.emplace_back("lm_head");
  }
  NoteMeaningless(arguments, console, {"device-type", "model-type", "trust-remote-code"});
  return {};
}

Status ReadOwn(const Arguments& arguments, QuantFlags& options) {
  SLIM_ASSIGN(options.type, TypeByName(arguments.Text("type", SchemeName(options.type))));
  options.smooth = DefaultSmooth(options.type);
  if (arguments.Has("smooth")) {
    options.smooth.reset();
    if (arguments.Text("smooth") == "iter") options.smooth = SmoothMethod::kIter;
  }
  if (options.smooth == SmoothMethod::kIter && options.type == Scheme::kW8A16) {
    return UsageError("--smooth iter does not apply to w8a16: its activations are not quantized");
  }
  if (!options.smooth && arguments.Has("alpha")) return UsageError("--alpha needs --smooth iter");
  SLIM_ASSIGN(options.layout, ParseDialect(arguments.Text("layout", "ascendv1")));
  options.float_names = DefaultFloatNames(options.type);
  for (const std::string& name : arguments.All("disable-names"))
    options.float_names.push_back(name);
  return {};
}

bool IsTraditional(const Arguments& arguments) {
  return std::any_of(std::begin(kFlags), std::end(kFlags), [&](const Flag& flag) {
    return flag.group == kOld && !arguments.SpelledAs(flag.name).empty();
  });
}

Result<QuantCommand> ReadMain(const Arguments& arguments, Console& console) {
  QuantCommand command;
  QuantFlags options;
  if (arguments.Has("alpha")) options.alpha = arguments.Real("alpha", 0);
  if (options.alpha && !(*options.alpha >= 0 && *options.alpha <= 1))
    return UsageError(fmt::format("--alpha {} is outside 0 to 1", *options.alpha));
  if (IsTraditional(arguments)) {
    SLIM_TRY(ReadTraditional(arguments, console, options));
  } else {
    SLIM_TRY(ReadOwn(arguments, options));
  }
  options.compute =
      arguments.Text("compute", "fp32") == "model" ? ComputeMode::kModel : ComputeMode::kFp32;
  options.quantize_names = arguments.All("quantize-names");
  options.calibration_file = arguments.Text("calib");
  options.part_size = arguments.Size("part-size", 0);
  command.options.recipe = RecipeOf(options);
  SLIM_ASSIGN(command.model, ModelOf(arguments, "model-path"));
  SLIM_ASSIGN(command.output, OutputOf(arguments, "save-directory", arguments.Has("dry-run")));
  return command;
}

Result<QuantCommand> ReadOneClick(const Arguments& arguments, Console& console) {
  QuantCommand command;
  QuantFlags options;
  SLIM_ASSIGN(options.type, TypeByName(ToLower(arguments.Text("quant-type", "w8a8"))));
  options.smooth = DefaultSmooth(options.type);
  options.float_names = DefaultFloatNames(options.type);
  options.part_size = arguments.Size("part-size", 0);
  command.options.recipe = RecipeOf(options);
  SLIM_ASSIGN(command.model, ModelOf(arguments, "model-path"));
  SLIM_ASSIGN(command.output, OutputOf(arguments, "save-path", arguments.Has("dry-run")));
  NoteMeaningless(arguments, console, {"model-type", "device", "trust-remote-code"});
  return command;
}

}  // namespace

const Tool kQuantTool = {.name = "slim-quant",
                         .summary = "make quantized checkpoints for Ascend NPUs",
                         .commands = kCommands};

Result<QuantCommand> ReadQuantCommand(const Arguments& arguments, Console& console) {
  auto command = arguments.command().name == "quant" ? ReadOneClick(arguments, console)
                                                     : ReadMain(arguments, console);
  if (!command.ok()) return command;
  command->write = arguments.output_options();
  command->dry_run = arguments.Has("dry-run");
  command->options.max_memory = arguments.Size("max-memory", 0);
  command->options.threads = static_cast<int>(arguments.Integer("threads", DefaultThreadCount()));
  return command;
}

}  // namespace slim
