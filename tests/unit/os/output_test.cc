#include "os/output.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <functional>

#include "os/system.h"
#include "scratch.h"

namespace slim {
namespace {

// Calls that fail or fall short on purpose. The table holds plain functions, so the plan is global.
struct Faults {
  int calls = 0;    // so far, of those that can be failed
  int fail_at = 0;  // the call that fails, from 1; 0: none
  int error = ENOSPC;
  bool shorten = false;    // reads and writes move at most 3 bytes
  bool interrupt = false;  // every other read and write is interrupted
};
Faults g_faults;

bool Fails() {
  if (++g_faults.calls != g_faults.fail_at) return false;
  errno = g_faults.error;
  return true;
}

bool Interrupts() {
  static bool odd = false;
  odd = !odd;
  if (!g_faults.interrupt || !odd) return false;
  errno = EINTR;
  return true;
}

class FaultySystem {
 public:
  explicit FaultySystem(Faults faults) {
    g_faults = faults;
    static SystemCalls real = RealSystemCalls();
    SystemCalls& calls = System();
    calls.open = [](const char* path, int flags, unsigned mode) {
      return Fails() ? -1 : real.open(path, flags, mode);
    };
    calls.pread = [](int fd, void* to, size_t count, off_t offset) -> ssize_t {
      if (Fails() || Interrupts()) return -1;
      return real.pread(fd, to, g_faults.shorten ? std::min<size_t>(count, 3) : count, offset);
    };
    calls.pwrite = [](int fd, const void* from, size_t count, off_t offset) -> ssize_t {
      if (Fails() || Interrupts()) return -1;
      return real.pwrite(fd, from, g_faults.shorten ? std::min<size_t>(count, 3) : count, offset);
    };
    calls.fallocate = [](int fd, off_t length) {
      return Fails() ? -1 : real.fallocate(fd, length);
    };
    calls.fsync = [](int fd) { return Fails() ? -1 : real.fsync(fd); };
    calls.close = [](int fd) {
      const int result = real.close(fd);  // a failed close has closed all the same
      return Fails() ? -1 : result;
    };
    calls.rename = [](const char* from, const char* to) {
      return Fails() ? -1 : real.rename(from, to);
    };
    calls.exchange = [](const char* a, const char* b) {
      return Fails() ? -1 : real.exchange(a, b);
    };
    calls.mkdir = [](const char* path, unsigned mode) {
      return Fails() ? -1 : real.mkdir(path, mode);
    };
  }
  ~FaultySystem() { System() = RealSystemCalls(); }
  FaultySystem(const FaultySystem&) = delete;
  FaultySystem& operator=(const FaultySystem&) = delete;
};

Status WriteOutput(const std::string& target, const std::string& source,
                   const OutputOptions& options = {}) {
  SLIM_ASSIGN(OutputDirectory output, OutputDirectory::Create(target, options, SilentListener()));
  SLIM_ASSIGN(OutputFile file, output.CreateFile("weights", 10));
  const std::string bytes = "0123456789";
  SLIM_TRY(file.WriteAt(std::as_bytes(std::span(bytes)).subspan(5), 5));
  SLIM_TRY(file.WriteAt(std::as_bytes(std::span(bytes)).first(5), 0));
  SLIM_TRY(file.Close());
  SLIM_TRY(output.WriteFile("index", "{}"));
  SLIM_ASSIGN(const File input, File::Open(source));
  SLIM_TRY(output.CopyFile(input, "copy"));
  return output.Commit();
}

void ExpectWritten(const Scratch& scratch, const std::string& name) {
  EXPECT_EQ(scratch.List(name), (std::vector<std::string>{"copy", "index", "weights"}));
  EXPECT_EQ(ReadAll(scratch / (name + "/weights")), "0123456789");
  EXPECT_EQ(ReadAll(scratch / (name + "/copy")), "source");
}

TEST(OutputDirectory, AppearsWhole) {
  const Scratch scratch;
  const std::string source = scratch.Write("source", "source");
  ASSERT_TRUE(WriteOutput(scratch / "out", source).ok());
  ExpectWritten(scratch, "out");
  EXPECT_EQ(scratch.List(), (std::vector<std::string>{"out", "source"}));
}

TEST(OutputDirectory, NothingIsLeftWithoutCommit) {
  const Scratch scratch;
  {
    auto output = OutputDirectory::Create(scratch / "out", {}, SilentListener());
    ASSERT_TRUE(output.ok());
    ASSERT_TRUE(output->WriteFile("a", "b").ok());
    EXPECT_EQ(scratch.List(), std::vector<std::string>{".out.slim-partial"});
  }
  EXPECT_TRUE(scratch.List().empty());
}

TEST(OutputDirectory, RefusesWhatExistsUnlessForced) {
  const Scratch scratch;
  const std::string source = scratch.Write("source", "source");
  scratch.Write("out/old", "old");
  const Status refused = WriteOutput(scratch / "out", source);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kSystem);
  EXPECT_EQ(refused.error().message, "already exists");
  EXPECT_EQ(scratch.List("out"), std::vector<std::string>{"old"});
  ASSERT_TRUE(WriteOutput(scratch / "out", source, {.force = true}).ok());
  ExpectWritten(scratch, "out");
  EXPECT_EQ(scratch.List(), (std::vector<std::string>{"out", "source"}));
}

TEST(OutputDirectory, AnEmptyDirectoryIsNoObstacle) {
  const Scratch scratch;
  const std::string source = scratch.Write("source", "source");
  std::filesystem::create_directory(scratch / "out");
  ASSERT_TRUE(WriteOutput(scratch / "out/", source).ok());
  ExpectWritten(scratch, "out");
}

TEST(OutputDirectory, AFileOfThatNameIsNeverReplaced) {
  const Scratch scratch;
  const std::string file = scratch.Write("out", "file");
  EXPECT_FALSE(WriteOutput(file, file).ok());
  EXPECT_FALSE(WriteOutput(file, file, {.force = true}).ok());
  EXPECT_EQ(ReadAll(file), "file");
  EXPECT_EQ(scratch.List(), std::vector<std::string>{"out"});
}

TEST(OutputDirectory, NeedsAParentDirectory) {
  const Scratch scratch;
  const auto output = OutputDirectory::Create(scratch / "no/out", {}, SilentListener());
  ASSERT_FALSE(output.ok());
  EXPECT_EQ(output.error().code, ErrorCode::kSystem);
}

TEST(OutputDirectory, OneWriterAtATime) {
  const Scratch scratch;
  const auto first = OutputDirectory::Create(scratch / "out", {}, SilentListener());
  ASSERT_TRUE(first.ok());
  const auto second = OutputDirectory::Create(scratch / "out", {}, SilentListener());
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().message.find("another slim process"), std::string::npos);
  EXPECT_EQ(scratch.List(), std::vector<std::string>{".out.slim-partial"});
}

TEST(OutputDirectory, TakesAwayWhatAKilledRunLeft) {
  const Scratch scratch;
  const std::string source = scratch.Write("source", "source");
  scratch.Write(".out.slim-partial/weights", "half");
  scratch.Write(".out.slim-partial/deep/er", "half");
  struct : Listener {
    void Note(std::string_view text) override { notes += text; }
    std::string notes;
  } listener;
  { ASSERT_TRUE(OutputDirectory::Create(scratch / "out", {}, listener).ok()); }
  EXPECT_NE(listener.notes.find("left by an interrupted run"), std::string::npos);
  ASSERT_TRUE(WriteOutput(scratch / "out", source).ok());
  ExpectWritten(scratch, "out");
}

TEST(OutputDirectory, RefusesNamesThatArePaths) {
  const Scratch scratch;
  auto output = OutputDirectory::Create(scratch / "out", {}, SilentListener());
  ASSERT_TRUE(output.ok());
  for (const char* name : {"", ".", "..", "../x", "a/b", "/x", "a\nb"}) {
    EXPECT_FALSE(output->WriteFile(name, "x").ok()) << name;
  }
}

TEST(OutputDirectory, SaysHowMuchSpaceIsMissing) {
  const Scratch scratch;
  const auto output = OutputDirectory::Create(scratch / "out", {}, SilentListener());
  ASSERT_TRUE(output.ok());
  EXPECT_TRUE(output->CheckSpace(1).ok());
  const Status status = output->CheckSpace(1ULL << 60);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().system_errno, ENOSPC);
}

// Every call fails once, with each of the usual errors: never success, never half an output, never
// a leftover, and what was there before stays as it was.
void FailEveryCall(bool exists, int error) {
  for (int call = 1; call < 200; ++call) {
    const Scratch scratch;
    const std::string source = scratch.Write("source", "source");
    if (exists) scratch.Write("out/old", "old");
    Status status;
    int calls = 0;
    {
      const FaultySystem faulty({.fail_at = call, .error = error});
      status = WriteOutput(scratch / "out", source, {.force = exists});
      calls = g_faults.calls;
    }
    if (calls < call) {
      EXPECT_GT(call, 15) << "the faults did not reach the calls";
      EXPECT_TRUE(status.ok());
      return;
    }
    SCOPED_TRACE("call " + std::to_string(call) + " error " + std::to_string(error));
    const bool committed = std::filesystem::exists(scratch / "out/weights");
    if (committed) {
      // The rename was done; only the flush of the parent's name, or closing it, failed.
      ExpectWritten(scratch, "out");
    } else {
      EXPECT_FALSE(status.ok());
      EXPECT_EQ(std::filesystem::exists(scratch / "out"), exists);
      if (exists) {
        EXPECT_EQ(scratch.List("out"), std::vector<std::string>{"old"});
      }
    }
    if (!status.ok()) {
      EXPECT_FALSE(status.error().path.empty()) << status.error().ToString();
    }
    for (const std::string& name : scratch.List()) EXPECT_FALSE(name.starts_with(".")) << name;
  }
  FAIL() << "no end of calls";
}

TEST(OutputDirectory, NoSpaceAtAnyCall) {
  FailEveryCall(false, ENOSPC);
  FailEveryCall(true, ENOSPC);
}

TEST(OutputDirectory, InputOutputErrorAtAnyCall) {
  FailEveryCall(false, EIO);
  FailEveryCall(true, EIO);
}

TEST(OutputDirectory, ShortAndInterruptedCallsChangeNothing) {
  const Scratch scratch;
  const std::string source = scratch.Write("source", "source");
  const FaultySystem faulty({.shorten = true, .interrupt = true});
  ASSERT_TRUE(WriteOutput(scratch / "out", source).ok());
  ExpectWritten(scratch, "out");
}

TEST(OutputDirectory, FileSystemsThatCannotAllocateAreFine) {
  const Scratch scratch;
  const std::string source = scratch.Write("source", "source");
  const FaultySystem faulty({});
  System().fallocate = [](int, off_t) {
    errno = EOPNOTSUPP;
    return -1;
  };
  ASSERT_TRUE(WriteOutput(scratch / "out", source).ok());
  ExpectWritten(scratch, "out");
}

TEST(OutputDirectory, WithoutFsyncNothingIsFlushed) {
  const Scratch scratch;
  const std::string source = scratch.Write("source", "source");
  const FaultySystem faulty({});
  System().fsync = [](int) {
    ADD_FAILURE() << "fsync was called";
    return 0;
  };
  ASSERT_TRUE(WriteOutput(scratch / "out", source, {.fsync = false}).ok());
  ExpectWritten(scratch, "out");
}

TEST(WriteFileAtomically, ReplacesOnlyWhenForced) {
  const Scratch scratch;
  const std::string path = scratch / "report.json";
  ASSERT_TRUE(WriteFileAtomically(path, "one", {}).ok());
  EXPECT_FALSE(WriteFileAtomically(path, "two", {}).ok());
  EXPECT_EQ(ReadAll(path), "one");
  ASSERT_TRUE(WriteFileAtomically(path, "two", {.force = true}).ok());
  EXPECT_EQ(ReadAll(path), "two");
  EXPECT_EQ(scratch.List(), std::vector<std::string>{"report.json"});
}

TEST(WriteFileAtomically, KeepsTheOldFileWhateverFails) {
  for (int call = 1; call < 50; ++call) {
    const Scratch scratch;
    const std::string path = scratch.Write("report", "old");
    Status status;
    int calls = 0;
    {
      const FaultySystem faulty({.fail_at = call});
      status = WriteFileAtomically(path, "new", {.force = true});
      calls = g_faults.calls;
    }
    if (calls < call) return;
    const std::string content = ReadAll(path);
    EXPECT_TRUE(content == "old" || content == "new") << content;
    EXPECT_EQ(content == "old" && status.ok(), false);
    EXPECT_EQ(scratch.List(), std::vector<std::string>{"report"});
  }
  FAIL() << "no end of calls";
}

TEST(File, ReadsExactlyOrSaysWhy) {
  const Scratch scratch;
  const std::string path = scratch.Write("f", "0123456789");
  const FaultySystem faulty({.shorten = true, .interrupt = true});
  auto file = File::Open(path);
  ASSERT_TRUE(file.ok());
  std::string text(6, ' ');
  ASSERT_TRUE(file->ReadExactAt(std::as_writable_bytes(std::span(text)), 2).ok());
  EXPECT_EQ(text, "234567");
  const Status past = file->ReadExactAt(std::as_writable_bytes(std::span(text)), 5);
  ASSERT_FALSE(past.ok());
  EXPECT_EQ(past.error().code, ErrorCode::kSystem);
  EXPECT_EQ(past.error().offset, 10U);
}

TEST(File, ReadErrorsNameTheOffset) {
  const Scratch scratch;
  const std::string path = scratch.Write("f", "0123456789");
  auto file = File::Open(path);
  ASSERT_TRUE(file.ok());
  const FaultySystem faulty({.fail_at = 1, .error = EIO});
  std::string text(4, ' ');
  const Status status = file->ReadExactAt(std::as_writable_bytes(std::span(text)), 3);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().ToString(), path + ": cannot read (at byte 3): Input/output error");
}

TEST(File, OnlyRegularFiles) {
  const Scratch scratch;
  EXPECT_EQ(File::Open(scratch / "none").error().rule, "IN-missing");
  EXPECT_EQ(File::Open(scratch.path()).error().rule, "IN-not-a-file");
  EXPECT_EQ(File::Open("/dev/zero").error().rule, "IN-not-a-file");
  const std::string fifo = scratch / "fifo";
  ASSERT_EQ(std::system(("mkfifo " + fifo).c_str()), 0);
  EXPECT_EQ(File::Open(fifo).error().rule, "IN-not-a-file");
}

TEST(File, NoticesThatItChanged) {
  const Scratch scratch;
  const std::string path = scratch.Write("f", "0123456789");
  auto file = File::Open(path);
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file->CheckUnchanged().ok());
  scratch.Write("f", "01234");
  EXPECT_FALSE(file->CheckUnchanged().ok());
}

}  // namespace
}  // namespace slim
