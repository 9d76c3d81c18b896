#include "old_commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "flags.h"
#include "quant/options.h"
#include "quant/traditional.h"

namespace slim {
namespace {

// A switch that scripts write as --flag True or --flag False.
bool Bool(const Arguments& arguments, std::string_view flag, bool fallback) {
  return arguments.SpelledAs(flag).empty() ? fallback : arguments.Has(flag);
}

// Settings whose usual value is the only one there is.
Status CheckFixed(const Arguments& arguments) {
  const std::string level = arguments.Text("disable-level", "L0");
  struct Refusal {
    bool given;
    std::string message;
    std::string_view hint;
  };
  const Refusal refusals[] = {
      {arguments.Has("do-smooth"), "--do_smooth True is not supported: it is closed code",
       "--anti_method names the outlier method"},
      {arguments.Has("use-reduce-quant"),
       "--use_reduce_quant is not supported: it quantizes communication at run time", ""},
      {ToUpper(level) != "L0", fmt::format("--disable_level {} is not supported", Quote(level)),
       "name the layers with --disable_names; slim-quant analyze ranks them"},
      {arguments.Real("disable-threshold", 0) != 0,
       "--disable_threshold is not supported: the score that it cuts off is closed code",
       "name the layers with --disable_names; slim-quant analyze ranks them"},
      {arguments.Integer("layer-count", 0) != 0,
       "--layer_count is not supported: a model cut off after some layers is of no use",
       "--layer_count 0 stands for all"},
      {arguments.Real("pr", 1) != 1, "--pr is not supported: outputs do not depend on chance here",
       "--pr 1.0 is what the scripts use"},
      {arguments.Has("nonuniform"),
       "--nonuniform True is not supported: codes are evenly spaced here",
       "--nonuniform False is what the scripts use"},
      {arguments.Has("save-split-w8a8s-dir"),
       "--save_split_w8a8s_dir is not supported: it belongs to the compressor of sparse weights, "
       "which is closed code",
       "--w_bit 4 --a_bit 8 makes the sparse weights that it takes"},
      {!arguments.SpelledAs("calib-texts").empty(), "--calib_texts is not supported",
       "write the texts into a file, blank lines between them, for --calib_file"},
  };
  for (const Refusal& refusal : refusals) {
    if (refusal.given) return UsageError(refusal.message, std::string(refusal.hint));
  }
  return {};
}

void ReadSwitches(const Arguments& arguments, TraditionalSettings& s) {
  s.w_sym = Bool(arguments, "w-sym", s.w_sym);
  s.is_dynamic = Bool(arguments, "is-dynamic", s.is_dynamic);
  s.pdmix = Bool(arguments, "pdmix", s.pdmix);
  s.use_kvcache_quant = Bool(arguments, "use-kvcache-quant", s.use_kvcache_quant);
  s.kv_sym = Bool(arguments, "kv-sym", s.kv_sym);
  s.use_fa_quant = Bool(arguments, "use-fa-quant", s.use_fa_quant);
  s.is_lowbit = Bool(arguments, "is-lowbit", s.is_lowbit);
  s.open_outlier = Bool(arguments, "open-outlier", s.open_outlier);
  s.co_sparse = Bool(arguments, "co-sparse", s.co_sparse);
  s.use_sigma = Bool(arguments, "use-sigma", s.use_sigma);
  s.rotate = Bool(arguments, "rot", s.rotate);
  s.disable_last_linear = Bool(arguments, "disable-last-linear", s.disable_last_linear);
}

Status ReadNumbers(const Arguments& arguments, TraditionalSettings& s) {
  s.w_bit = arguments.Integer("w-bit", s.w_bit);
  s.a_bit = arguments.Integer("a-bit", s.a_bit);
  s.act_method = arguments.Integer("act-method", s.act_method);
  s.fraction = arguments.Real("fraction", s.fraction);
  s.sigma_factor = arguments.Real("sigma-factor", s.sigma_factor);
  s.percdamp = arguments.Real("percdamp", s.percdamp);
  s.group_size = arguments.Integer("group-size", s.group_size);
  const int64_t part = arguments.Integer("part-file-size", 0);
  for (const auto& [name, value, good] :
       {std::tuple<std::string_view, double, bool>{"fraction", s.fraction,
                                                   s.fraction > 0 && s.fraction < 1},
        {"sigma_factor", s.sigma_factor, s.sigma_factor > 0},
        {"percdamp", s.percdamp, s.percdamp >= 0 && s.percdamp <= 1},
        {"group_size", static_cast<double>(s.group_size),
         s.group_size > 0 && s.group_size <= (1 << 20)},
        {"part_file_size", static_cast<double>(part), part >= 0 && part <= 1'000'000}}) {
    if (!good) return UsageError(fmt::format("--{} {} is out of range", name, value));
  }
  s.part_size = arguments.Size("part-size", static_cast<uint64_t>(part) << 30);
  return {};
}

// Which layers the script of a family of models keeps in float where none are named (quant_qwen.py,
// quant_llama.py). The strength that it gives m6 is not taken: the search loses less.
void SetFamilyDefaults(const Arguments& arguments, TraditionalSettings& s) {
  const std::string model = ToLower(arguments.Text("model-type", "qwen2"));
  if (!s.disable_names.empty() || (model.starts_with("llama") && s.a_bit == 16)) return;
  if (model != "llama3") s.disable_names.emplace_back("*down_proj");
  if (model == "llama3" || model == "llama3.1_fp" || model == "llama3.1_instruct")
    s.disable_names.emplace_back("*layers.[0-4].*");
}

}  // namespace

void NoteMeaningless(const Arguments& arguments, Console& console,
                     std::span<const std::string_view> flags) {
  for (const std::string_view flag : flags) {
    if (!arguments.SpelledAs(flag).empty()) {
      console.Note(fmt::format("{} means nothing here and is ignored", arguments.SpelledAs(flag)));
    }
  }
}

bool IsAtbScript(const Arguments& arguments) {
  return arguments.Has("src") || arguments.Has("dst");
}

bool IsTraditional(const Arguments& arguments) {
  const std::span<const Flag> flags = TraditionalFlags();
  return std::any_of(flags.begin(), flags.end(),
                     [&](const Flag& flag) { return !arguments.SpelledAs(flag.name).empty(); });
}

Result<Recipe> ReadTraditional(const Arguments& arguments, Console& console) {
  SLIM_TRY(CheckFixed(arguments));
  TraditionalSettings s;
  ReadSwitches(arguments, s);
  SLIM_TRY(ReadNumbers(arguments, s));
  s.w_method = arguments.Text("w-method", s.w_method);
  s.anti_method = arguments.Text("anti-method");
  if (!s.anti_method.empty() && s.a_bit == 16 && s.anti_method != "m3") {
    return UsageError(
        fmt::format("outlier method {} does not apply to a_bit 16: activations are not quantized",
                    s.anti_method),
        "m3 is the one for weights alone");
  }
  s.disable_anti_names = arguments.All("disable-anti-names");
  s.disable_names = arguments.All("disable-names");
  SetFamilyDefaults(arguments, s);
  s.calib_file = arguments.Text("calib");
  s.anti_file = arguments.Text("anti-calib-file");
  s.layout = arguments.Has("mindie-format") ? Dialect::kMindIE : Dialect::kAscendV1V0;
  NoteMeaningless(arguments, console, MeaninglessFlags());
  SLIM_ASSIGN(TraditionalRecipe traditional, RecipeOf(s));
  for (const std::string& note : traditional.notes) console.Note(note);
  return std::move(traditional.recipe);
}

Result<Recipe> ReadAtbScript(const Arguments& arguments) {
  const std::string word = ToLower(arguments.Text("type", "w8a8"));
  for (const Scheme scheme : QuantizableTypes()) {
    const std::string name(SchemeName(scheme));
    if (word != name && !word.ends_with("_" + name)) continue;
    QuantFlags flags;
    flags.type = scheme;
    flags.smooth = DefaultSmooth(scheme, flags.compute);
    flags.float_names = DefaultFloatNames(scheme);
    flags.layout = Dialect::kMindIE;
    flags.calibration_file = arguments.Text("calib");
    flags.part_size = arguments.Size("part-size", 0);
    return RecipeOf(flags);
  }
  std::vector<std::string> known;
  for (const Scheme scheme : QuantizableTypes()) known.emplace_back(SchemeName(scheme));
  return UsageError(fmt::format("-type {} ends in no type that slim-quant makes", Quote(word)),
                    "MODEL_TYPE is wanted, as in llama2_13b_w8a8; types: " + Join(known, ", "));
}

}  // namespace slim
