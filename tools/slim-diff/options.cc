#include "options.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "os/processors.h"

namespace slim {
namespace {

constexpr std::string_view kLimits = "Limits";
constexpr std::string_view kReport = "Report";

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
    {.name = "max-kl",
     .kind = FlagKind::kReal,
     .help = "largest mean KL divergence, in nats a token",
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
    {.name = "max-ppl-ratio",
     .kind = FlagKind::kReal,
     .help = "largest perplexity of the second over that of the first",
     .value = "X",
     .group = kLimits},
    {.name = "metrics",
     .kind = FlagKind::kText,
     .help = "what to report, separated by commas: kl, top1, top5, cosine, rmse, ppl, greedy; "
             "default: all",
     .value = "LIST",
     .group = kReport},
    {.name = "format",
     .kind = FlagKind::kChoice,
     .help = "form of the report; default text, --json means json",
     .group = kReport,
     .choices = "text json csv"},
    {.name = "output",
     .kind = FlagKind::kText,
     .help = "write the report to a file instead of standard output",
     .value = "FILE",
     .group = kReport,
     .letter = 'o'},
    {.name = "force", .help = "replace a report that exists", .group = kReport},
};

constexpr Operand kOperands[] = {
    {.name = "FIRST", .help = "the checkpoint to compare with, as a rule the float one"},
    {.name = "SECOND", .help = "the checkpoint to judge"},
};

constexpr Command kCommands[] = {
    {.name = "",
     .synopsis = "FIRST SECOND [--prompts FILE] [--max-kl X] [options]",
     .summary = "compare the logits of two checkpoints",
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
          fmt::format("--{} {} can never tell anything: a {} is {}", kind.flag, limit, kind.name,
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
  for (const Threshold& threshold : thresholds) wanted.push_back(threshold.kind->metric);
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
  const std::string format = arguments.Text("format", arguments.Has("json") ? "json" : "text");
  if (arguments.Has("json") && format != "json")
    return UsageError(
        fmt::format("options '--json' and '--format {}' contradict each other", format));
  return format == "json"  ? ReportFormat::kJson
         : format == "csv" ? ReportFormat::kCsv
                           : ReportFormat::kText;
}

}  // namespace

const Tool kDiffTool = {
    .name = "slim-diff", .summary = "compare the logits of two checkpoints", .commands = kCommands};

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
  options.greedy = std::find(command.metrics.begin(), command.metrics.end(), Metric::kGreedy) !=
                   command.metrics.end();
  options.backend =
      arguments.Text("backend", "fast") == "reference" ? Backend::kReference : Backend::kFast;
  options.threads = static_cast<int>(arguments.Integer("threads", DefaultThreadCount()));
  SLIM_ASSIGN(command.format, ReadFormat(arguments));
  command.output = arguments.Text("output");
  command.write.force = arguments.Has("force");
  if (command.write.force && command.output.empty())
    return UsageError("--force needs -o FILE: nothing else is written");
  return command;
}

}  // namespace slim
