#include "options.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "os/file.h"
#include "os/path_guard.h"
#include "os/processors.h"
#include "verify/loader_choices.h"

namespace slim {
namespace {

constexpr std::string_view kAbout = "Instead of verifying";
constexpr std::string_view kManifest = "Integrity";
constexpr std::string_view kOutput = "Output";

// In the order of VerifyFormat.
constexpr std::string_view kFormats = "text json sarif junit github html";

constexpr Flag kFlags[] = {
    {.name = "for",
     .kind = FlagKind::kText,
     .help = "judge for this loader, too: would it load the checkpoint and compute right numbers",
     .value = "PROFILE[@VERSION]",
     .choices = kLoaderChoices,
     .repeatable = true},
    {.name = "chip",
     .kind = FlagKind::kText,
     .help = "with --for: 300I, A2, A3 or A5; what its kernels lack becomes an error",
     .value = "CHIP",
     .choices = "300I A2 A3 A5"},
    {.name = "tp",
     .kind = FlagKind::kInteger,
     .help = "with --for: tensor-parallel parts the model is to be split into",
     .value = "N",
     .minimum = 1,
     .maximum = 1024},
    {.name = "deep", .help = "read every value, too: NaN, scales, offsets, codes, folded biases"},
    {.name = "strict", .help = "warnings count as errors"},
    {.name = "rules",
     .kind = FlagKind::kText,
     .help = "look at these rules only: ids or their beginnings, separated by commas",
     .value = "LIST",
     .repeatable = true},
    {.name = "baseline",
     .kind = FlagKind::kText,
     .help = "accept the findings that FILE names",
     .value = "FILE"},
    {.name = "write-baseline",
     .kind = FlagKind::kText,
     .help = "write the findings to FILE, as a baseline, and accept them",
     .value = "FILE"},
    {.name = "config",
     .kind = FlagKind::kText,
     .help = "severities of rules; slim-verify.yaml of the working directory unless given",
     .value = "FILE"},
    {.name = "manifest",
     .kind = FlagKind::kText,
     .help = "write: digests of every tensor and file; check: what differs from them",
     .value = "write|check",
     .group = kManifest},
    {.name = "manifest-file",
     .kind = FlagKind::kText,
     .help = "the manifest, or to check a list that sha256sum wrote; PATH/slim_manifest.json "
             "unless given",
     .value = "FILE",
     .group = kManifest},
    {.name = "sha256", .help = "SHA-256 of every file, too", .group = kManifest},
    {.name = "format",
     .kind = FlagKind::kChoice,
     .help = "form of the report",
     .group = kOutput,
     .choices = kFormats},
    {.name = "output",
     .kind = FlagKind::kText,
     .help = "write the report to a file instead of standard output",
     .value = "FILE",
     .group = kOutput,
     .letter = 'o'},
    {.name = "force", .help = "replace an output that exists", .group = kOutput},
    {.name = "list",
     .help = "print the tensors of PATH: name, dtype, shape, bytes, label, file",
     .group = kAbout},
    {.name = "list-rules", .help = "print every rule", .group = kAbout},
    {.name = "list-profiles",
     .help = "print the loaders that --for knows, their versions and chips",
     .group = kAbout},
    {.name = "explain",
     .kind = FlagKind::kText,
     .help = "print one rule: what is required, why, and what to do",
     .value = "RULE",
     .group = kAbout},
};

constexpr Operand kOperands[] = {
    {.name = "PATH",
     .help = "a checkpoint directory or one .safetensors file; - reads paths from standard input",
     .required = false,
     .repeated = true}};

constexpr Command kCommands[] = {
    {.name = "",
     .synopsis = "[options] PATH...",
     .summary = "check checkpoints for Ascend NPUs: will they load, will they be right",
     .flags = kFlags,
     .operands = kOperands}};

Result<std::vector<std::string>> ReadPaths(const Arguments& arguments) {
  std::vector<std::string> paths;
  for (const std::string& operand : arguments.operands()) {
    if (operand != "-") {
      paths.push_back(operand);
      continue;
    }
    SLIM_ASSIGN(const std::string text, ReadStandardInput());
    for (std::string& line : Split(text, '\n')) {
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) paths.push_back(std::move(line));
    }
  }
  return paths;
}

std::vector<std::string> RuleWords(const Arguments& arguments) {
  std::vector<std::string> words;
  for (const std::string& list : arguments.All("rules")) {
    for (const std::string& word : Split(list, ',')) words.emplace_back(Trim(word));
  }
  return words;
}

Result<VerifyFormat> ReadFormat(const Arguments& arguments) {
  const std::string word = arguments.Text("format", arguments.Has("json") ? "json" : "text");
  if (arguments.Has("json") && word != "json")
    return UsageError(
        fmt::format("options '--json' and '--format {}' contradict each other", word));
  const std::vector<std::string> words = Split(kFormats, ' ');
  const auto at = std::find(words.begin(), words.end(), word);
  return static_cast<VerifyFormat>(at - words.begin());
}

// What a list, an explanation or the writing of a manifest has no use for.
Status CheckReportFlags(const Arguments& arguments, std::string_view mode) {
  for (const std::string_view flag : {"format", "baseline", "write-baseline", "config"}) {
    if (!arguments.Has(flag)) continue;
    return UsageError(fmt::format("option '--{}' means nothing with '--{}'", flag, mode));
  }
  return {};
}

Status ReadManifestMode(const Arguments& arguments, VerifyCommand& command) {
  using Mode = VerifyCommand::Mode;
  const std::string word = arguments.Text("manifest");
  if (word != "write" && word != "check") {
    return UsageError(fmt::format("option '--manifest' has the value {}", Quote(word)),
                      "it takes write or check");
  }
  command.mode = word == "write" ? Mode::kWriteManifest : Mode::kCheckManifest;
  command.manifest.file = arguments.Text("manifest-file");
  command.manifest.sha256 = arguments.Has("sha256");
  command.manifest.strict = arguments.Has("strict");
  if (word == "write") SLIM_TRY(CheckReportFlags(arguments, "manifest write"));
  if (word == "write" && (arguments.Has("strict") || arguments.Has("output"))) {
    return UsageError(fmt::format("option '--{}' means nothing with '--manifest write'",
                                  arguments.Has("strict") ? "strict" : "output"),
                      arguments.Has("output") ? "--manifest-file names the manifest" : "");
  }
  return {};
}

// --for, --chip and --tp as targets.
Status ReadTargets(const Arguments& arguments, std::vector<LoaderTarget>& targets) {
  for (const std::string& list : arguments.All("for")) {
    for (const std::string& word : Split(list, ',')) {
      SLIM_ASSIGN(targets.emplace_back(), ParseLoaderTarget(Trim(word)));
    }
  }
  for (const std::string_view flag : {"chip", "tp"}) {
    if (arguments.Has(flag) && targets.empty())
      return UsageError(fmt::format("option '--{}' needs '--for'", flag));
  }
  if (arguments.Has("chip")) {
    SLIM_ASSIGN(const Chip chip, ParseChip(arguments.Text("chip")));
    for (LoaderTarget& target : targets) target.chip = chip;
  }
  if (arguments.Has("tp")) {
    const auto tp = static_cast<uint32_t>(arguments.Integer("tp", 1));
    for (LoaderTarget& target : targets) target.tp = tp;
  }
  return {};
}

Status ReadMode(const Arguments& arguments, VerifyCommand& command) {
  using Mode = VerifyCommand::Mode;
  std::vector<std::string_view> modes;
  for (const std::string_view flag :
       {"manifest", "list", "list-rules", "list-profiles", "explain"}) {
    if (arguments.Has(flag)) modes.push_back(flag);
  }
  if (modes.size() > 1) {
    return UsageError(
        fmt::format("options '--{}' and '--{}' contradict each other", modes[0], modes[1]));
  }
  for (const std::string_view flag : {"manifest-file", "sha256"}) {
    if (arguments.Has(flag) && !arguments.Has("manifest"))
      return UsageError(fmt::format("option '--{}' needs '--manifest'", flag));
  }
  if (modes.empty()) return {};
  for (const std::string_view flag : {"deep", "strict", "rules", "for", "chip", "tp"}) {
    if (!arguments.Has(flag) || (flag == "strict" && modes[0] == "manifest")) continue;
    return UsageError(fmt::format("option '--{}' means nothing with '--{}'", flag, modes[0]));
  }
  if (modes[0] == "manifest") return ReadManifestMode(arguments, command);
  SLIM_TRY(CheckReportFlags(arguments, modes[0]));
  if (modes[0] == "list") {
    command.mode = Mode::kListTensors;
    return {};
  }
  if (!arguments.operands().empty()) {
    return UsageError(fmt::format("'--{}' takes no PATH, {} was given", modes[0],
                                  Quote(arguments.operands().front())));
  }
  if (modes[0] == "explain") {
    command.mode = Mode::kExplain;
    SLIM_ASSIGN(const Rule* rule, RuleNamed(arguments.Text("explain")));
    command.rules = {rule};
    return {};
  }
  if (modes[0] == "list-profiles") {
    command.mode = Mode::kListProfiles;
    return {};
  }
  command.mode = Mode::kListRules;
  for (const Rule& rule : AllRules()) command.rules.push_back(&rule);
  return {};
}

}  // namespace

const Tool kVerifyTool = {
    .name = "slim-verify",
    .summary = "check checkpoints for Ascend NPUs: will they load, will they be right",
    .commands = kCommands};

Result<VerifyCommand> ReadVerifyCommand(const Arguments& arguments) {
  using Mode = VerifyCommand::Mode;
  VerifyCommand command;
  SLIM_TRY(ReadMode(arguments, command));
  command.options.deep = arguments.Has("deep");
  command.options.strict = arguments.Has("strict");
  command.options.rules = RuleWords(arguments);
  SLIM_TRY(ReadTargets(arguments, command.options.targets));
  command.options.threads = static_cast<int>(arguments.Integer("threads", DefaultThreadCount()));
  SLIM_ASSIGN(command.format, ReadFormat(arguments));
  command.baseline = arguments.Text("baseline");
  command.write_baseline = arguments.Text("write-baseline");
  command.config = arguments.Text("config");
  command.manifest.threads = command.options.threads;
  command.output = arguments.Text("output");
  if (command.output == "-") command.output.clear();
  command.write.force = arguments.Has("force");
  command.quiet = arguments.Has("quiet");
  if (arguments.Has("output") && arguments.Text("output").empty())
    return UsageError("option '--output' has an empty value");
  SLIM_TRY(RuleSelection::Parse(command.options.rules));
  if (command.mode == Mode::kListRules || command.mode == Mode::kListProfiles ||
      command.mode == Mode::kExplain)
    return command;
  SLIM_ASSIGN(command.paths, ReadPaths(arguments));
  if (command.paths.empty() && arguments.operands().empty()) return arguments.OperandAt(0).error();
  if (command.paths.empty()) return UsageError("standard input names no PATH");
  if (!command.manifest.file.empty() && command.paths.size() > 1) {
    return UsageError(
        fmt::format("'--manifest-file' takes one PATH, {} were given", command.paths.size()));
  }
  if (command.mode == Mode::kListTensors && command.paths.size() > 1)
    return UsageError(fmt::format("'--list' takes one PATH, {} were given", command.paths.size()));
  // A report may be put beside the files of a checkpoint, not in the place of one.
  for (const std::string* output : {&command.output, &command.write_baseline}) {
    if (output->empty() || KindOf(*output) == FileKind::kMissing) continue;
    for (const std::string& path : command.paths) SLIM_TRY(CheckOutputApart(path, *output));
  }
  return command;
}

}  // namespace slim
