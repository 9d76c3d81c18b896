#include "cli/run_tool.h"

#include <fmt/format.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "base/text.h"
#include "base/version.h"
#include "cli/completion.h"
#include "os/interrupt.h"
#include "os/memory.h"
#include "os/terminal.h"

namespace slim {
namespace {

Result<LogLevel> ParseLogLevel(std::string_view name, const std::string& text) {
  const std::string word = ToLower(text);
  if (word == "error" || word == "critical" || word == "fatal") return LogLevel::kError;
  if (word == "warning" || word == "warn") return LogLevel::kWarning;
  if (word == "info") return LogLevel::kInfo;
  if (word == "debug") return LogLevel::kDebug;
  return UsageError(fmt::format("environment variable {} has the value {}", name, Quote(text)),
                    "expected error, warning, info or debug");
}

// SLIM_LOG_LEVEL, else MSMODELSLIM_LOG_LEVEL; flags win over both.
Status SetLevel(const Arguments& arguments, Console& console) {
  if (arguments.Has("quiet") && arguments.Has("verbose")) {
    return UsageError("options '--quiet' and '--verbose' contradict each other");
  }
  for (const char* name : {"SLIM_LOG_LEVEL", "MSMODELSLIM_LOG_LEVEL"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    SLIM_ASSIGN(const LogLevel level, ParseLogLevel(name, value));
    console.set_level(level);
    break;
  }
  if (arguments.Has("quiet")) console.set_level(LogLevel::kError);
  if (arguments.Has("verbose")) console.set_level(LogLevel::kDebug);
  return {};
}

void SetColor(const Arguments& arguments, Console& console) {
  const std::string color = arguments.Text("color", "auto");
  console.set_color(color == "always" ? Color::kAlways
                                      : (color == "never" ? Color::kNever : Color::kAuto));
}

// One of the flag's choices.
Shell ShellNamed(const std::string& name) {
  return name == "zsh" ? Shell::kZsh : (name == "fish" ? Shell::kFish : Shell::kBash);
}

Result<int> ParseAndRun(const Tool& tool, const std::vector<std::string>& words, ToolFunction run,
                        ToolSetup setup, Console& console) {
  SLIM_ASSIGN(const Arguments arguments, ParseArguments(tool, words));
  if (arguments.Has("help")) {
    SLIM_TRY(console.Print(HelpText(tool, arguments.command())));
    return 0;
  }
  if (arguments.Has("version")) {
    SLIM_TRY(console.Print(fmt::format("{} {}\n", tool.name, kVersion)));
    return 0;
  }
  if (arguments.Has("completion")) {
    SLIM_TRY(console.Print(CompletionScript(tool, ShellNamed(arguments.Text("completion")))));
    return 0;
  }
  SetColor(arguments, console);
  console.set_json(arguments.Has("json"));
  SLIM_TRY(SetLevel(arguments, console));
  if (setup != nullptr) SLIM_TRY(setup());
  return run(arguments, console);
}

// Exceptions end here, whatever library they come from.
Result<int> RunCatching(const Tool& tool, const std::vector<std::string>& words, ToolFunction run,
                        ToolSetup setup, Console& console) {
  try {
    return ParseAndRun(tool, words, run, setup, console);
  } catch (const std::bad_alloc&) {
    Error error;
    error.message = "out of memory";
    return error;
  } catch (const std::exception& exception) {
    return InternalError(fmt::format("internal error: {}", Escape(exception.what())));
  } catch (...) {
    return InternalError("internal error: unknown exception");
  }
}

int RunAndReport(const Tool& tool, int argc, char** argv, ToolFunction run, ToolSetup setup) {
  Console console(tool.name);
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  const Result<int> result = RunCatching(tool, words, run, setup, console);
  Status out = console.Flush();
  if (out.ok()) out = CloseStandardOutput();
  if (!result.ok()) {
    if (result.error().code == ErrorCode::kCancelled) {
      console.ClearProgress();
      DieOfInterrupt();
    }
    console.Fail(result.error());
    return static_cast<int>(result.error().code);
  }
  if (!out.ok()) {
    console.Fail(out.error());
    return static_cast<int>(out.error().code);
  }
  return *result;
}

}  // namespace

int RunTool(const Tool& tool, int argc, char** argv, ToolFunction run, ToolSetup setup) {
  GuardStandardDescriptors();
  ReturnLargeBlocks();
  InstallInterruptHandlers();
  std::signal(SIGPIPE, SIG_DFL);
  try {
    return RunAndReport(tool, argc, argv, run, setup);
  } catch (const std::bad_alloc&) {  // while the tool was started, or an error was being said
    [[maybe_unused]] const Status told = WriteStream(Stream::kErr, "error: out of memory\n");
    return static_cast<int>(ErrorCode::kInternal);
  }
}

}  // namespace slim
