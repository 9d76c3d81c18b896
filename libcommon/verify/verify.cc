#include "verify/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "base/text.h"
#include "parallel/thread_pool.h"
#include "verify/context.h"
#include "verify/parts_rules.h"

namespace slim {
namespace {

constexpr size_t kTensorsWorthThreads = 10'000;

// Each looks at the open checkpoint and reports to the context, which puts the findings in order:
// they may run side by side.
constexpr auto kChecks = std::to_array<void (*)(VerifyContext&)>(
    {CheckDescription, CheckLinears, CheckForeign, CheckModel, CheckFusedGroups, CheckConfig});

void CheckDirectory(VerifyContext& context, const VerifyOptions& options, ThreadPool& pool) {
  // Its tensors have llama.cpp's names, which the other checks do not look for.
  if (context.IsDialect(Dialect::kGguf)) {
    CheckForeign(context);
    return CheckLoaders(context, options.deep);
  }
  pool.ParallelFor(kChecks.size(), 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) kChecks[i](context);
  });
  CheckLoaders(context, options.deep);
}

int WorthThreads(const Checkpoint& checkpoint, const VerifyOptions& options) {
  return checkpoint.tensors().size() < kTensorsWorthThreads ? 1 : std::max(options.threads, 1);
}

// What the system refused is no verdict on the checkpoint.
Status SystemProblem(const Checkpoint& checkpoint) {
  for (const Error& problem : checkpoint.problems()) {
    if (problem.code != ErrorCode::kInput) return problem;
  }
  return {};
}

}  // namespace

void SortFindings(std::vector<Finding>& findings) {
  std::vector<size_t> rank(findings.size());
  for (size_t i = 0; i < findings.size(); ++i) {
    const Rule* rule = FindRule(findings[i].rule);
    rank[i] = rule == nullptr ? SIZE_MAX : static_cast<size_t>(rule - AllRules().data());
  }
  std::vector<size_t> order(findings.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const Finding& left = findings[a];
    const Finding& right = findings[b];
    if (rank[a] != rank[b]) return rank[a] < rank[b];
    if (left.severity != right.severity) return left.severity < right.severity;
    if (left.tensor != right.tensor) return NaturalLess(left.tensor, right.tensor);
    if (left.path != right.path) return NaturalLess(left.path, right.path);
    if (left.loader != right.loader) return left.loader < right.loader;
    return left.message < right.message;
  });
  std::vector<Finding> sorted;
  sorted.reserve(order.size());
  for (const size_t index : order) sorted.push_back(std::move(findings[index]));
  findings = std::move(sorted);
}

std::string_view EffectName(Effect effect) {
  constexpr std::array<std::string_view, 6> kNames = {
      "", "refuses", "crashes", "crashes-at-forward", "loads-wrong", "degrades"};
  return kNames[static_cast<size_t>(effect)];
}

uint64_t VerifyReport::Count(Severity severity) const {
  return static_cast<uint64_t>(
      std::count_if(findings.begin(), findings.end(),
                    [&](const Finding& finding) { return finding.severity == severity; }));
}

bool VerifyReport::ok() const {
  return Count(Severity::kError) == 0 && (!strict || Count(Severity::kWarning) == 0);
}

std::string_view VerifyReport::DialectName() const {
  const DialectTraits& traits = TraitsOf(dialect);
  return single_file && traits.container == Container::kSafetensors ? "safetensors" : traits.name;
}

std::string_view RelativePath(const VerifyReport& report, const Finding& finding) {
  std::string_view path = finding.path;
  if (path == report.path) return "";
  if (path.starts_with(report.path)) path.remove_prefix(report.path.size());
  while (path.starts_with('/')) path.remove_prefix(1);
  return path;
}

int VerifyOutcome::ExitCode() const {
  if (report() != nullptr) return report()->ok() ? 0 : 1;
  return static_cast<int>(error()->code);
}

namespace {

// A part has no config.json and no side files: they stand beside all parts.
Status CheckOnePart(const Checkpoint& part, const RuleSelection& selection,
                    const VerifyOptions& options, Listener& listener, VerifyReport& report) {
  SLIM_TRY(SystemProblem(part));
  ThreadPool pool(WorthThreads(part, options));
  VerifyContext context(part, selection, options.targets, pool);
  CheckContainer(context);
  CheckDescription(context);
  CheckLinears(context);
  if (options.deep) SLIM_TRY(CheckValues(context, options.threads, listener));
  SLIM_TRY(context.failure());
  report.quant_type = context.quant_type();
  std::vector<Finding> findings = context.TakeFindings();
  report.findings.insert(report.findings.end(), std::make_move_iterator(findings.begin()),
                         std::make_move_iterator(findings.end()));
  return {};
}

void CountTensors(const Checkpoint& checkpoint, VerifyReport& report) {
  report.tensors += checkpoint.tensors().size();
  for (const TensorEntry& entry : checkpoint.tensors()) report.bytes += entry.size;
}

}  // namespace

Result<VerifyReport> VerifyCheckpoint(const std::string& path, const VerifyOptions& options,
                                      Listener& listener) {
  SLIM_ASSIGN(const RuleSelection selection, RuleSelection::Parse(options.rules));
  SLIM_ASSIGN(const Checkpoint checkpoint, Checkpoint::Inspect(path, options.threads));
  SLIM_TRY(SystemProblem(checkpoint));
  ThreadPool pool(WorthThreads(checkpoint, options));
  VerifyContext context(checkpoint, selection, options.targets, pool);
  CheckContainer(context);
  SLIM_TRY(context.ReadForeign());
  if (checkpoint.is_single_file()) {
    CheckLoaders(context, options.deep);
  } else {
    CheckDirectory(context, options, pool);
  }
  if (options.deep) SLIM_TRY(CheckValues(context, options.threads, listener));
  SLIM_TRY(context.failure());
  VerifyReport report;
  report.path = path;
  report.quant_type = context.quant_type();
  std::vector<Checkpoint> parts;
  SLIM_TRY(CheckParts(
      context,
      [&](const Checkpoint& part) {
        return CheckOnePart(part, selection, options, listener, report);
      },
      parts));
  report.dialect = checkpoint.dialect();
  report.single_file = checkpoint.is_single_file();
  report.deep = options.deep;
  report.strict = options.strict;
  for (const LoaderTarget& target : options.targets) report.loaders.push_back(target.name);
  CountTensors(checkpoint, report);
  for (const Checkpoint& part : parts) CountTensors(part, report);
  std::vector<Finding> findings = context.TakeFindings();
  report.findings.insert(report.findings.end(), std::make_move_iterator(findings.begin()),
                         std::make_move_iterator(findings.end()));
  SortFindings(report.findings);
  return report;
}

}  // namespace slim
