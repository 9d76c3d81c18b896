#include "session.h"

#include <algorithm>

#include "options.h"
#include "output.h"
#include "report/verify_json.h"
#include "report/verify_text.h"

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
  SLIM_ASSIGN(const std::vector<VerifyOutcome> outcomes, VerifyAll(command, console));
  SLIM_TRY(WriteReport(command,
                       console.json() ? JsonText(VerifyJson(outcomes))
                                      : VerifyText(outcomes, TextStyle(command, console)),
                       console));
  int worst = 0;
  for (const VerifyOutcome& outcome : outcomes) worst = std::max(worst, outcome.ExitCode());
  return worst;
}

}  // namespace slim
