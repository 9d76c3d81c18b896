#include "flags.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "verify/loader_choices.h"

namespace slim {
namespace {

// How flags of old scripts are written in the table: accepted, not in --help.
constexpr Flag Old(std::string_view name, FlagKind kind, std::string_view aliases = "") {
  return {.name = name,
          .kind = kind,
          .help = "of msModelSlim's traditional scripts",
          .value = kind == FlagKind::kBoolean ? "" : "VALUE",
          .group = "Old flags",
          .aliases = aliases,
          .hidden = true};
}

constexpr Flag kFlags[] = {
    {.name = "type",
     .kind = FlagKind::kText,
     .help = "quantization type: w8a8 (default), w8a8_dynamic, w8a8_mix, w8a16, w4a8, w4a16, w4a4, "
             "fp8, w8a8_mxfp8, w4a4_mxfp4, w8a8s, w16a16s; with c8 behind it (w8a8c8) the cache is "
             "int8 too",
     .value = "TYPE",
     .choices = "w8a8 w8a8_dynamic w8a8_mix w8a16 w4a8 w4a16 w4a4 fp8 w8a8_mxfp8 w4a4_mxfp4 w8a8s "
                "w16a16s"},
    {.name = "group-size",
     .kind = FlagKind::kInteger,
     .help = "inputs that share a weight scale; default: one scale an output",
     .value = "N"},
    {.name = "asymmetric",
     .kind = FlagKind::kBoolean,
     .help = "weights with an offset (w8a16, w4a16)"},
    {.name = "weight-method",
     .kind = FlagKind::kChoice,
     .help =
         "how weight scales are chosen; default gptq where int4 weights are calibrated or --calib "
         "is given to a type that needs none, else ssz for int4 weights and minmax",
     .choices = "minmax ssz gptq hqq awq"},
    {.name = "clip",
     .kind = FlagKind::kChoice,
     .help = "weight ranges clipped where the squared error gains; default mse for int4 weights",
     .choices = "none mse"},
    {.name = "bias-correction",
     .help = "what rounding the weights takes off the mean of each output goes into the bias"},
    {.name = "calib",
     .kind = FlagKind::kText,
     .help =
         "calibration text (JSONL, JSON list, plain text, C-Eval folder); default: the set that "
         "ships",
     .value = "FILE",
     .aliases = "calib_file calib_dataset"},
    {.name = "smooth",
     .kind = FlagKind::kChoice,
     .help = "smoothing of outlier channels; default: flex for types with integer activations",
     .choices = "none iter smoothquant flex"},
    {.name = "alpha",
     .kind = FlagKind::kReal,
     .help = "smoothing strength of iter (0.9 unless given) and smoothquant (0.5), 0 to 1",
     .value = "X"},
    {.name = "smooth-pairs",
     .kind = FlagKind::kList,
     .help =
         "where to smooth: norm-linear, linear-linear, ov, up-down; default norm-linear, for flex "
         "ov and up-down too",
     .value = "PAIR",
     .repeatable = true},
    {.name = "asymmetric-smooth",
     .help = "shift norm outputs to the middle of their range before they are scaled"},
    {.name = "activation-method",
     .kind = FlagKind::kChoice,
     .help = "static ranges: minmax, histogram, percentile, auto, output; default minmax, output "
             "with --smooth none",
     .choices = "minmax histogram percentile auto output"},
    {.name = "aggregation",
     .kind = FlagKind::kChoice,
     .help = "how minmax joins samples: max (default) or mean",
     .choices = "max mean"},
    {.name = "kv-cache",
     .kind = FlagKind::kChoice,
     .help = "quantize the cache: c8",
     .choices = "none c8"},
    {.name = "propagate",
     .kind = FlagKind::kChoice,
     .help = "what later blocks are calibrated on: float (default) or quantized activations",
     .choices = "float quantized"},
    {.name = "auto-fallback",
     .help = "keep the fewest layers in float that meet --budget, found by trying"},
    {.name = "budget",
     .kind = FlagKind::kText,
     .help = "what --auto-fallback allows: kl=X, mean KL of the logits in nats a token",
     .value = "kl=X"},
    {.name = "strict", .help = "experts that saw no calibration token are an error"},
    {.name = "dtype",
     .kind = FlagKind::kChoice,
     .help = "float tensors and scales are written in this dtype; default: the model's",
     .choices = "bf16 fp16"},
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
    {.name = "recipe",
     .kind = FlagKind::kText,
     .help = "a recipe of msModelSlim's (YAML) says what to do",
     .value = "FILE"},
    {.name = "preset",
     .kind = FlagKind::kText,
     .help = "a recipe that ships with slim says what to do",
     .value = "NAME"},
    {.name = "list-presets", .help = "list the recipes that ship with slim"},
    {.name = "resume",
     .help = "take up what a killed run of the same command left (the default, said aloud)"},
    {.name = "clean", .help = "remove what a killed run left and begin anew"},
    {.name = "for",
     .kind = FlagKind::kList,
     .help =
         "refuse, before the work, what this loader would not take (slim-verify --list-profiles)",
     .value = "PROFILE[@VERSION]",
     .choices = kLoaderChoices,
     .repeatable = true},
    {.name = "report",
     .kind = FlagKind::kText,
     .help = "write an HTML page about the run: ranges, losses, scales, what stayed float",
     .value = "FILE"},
    {.name = "shard",
     .kind = FlagKind::kText,
     .help = "make the I-th of N parts of a data-free output; slim-quant merge joins them",
     .value = "I/N"},
    // The traditional scripts.
    Old("model-path", FlagKind::kText),
    Old("save-directory", FlagKind::kText),
    Old("w-bit", FlagKind::kInteger),
    Old("a-bit", FlagKind::kInteger),
    Old("act-method", FlagKind::kInteger),
    Old("w-method", FlagKind::kText),
    Old("anti-method", FlagKind::kText),
    Old("disable-anti-names", FlagKind::kList),
    Old("anti-calib-file", FlagKind::kText),
    Old("is-dynamic", FlagKind::kBoolean),
    Old("pdmix", FlagKind::kBoolean),
    Old("use-kvcache-quant", FlagKind::kBoolean),
    Old("kv-sym", FlagKind::kBoolean),
    Old("use-fa-quant", FlagKind::kBoolean),
    Old("is-lowbit", FlagKind::kBoolean),
    Old("open-outlier", FlagKind::kBoolean),
    Old("co-sparse", FlagKind::kBoolean),
    Old("use-sigma", FlagKind::kBoolean),
    Old("w-sym", FlagKind::kBoolean),
    Old("disable-last-linear", FlagKind::kBoolean),
    Old("mm-tensor", FlagKind::kBoolean),
    Old("do-smooth", FlagKind::kBoolean),
    Old("use-reduce-quant", FlagKind::kBoolean),
    Old("fraction", FlagKind::kReal),
    Old("sigma-factor", FlagKind::kReal),
    Old("percdamp", FlagKind::kReal),
    Old("part-file-size", FlagKind::kInteger),
    Old("disable-level", FlagKind::kText),
    Old("disable-threshold", FlagKind::kReal),
    Old("layer-count", FlagKind::kInteger),
    Old("pr", FlagKind::kReal),
    Old("nonuniform", FlagKind::kBoolean),
    Old("rot", FlagKind::kBoolean),
    Old("save-split-w8a8s-dir", FlagKind::kText),
    Old("calib-texts", FlagKind::kList),
    Old("mindie-format", FlagKind::kBoolean),
    Old("device-type", FlagKind::kText),
    Old("model-type", FlagKind::kText),
    Old("model-name", FlagKind::kText),
    Old("trust-remote-code", FlagKind::kBoolean),
    Old("tp-size", FlagKind::kInteger),
    Old("fa-amp", FlagKind::kInteger),
    Old("batch-size", FlagKind::kInteger),
    Old("input-ids-name", FlagKind::kText),
    Old("attention-mask-name", FlagKind::kText),
    Old("tokenizer-args", FlagKind::kText),
    Old("torch-dtype", FlagKind::kText),
    // generate_quant_weight.sh -src M -dst O -type llama2_13b_w8a8.
    Old("src", FlagKind::kText),
    Old("dst", FlagKind::kText),
};

constexpr std::array<std::string_view, 11> kMeaningless = {
    "device-type",    "model-name",  "trust-remote-code", "tp-size",
    "fa-amp",         "batch-size",  "input-ids-name",    "attention-mask-name",
    "tokenizer-args", "torch-dtype", "mm-tensor"};

// `slim-quant quant …`: msModelSlim's one-click command.
constexpr Flag kOneClickFlags[] = {
    {.name = "report",
     .kind = FlagKind::kText,
     .help = "write an HTML page about the run",
     .value = "FILE"},
    {.name = "model-path", .kind = FlagKind::kText, .help = "the float model", .value = "DIR"},
    {.name = "save-path", .kind = FlagKind::kText, .help = "the output", .value = "DIR"},
    {.name = "quant-type",
     .kind = FlagKind::kText,
     .help = "w8a8 (default), w8a16, …: the preset of this type for the model type",
     .value = "TYPE"},
    {.name = "config-path",
     .kind = FlagKind::kText,
     .help = "a recipe (YAML) instead of a type",
     .value = "FILE"},
    {.name = "model-type",
     .kind = FlagKind::kText,
     .help = "name of the model, which chooses the preset",
     .value = "NAME"},
    {.name = "tag",
     .kind = FlagKind::kList,
     .help = "where the model will run; chooses among presets",
     .value = "WORD"},
    {.name = "device",
     .kind = FlagKind::kText,
     .help = "accepted, slim runs on the CPU",
     .value = "NAME"},
    {.name = "trust-remote-code",
     .kind = FlagKind::kBoolean,
     .help = "accepted, slim never runs code of a checkpoint"},
    {.name = "debug", .help = "accepted, --verbose is ours"},
};

constexpr Flag kAnalyzeFlags[] = {
    {.name = "metric",
     .kind = FlagKind::kChoice,
     .help = "what layers are ranked by; default kurtosis",
     .choices = "kurtosis std quantile mse",
     .aliases = "metrics"},
    {.name = "topk",
     .kind = FlagKind::kInteger,
     .help = "ranks to show; default 15",
     .value = "N",
     .minimum = 1,
     .maximum = 1'000'000},
    {.name = "pattern",
     .kind = FlagKind::kList,
     .help = "layers to rank (blocks for mse); default all",
     .value = "GLOB",
     .repeatable = true},
    {.name = "calib",
     .kind = FlagKind::kText,
     .help = "calibration text; default: the set that ships",
     .value = "FILE",
     .aliases = "calib_dataset"},
};

constexpr Operand kAnalyzeOperands[] = {
    {.name = "MODEL", .help = "directory of a float Hugging Face checkpoint"}};

constexpr Flag kMergeFlags[] = {
    {.name = "force", .help = "replace the output, in one rename, if it exists"},
    {.name = "no-fsync", .help = "do not wait for the disk: atomic, not durable"},
};

constexpr Operand kMergeOperands[] = {
    {.name = "OUT", .help = "the checkpoint to write"},
    {.name = "PART", .help = "what slim-quant --shard I/N made, for every I", .repeated = true}};

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
    {.name = "analyze",
     .synopsis = "MODEL [--metric NAME] [--topk N] [options]",
     .summary = "rank layers by what quantization costs them",
     .flags = kAnalyzeFlags,
     .operands = kAnalyzeOperands},
    {.name = "merge",
     .synopsis = "OUT PART... [options]",
     .summary = "join the parts that --shard made",
     .flags = kMergeFlags,
     .operands = kMergeOperands},
};

}  // namespace

const Tool kQuantTool = {.name = "slim-quant",
                         .summary = "make quantized checkpoints for Ascend NPUs",
                         .commands = kCommands};

std::span<const Flag> TraditionalFlags() {
  const auto* first = std::find_if(std::begin(kFlags), std::end(kFlags),
                                   [](const Flag& flag) { return flag.hidden; });
  return {first, std::end(kFlags)};
}

std::span<const std::string_view> MeaninglessFlags() { return kMeaningless; }

}  // namespace slim
