#include "session.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "options.h"
#include "os/file.h"
#include "output.h"
#include "report/verify_json.h"
#include "report/verify_text.h"
#include "verify/baseline.h"
#include "verify/severities.h"

namespace slim {
namespace {

Result<std::vector<VerifyOutcome>> VerifyAll(const VerifyCommand& command, Console& console) {
  const bool manifest = command.mode == VerifyCommand::Mode::kCheckManifest;
  std::vector<VerifyOutcome> outcomes;
  for (const std::string& path : command.paths) {
    auto report = manifest ? CheckManifest(path, command.manifest, console)
                           : VerifyCheckpoint(path, command.options, console);
    if (report.ok()) {
      outcomes.push_back({path, std::move(*report)});
      continue;
    }
    if (report.error().code == ErrorCode::kCancelled) return report.error();
    console.Fail(report.error());
    outcomes.push_back({path, std::move(report).error()});
  }
  return outcomes;
}

Result<Severities> ReadSeverities(const VerifyCommand& command, Console& console) {
  std::string path = command.config;
  if (path.empty()) {
    if (KindOf(std::string(kVerifyConfigName)) != FileKind::kRegular) return Severities();
    path = kVerifyConfigName;
    console.Note("severities from ./slim-verify.yaml");
  }
  SLIM_ASSIGN(const std::string text, ReadWholeFile(path));
  return Severities::Parse(text, path);
}

// Takes what a baseline knows out of the reports; --write-baseline knows all.
Status AcceptKnown(const VerifyCommand& command, std::vector<VerifyOutcome>& outcomes,
                   Console& console) {
  Baseline known;
  if (!command.baseline.empty()) {
    SLIM_ASSIGN(const std::string text, ReadWholeFile(command.baseline));
    auto parsed = Baseline::Parse(text);
    if (!parsed.ok()) return std::move(parsed).error().WithPath(command.baseline);
    known = std::move(*parsed);
  }
  const bool all_read =
      std::all_of(outcomes.begin(), outcomes.end(),
                  [](const VerifyOutcome& outcome) { return outcome.report() != nullptr; });
  if (!command.write_baseline.empty() && !all_read) {
    console.Warning(fmt::format("{} is not written: what could not be read is not accepted",
                                Escape(command.write_baseline)));
  } else if (!command.write_baseline.empty()) {
    known = Baseline::Of(outcomes);
    SLIM_TRY(WriteFileAtomically(command.write_baseline, known.Text(), command.write));
  }
  for (VerifyOutcome& outcome : outcomes) {
    if (outcome.report() != nullptr) known.Accept(std::get<VerifyReport>(outcome.result));
  }
  if (known.Unmet() > 0) {
    console.Note(fmt::format("{}: {} entries that no checkpoint meets any more", command.baseline,
                             known.Unmet()));
  }
  return {};
}

Result<int> WriteManifests(const VerifyCommand& command, Console& console) {
  std::vector<ManifestSummary> written;
  int worst = 0;
  for (const std::string& path : command.paths) {
    auto summary = WriteManifest(path, command.manifest, command.write, console);
    if (summary.ok()) {
      written.push_back(std::move(*summary));
      continue;
    }
    if (summary.error().code == ErrorCode::kCancelled) return std::move(summary).error();
    console.Fail(summary.error());
    worst = std::max(worst, static_cast<int>(summary.error().code));
  }
  SLIM_TRY(WriteReport(command,
                       console.json() ? JsonText(ManifestsJson(written)) : ManifestsText(written),
                       console));
  return worst;
}

}  // namespace

Result<int> RunVerify(const Arguments& arguments, Console& console) {
  using Mode = VerifyCommand::Mode;
  SLIM_ASSIGN(const VerifyCommand command, ReadVerifyCommand(arguments));
  if (command.mode == Mode::kWriteManifest) return WriteManifests(command, console);
  if (command.mode != Mode::kVerify && command.mode != Mode::kCheckManifest) {
    SLIM_ASSIGN(const std::string text, ListText(command, console.json()));
    SLIM_TRY(WriteReport(command, text, console));
    return 0;
  }
  SLIM_ASSIGN(const Severities severities, ReadSeverities(command, console));
  SLIM_ASSIGN(std::vector<VerifyOutcome> outcomes, VerifyAll(command, console));
  for (VerifyOutcome& outcome : outcomes) {
    if (outcome.report() != nullptr) severities.Apply(std::get<VerifyReport>(outcome.result));
  }
  SLIM_TRY(AcceptKnown(command, outcomes, console));
  SLIM_TRY(WriteReport(command, ReportText(command, outcomes, console), console));
  int worst = 0;
  for (const VerifyOutcome& outcome : outcomes) worst = std::max(worst, outcome.ExitCode());
  return worst;
}

}  // namespace slim
