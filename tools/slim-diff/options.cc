#include "options.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "os/processors.h"

namespace slim {
namespace {

constexpr std::string_view kLimits = "Limits";
constexpr std::string_view kReport = "Report";

constexpr uint64_t kWorstTokens = 12;

constexpr Flag kFlags[] = {
    {.name = "prompts",
     .kind = FlagKind::kText,
     .help = "text to compare on (plain text, JSONL or a JSON list; - reads standard input); "
             "default: the calibration set that ships",
     .value = "FILE"},
    {.name = "tokens",
     .kind = FlagKind::kInteger,
     .help = "tokens of a window; default 256",
     .value = "N",
     .minimum = 2,
     .maximum = 1 << 24},
    {.name = "windows",
     .kind = FlagKind::kInteger,
     .help = "windows to compare on, the first ones; default: all",
     .value = "N",
     .minimum = 1},
    {.name = "backend",
     .kind = FlagKind::kChoice,
     .help = "how to compute: fast (default), or reference for the same bits on every machine",
     .choices = "fast reference"},
    {.name = "compute",
     .kind = FlagKind::kChoice,
     .help = "fp32 (default), or model: inputs of bf16 and fp16 weights are rounded to their dtype",
     .choices = "fp32 model"},
    {.name = "phase",
     .kind = FlagKind::kChoice,
     .help = "which arithmetic of W8A8_MIX: auto (default: prefill, greedy text decodes), prefill "
             "or decode",
     .choices = "auto prefill decode"},
    {.name = "layers", .help = "errors of every block and every linear, local and accumulated"},
    {.name = "bisect",
     .kind = FlagKind::kInteger,
     .help = "try the N worst groups of linears in float, each measured (implies --layers)",
     .value = "N",
     .minimum = 1,
     .maximum = 1 << 12},
    {.name = "weights",
     .help = "compare quantized weights with float ones; runs nothing unless --layers, --prompts, "
             "--metrics or a limit on logits is given, too"},
    {.name = "max-memory",
     .kind = FlagKind::kSize,
     .help = "memory to use at most (4GiB, 500MB)",
     .value = "SIZE"},
    {.name = "max-kl",
     .kind = FlagKind::kReal,
     .help = "largest mean KL divergence, in nats a token",
     .value = "X",
     .group = kLimits},
    {.name = "max-kl-p99",
     .kind = FlagKind::kReal,
     .help = "largest 99th percentile of the KL divergence",
     .value = "X",
     .group = kLimits},
    {.name = "min-cosine",
     .kind = FlagKind::kReal,
     .help = "smallest mean cosine of logits",
     .value = "X",
     .group = kLimits},
    {.name = "min-top1",
     .kind = FlagKind::kReal,
     .help = "smallest share of positions with the same first choice, 0 to 1",
     .value = "X",
     .group = kLimits},
    {.name = "min-top5",
     .kind = FlagKind::kReal,
     .help = "smallest share of positions where the first's choice is among the second's five",
     .value = "X",
     .group = kLimits},
    {.name = "max-rmse",
     .kind = FlagKind::kReal,
     .help = "largest RMSE of logits",
     .value = "X",
     .group = kLimits},
    {.name = "max-ppl-ratio",
     .kind = FlagKind::kReal,
     .help = "largest perplexity of the second over that of the first",
     .value = "X",
     .group = kLimits},
    {.name = "min-routing",
     .kind = FlagKind::kReal,
     .help = "smallest share of a token's experts that both choose, 0 to 1",
     .value = "X",
     .group = kLimits},
    {.name = "min-greedy",
     .kind = FlagKind::kReal,
     .help = "fewest new tokens before greedy texts part",
     .value = "N",
     .group = kLimits},
    {.name = "min-layer-sqnr",
     .kind = FlagKind::kReal,
     .help = "smallest signal to noise of a linear's own error, in decibels (implies --layers)",
     .value = "DB",
     .group = kLimits},
    {.name = "min-weight-sqnr",
     .kind = FlagKind::kReal,
     .help = "smallest signal to noise of a weight, in decibels (implies --weights)",
     .value = "DB",
     .group = kLimits},
    {.name = "metrics",
     .kind = FlagKind::kText,
     .help = "what to report, separated by commas: kl, delta_p, top1, top5, cosine, rmse, ppl, "
             "routing, greedy; default: all",
     .value = "LIST",
     .group = kReport},
    {.name = "format",
     .kind = FlagKind::kChoice,
     .help = "form of the report; default text, or html for a FILE.html; --json means json",
     .group = kReport,
     .choices = "text json csv junit html"},
    {.name = "output",
     .kind = FlagKind::kText,
     .help = "write the report to a file instead of standard output",
     .value = "FILE",
     .group = kReport,
     .letter = 'o'},
    {.name = "force", .help = "replace a report that exists", .group = kReport},
};

constexpr Operand kOperands[] = {
    {.name = "FIRST",
     .help = "the checkpoint to compare with, as a rule the float one; or a saved output"},
    {.name = "SECOND", .help = "the checkpoint to judge; or a saved output"},
};

constexpr Command kCommands[] = {
    {.name = "",
     .synopsis = "FIRST SECOND [--prompts FILE] [--max-kl X] [options]",
     .summary = "what quantization cost, and in which layer",
     .flags = kFlags,
     .operands = kOperands},
};

Result<std::vector<Threshold>> ReadThresholds(const Arguments& arguments) {
  std::vector<Threshold> thresholds;
  for (const ThresholdKind& kind : ThresholdKinds()) {
    if (!arguments.Has(kind.flag)) continue;
    const double limit = arguments.Real(kind.flag, 0);
    if (!(limit >= kind.lowest && limit <= kind.highest)) {
      return UsageError(
          fmt::format("--{} {} can never tell anything: {} is {}", kind.flag, limit, kind.name,
                      kind.highest < 2 ? fmt::format("{} to {}", kind.lowest, kind.highest)
                                       : "never negative"));
    }
    thresholds.push_back({&kind, limit});
  }
  return thresholds;
}

// What was asked for, and what a limit is set on.
Result<std::vector<Metric>> ReadMetrics(const Arguments& arguments,
                                        const std::vector<Threshold>& thresholds) {
  const auto all = AllMetrics();
  if (!arguments.Has("metrics")) return std::vector<Metric>(all.begin(), all.end());
  std::vector<Metric> wanted;
  for (const Threshold& threshold : thresholds) {
    if (const auto metric = ParseMetric(threshold.kind->metric)) wanted.push_back(*metric);
  }
  for (const std::string& part : Split(arguments.Text("metrics"), ',')) {
    const auto metric = ParseMetric(Trim(part));
    if (!metric) {
      std::vector<std::string> known;
      for (const Metric each : all) known.emplace_back(MetricName(each));
      return UsageError(fmt::format("metric {} is unknown", Quote(part)),
                        "known: " + Join(known, ", "));
    }
    wanted.push_back(*metric);
  }
  std::vector<Metric> metrics;
  for (const Metric each : all) {
    if (std::find(wanted.begin(), wanted.end(), each) != wanted.end()) metrics.push_back(each);
  }
  return metrics;
}

Result<ReportFormat> ReadFormat(const Arguments& arguments) {
  const bool html = arguments.Text("output").ends_with(".html");
  const std::string fallback = html ? "html" : "text";
  const std::string format = arguments.Text("format", arguments.Has("json") ? "json" : fallback);
  if (arguments.Has("json") && format != "json")
    return UsageError(
        fmt::format("options '--json' and '--format {}' contradict each other", format));
  return format == "json"    ? ReportFormat::kJson
         : format == "csv"   ? ReportFormat::kCsv
         : format == "junit" ? ReportFormat::kJUnit
         : format == "html"  ? ReportFormat::kHtml
                             : ReportFormat::kText;
}

bool HasLimitOn(const std::vector<Threshold>& thresholds, Measured measured) {
  return std::any_of(thresholds.begin(), thresholds.end(), [&](const Threshold& threshold) {
    return threshold.kind->measured == measured;
  });
}

// What is measured: what was asked for, what limits are on, and what a page shows.
void ReadScope(const Arguments& arguments, DiffCommand& command) {
  DiffOptions& options = command.options;
  const auto& thresholds = options.thresholds;
  const bool html = command.format == ReportFormat::kHtml;
  options.bisect = static_cast<uint64_t>(arguments.Integer("bisect", 0));
  const bool layers =
      arguments.Has("layers") || options.bisect > 0 || HasLimitOn(thresholds, Measured::kLayers);
  const bool weights = arguments.Has("weights") || HasLimitOn(thresholds, Measured::kWeights);
  bool runs = layers;
  for (const std::string_view flag : {"prompts", "metrics", "tokens", "windows"})
    runs = runs || arguments.Has(flag);
  for (const Measured measured : {Measured::kLogits, Measured::kRouting, Measured::kGreedy})
    runs = runs || HasLimitOn(thresholds, measured);
  options.run = runs || !weights;
  options.layers = layers || (html && options.run);
  options.weights = weights || html;
  options.best_effort = html && !layers && !arguments.Has("weights");
  options.worst_tokens = kWorstTokens;
  options.greedy = std::find(command.metrics.begin(), command.metrics.end(), Metric::kGreedy) !=
                   command.metrics.end();
}

PhaseChoice ReadPhase(const Arguments& arguments) {
  const std::string phase = arguments.Text("phase", "auto");
  return phase == "prefill"  ? PhaseChoice::kPrefill
         : phase == "decode" ? PhaseChoice::kDecode
                             : PhaseChoice::kAuto;
}

}  // namespace

const Tool kDiffTool = {.name = "slim-diff",
                        .summary = "what quantization cost, and in which layer",
                        .commands = kCommands};

Result<DiffCommand> ReadDiffCommand(const Arguments& arguments) {
  DiffCommand command;
  DiffOptions& options = command.options;
  SLIM_ASSIGN(options.first, arguments.OperandAt(0));
  SLIM_ASSIGN(options.second, arguments.OperandAt(1));
  if (arguments.Has("prompts") && arguments.Text("prompts").empty())
    return UsageError("--prompts names no file");
  options.prompts = arguments.Text("prompts");
  options.window_tokens = static_cast<uint64_t>(arguments.Integer("tokens", 0));
  options.max_windows = static_cast<uint64_t>(arguments.Integer("windows", 0));
  SLIM_ASSIGN(options.thresholds, ReadThresholds(arguments));
  SLIM_ASSIGN(command.metrics, ReadMetrics(arguments, options.thresholds));
  options.backend =
      arguments.Text("backend", "fast") == "reference" ? Backend::kReference : Backend::kFast;
  if (arguments.Text("compute") == "model") options.float_inputs = FloatInputs::kAsWeight;
  options.threads = static_cast<int>(arguments.Integer("threads", DefaultThreadCount()));
  options.phase = ReadPhase(arguments);
  options.max_memory = arguments.Size("max-memory", 0);
  SLIM_ASSIGN(command.format, ReadFormat(arguments));
  ReadScope(arguments, command);
  command.output = arguments.Text("output");
  command.write.force = arguments.Has("force");
  if (command.write.force && command.output.empty())
    return UsageError("--force needs -o FILE: nothing else is written");
  return command;
}

}  // namespace slim
