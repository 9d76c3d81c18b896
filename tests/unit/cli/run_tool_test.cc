#include "cli/run_tool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <new>
#include <sstream>
#include <stdexcept>

#include "os/interrupt.h"

namespace slim {
namespace {

constexpr Command kCommands[] = {{.name = "", .synopsis = "[options]", .summary = "Tests."}};
constexpr Tool kTool = {.name = "slim-test", .summary = "tests", .commands = kCommands};

struct Outcome {
  int status = 0;  // of waitpid
  std::string out;
  std::string err;
  int code() const { return WIFEXITED(status) ? WEXITSTATUS(status) : -1; }
};

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Runs the tool in a child whose streams go to files; `before` may rearrange them.
Outcome RunInChild(std::vector<std::string> words, ToolFunction run,
                   const std::function<void()>& before = {}) {
  const std::string base = testing::TempDir() + "slim_cli_" + std::to_string(::getpid());
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(::open((base + ".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
    ::dup2(::open((base + ".err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    for (const char* name : {"SLIM_LOG_LEVEL", "MSMODELSLIM_LOG_LEVEL"}) ::unsetenv(name);
    if (before) before();
    words.insert(words.begin(), "slim-test");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    ::_exit(RunTool(kTool, static_cast<int>(argv.size()), argv.data(), run));
  }
  Outcome outcome;
  ::waitpid(child, &outcome.status, 0);
  outcome.out = ReadAll(base + ".out");
  outcome.err = ReadAll(base + ".err");
  ::unlink((base + ".out").c_str());
  ::unlink((base + ".err").c_str());
  return outcome;
}

Result<int> Greet(const Arguments& arguments, Console& console) {
  console.Note("a note");
  console.Detail("a detail");
  console.Warning("a warning");
  console.Progress("work", 1, 2);
  SLIM_TRY(console.Print(arguments.Has("json") ? "{}\n" : "hello\n"));
  return 0;
}

TEST(RunTool, DataOnStdoutTalkOnStderr) {
  const Outcome outcome = RunInChild({}, Greet);
  EXPECT_EQ(outcome.code(), 0);
  EXPECT_EQ(outcome.out, "hello\n");
  EXPECT_EQ(outcome.err, "slim-test: a note\nslim-test: warning: a warning\n");
}

TEST(RunTool, LevelsFromFlagsAndEnvironment) {
  EXPECT_EQ(RunInChild({"--quiet"}, Greet).err, "");
  EXPECT_EQ(RunInChild({"-v"}, Greet).err,
            "slim-test: a note\nslim-test: a detail\nslim-test: warning: a warning\n");
  EXPECT_EQ(RunInChild({}, Greet, [] { ::setenv("MSMODELSLIM_LOG_LEVEL", "WARNING", 1); }).err,
            "slim-test: warning: a warning\n");
  EXPECT_EQ(RunInChild({}, Greet, [] { ::setenv("SLIM_LOG_LEVEL", "error", 1); }).err, "");
  const Outcome bad = RunInChild({}, Greet, [] { ::setenv("SLIM_LOG_LEVEL", "loud", 1); });
  EXPECT_EQ(bad.code(), 2);
  EXPECT_NE(bad.err.find("SLIM_LOG_LEVEL has the value 'loud'"), std::string::npos) << bad.err;
}

TEST(RunTool, HelpAndVersionGoToStdout) {
  const Outcome help = RunInChild({"--help"}, Greet);
  EXPECT_EQ(help.code(), 0);
  EXPECT_EQ(help.err, "");
  EXPECT_TRUE(help.out.starts_with("Usage: slim-test [options]\n")) << help.out;
  EXPECT_EQ(RunInChild({"--version"}, Greet).out, "slim-test 0.1.0\n");
}

TEST(RunTool, UsageErrorsPointToHelp) {
  const Outcome outcome = RunInChild({"--quite"}, Greet);
  EXPECT_EQ(outcome.code(), 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err,
            "slim-test: error: unknown option '--quite'; did you mean '--quiet'? (see slim-test "
            "--help)\n");
  EXPECT_EQ(RunInChild({"-q", "-v"}, Greet).code(), 2);
}

TEST(RunTool, EveryErrorHasItsExitCode) {
  EXPECT_EQ(RunInChild({}, [](const Arguments&, Console&) -> Result<int> { return 1; }).code(), 1);
  const Outcome input = RunInChild({}, [](const Arguments&, Console& console) -> Result<int> {
    SLIM_TRY(console.Print("partial\n"));
    return InputError("ST-x", "is bad", "do better").WithPath("a.b");
  });
  EXPECT_EQ(input.code(), 3);
  EXPECT_EQ(input.out, "partial\n");
  EXPECT_EQ(input.err, "slim-test: error: a.b: is bad [ST-x]; do better\n");
  const Outcome system = RunInChild({}, [](const Arguments&, Console&) -> Result<int> {
    return SystemError("/x", "cannot write", ENOSPC);
  });
  EXPECT_EQ(system.code(), 4);
  EXPECT_EQ(system.err, "slim-test: error: /x: cannot write: No space left on device\n");
  EXPECT_EQ(RunInChild(
                {}, [](const Arguments&, Console&) -> Result<int> { return InternalError("oops"); })
                .code(),
            5);
}

TEST(RunTool, ExceptionsEndHere) {
  const Outcome memory =
      RunInChild({}, [](const Arguments&, Console&) -> Result<int> { throw std::bad_alloc(); });
  EXPECT_EQ(memory.code(), 5);
  EXPECT_EQ(memory.err, "slim-test: error: out of memory\n");
  const Outcome other = RunInChild(
      {}, [](const Arguments&, Console&) -> Result<int> { throw std::runtime_error("x\ny"); });
  EXPECT_EQ(other.code(), 5);
  EXPECT_EQ(other.err,
            "slim-test: error: internal error: x\\x0ay; this is a bug in slim, please report it\n");
}

TEST(RunTool, AFullOrClosedStdoutIsAnError) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{}, {"--help"}, {"--version"}, {"--json"}}) {
    const Outcome full = RunInChild(words, Greet, [] { ::dup2(::open("/dev/full", O_WRONLY), 1); });
    EXPECT_EQ(full.code(), 4);
    EXPECT_NE(full.err.find("standard output: cannot write: No space left on device"),
              std::string::npos)
        << full.err;
    EXPECT_EQ(RunInChild(words, Greet, [] { ::close(1); }).code(), 4);
  }
}

TEST(RunTool, ABrokenPipeKillsSilently) {
  const Outcome outcome = RunInChild({}, Greet, [] {
    int ends[2] = {};
    ASSERT_EQ(::pipe(ends), 0);
    ::dup2(ends[1], 1);
    ::close(ends[0]);
    ::close(ends[1]);
    ::signal(SIGPIPE, SIG_IGN);  // what some parents leave behind
  });
  ASSERT_TRUE(WIFSIGNALED(outcome.status));
  EXPECT_EQ(WTERMSIG(outcome.status), SIGPIPE);
  EXPECT_EQ(outcome.err.find("error"), std::string::npos) << outcome.err;
}

TEST(RunTool, AnInterruptIsDeathBySignal) {
  const Outcome outcome = RunInChild({}, [](const Arguments&, Console&) -> Result<int> {
    ::raise(SIGTERM);
    SLIM_TRY(CheckInterrupt());
    return 0;
  });
  ASSERT_TRUE(WIFSIGNALED(outcome.status));
  EXPECT_EQ(WTERMSIG(outcome.status), SIGTERM);
  EXPECT_EQ(outcome.err, "");
}

TEST(RunTool, ColoursOnlyWhenAskedOrOnATerminal) {
  const ToolFunction paint = [](const Arguments&, Console& console) -> Result<int> {
    SLIM_TRY(console.Print(console.Paint("x", Style::kRed) + "\n"));
    return 0;
  };
  EXPECT_EQ(RunInChild({}, paint).out, "x\n");
  EXPECT_EQ(RunInChild({"--color=always"}, paint).out, "\x1b[1;31mx\x1b[0m\n");
  EXPECT_EQ(RunInChild({"--color", "never"}, paint).out, "x\n");
  EXPECT_EQ(RunInChild({"--color", "loud"}, paint).code(), 2);
}

TEST(RunTool, SetupRunsAfterParsingAndItsErrorCounts) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(2);
    std::string name = "slim-test";
    char* argv[] = {name.data()};
    ::_exit(RunTool(kTool, 1, argv, Greet, [] { return Status(UsageError("bad SLIM_ISA")); }));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 2);
}

}  // namespace
}  // namespace slim
