#include "commands.h"

#include <fmt/format.h>

#include <cerrno>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "options.h"
#include "os/path_guard.h"
#include "os/processors.h"
#include "parallel/mpi.h"
#include "quant/analyze.h"
#include "quant/fallback.h"
#include "quant/preset.h"
#include "quant/quantize.h"
#include "quant/shard.h"
#include "report/analyze_report.h"
#include "report/merge_report.h"
#include "report/preset_report.h"
#include "report/quant_html.h"
#include "report/quant_report.h"

namespace slim {
namespace {

Status ListPresets(Console& console) {
  SLIM_ASSIGN(const std::vector<Preset> presets, LoadPresets());
  return console.Print(console.json() ? DumpJson(PresetsJson(presets), {.indent = 2}) + "\n"
                                      : PresetsText(presets));
}

Result<int> RunMerge(const Arguments& arguments, Console& console) {
  const std::vector<std::string>& operands = arguments.operands();
  const std::vector<std::string> parts(operands.begin() + 1, operands.end());
  for (const std::string& part : parts) SLIM_TRY(CheckOutputApart(part, operands[0]));
  const int threads = static_cast<int>(arguments.Integer("threads", DefaultThreadCount()));
  SLIM_ASSIGN(const MergeSummary summary,
              MergeShards(parts, operands[0], arguments.output_options(), threads, console));
  console.Note(MergeSummaryText(summary));
  if (console.json())
    SLIM_TRY(console.Print(DumpJson(MergeSummaryJson(summary), {.indent = 2}) + "\n"));
  return 0;
}

Result<int> RunAnalyze(const Arguments& arguments, Console& console) {
  AnalysisOptions options;
  for (const AnalysisMetric metric : {AnalysisMetric::kKurtosis, AnalysisMetric::kStd,
                                      AnalysisMetric::kQuantile, AnalysisMetric::kMse}) {
    if (arguments.Text("metric") == AnalysisMetricName(metric)) options.metric = metric;
  }
  if (arguments.Has("pattern")) options.patterns = arguments.All("pattern");
  options.calibration_file = arguments.Text("calib");
  options.threads = static_cast<int>(arguments.Integer("threads", DefaultThreadCount()));
  const auto topk = static_cast<uint64_t>(arguments.Integer("topk", 15));
  SLIM_ASSIGN(const Checkpoint source, Checkpoint::Open(arguments.operands()[0]));
  SLIM_ASSIGN(const Analysis analysis, AnalyzeModel(source, options, console));
  if (Ranks::World().rank() != 0) return 0;
  SLIM_TRY(console.Print(console.json()
                             ? DumpJson(AnalysisJson(analysis, topk), {.indent = 2}) + "\n"
                             : AnalysisText(analysis, topk)));
  return 0;
}

// The page is written last: what would refuse it is told before the work.
Status CheckReport(const QuantCommand& command) {
  SLIM_TRY(CheckOutputApart(command.model, command.report));
  SLIM_TRY(CheckFileAbsent(command.report, command.write));
  const std::string folder = DirectoryName(command.report);
  if (KindOf(folder) == FileKind::kDirectory) return {};
  return SystemError(folder, "the directory of the report does not exist", ENOENT);
}

// Puts the layers that must stay float into the recipe, and says which and what for.
Status FallBack(const Checkpoint& source, QuantCommand& command, Console& console) {
  if (!Ranks::World().alone()) {
    return UsageError("--auto-fallback runs in one process",
                      "run it alone, then give what it kept to --disable-names under mpirun");
  }
  SLIM_ASSIGN(const FallbackResult result,
              ChooseFallback(source, command.options, *command.budget, command.output, console));
  for (const FallbackGroup& group : result.kept_float) {
    console.Note(
        fmt::format("kept in float: {} (score {:.2f})", Join(group.linears, ", "), group.score));
    std::vector<std::string>& names = command.options.recipe.fallback;
    names.insert(names.end(), group.linears.begin(), group.linears.end());
  }
  console.Note(fmt::format("KL {:.6f} before, {:.6f} after, budget {}; {} tries", result.kl_before,
                           result.kl_after, *command.budget, result.tries));
  return {};
}

}  // namespace

Result<int> RunQuant(const Arguments& arguments, Console& console) {
  if (arguments.command().name == "analyze") return RunAnalyze(arguments, console);
  const bool talks = Ranks::World().rank() == 0;
  if (arguments.command().name == "merge") return talks ? RunMerge(arguments, console) : 0;
  SLIM_ASSIGN(QuantCommand command, ReadQuantCommand(arguments, console));
  if (command.list_presets) {
    if (talks) SLIM_TRY(ListPresets(console));
    return 0;
  }
  if (!command.output.empty()) SLIM_TRY(CheckOutputApart(command.model, command.output));
  if (!command.report.empty()) SLIM_TRY(CheckReport(command));
  SLIM_ASSIGN(const Checkpoint source, Checkpoint::OpenFloat(command.model));
  if (command.budget) SLIM_TRY(FallBack(source, command, console));
  SLIM_ASSIGN(const QuantPlan plan, PlanQuantization(source, command.options, console));
  if (command.dry_run) {
    if (!talks) return 0;
    SLIM_TRY(console.Print(
        console.json() ? DumpJson(QuantPlanJson(plan, command.options), {.indent = 2}) + "\n"
                       : QuantPlanText(plan, command.options)));
    return 0;
  }
  SLIM_ASSIGN(const QuantSummary summary,
              Quantize(source, plan, command.options, command.output, command.write, console));
  if (!talks) return 0;
  console.Note(QuantSummaryText(summary));
  if (!command.report.empty()) {
    SLIM_TRY(WriteFileAtomically(command.report, QuantHtml(summary, plan, command.options),
                                 command.write));
    console.Note(fmt::format("wrote {}", Escape(command.report)));
  }
  if (console.json()) {
    SLIM_TRY(console.Print(
        DumpJson(QuantSummaryJson(summary, plan, command.options), {.indent = 2}) + "\n"));
  }
  return 0;
}

}  // namespace slim
