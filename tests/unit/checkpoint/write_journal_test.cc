#include "checkpoint/write_journal.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "checkpoint/checkpoint_writer.h"

namespace slim {
namespace {

namespace fs = std::filesystem;

TEST(WriteJournal, ReadsWhatIsWhole) {
  const auto content = ParseJournal(
      "slim-journal 1 key\nN a note\nT aa x.weight\nS bb slim-state-1 3\nN last\nT cc name with "
      "space\nT dd cu");
  ASSERT_TRUE(content.has_value());
  EXPECT_EQ(content->key, "key");
  EXPECT_EQ(content->tensors.size(), 2U);
  EXPECT_EQ(content->tensors.at("name with space"), "cc");
  EXPECT_EQ(content->notes, (std::vector<std::string>{"a note", "last"}));
  ASSERT_TRUE(content->state.has_value());
  EXPECT_EQ(content->state->file, "slim-state-1");
  EXPECT_EQ(content->state->tag, "3");
  EXPECT_FALSE(ParseJournal("").has_value());
  EXPECT_FALSE(ParseJournal("slim-journal 1 ke").has_value());
  EXPECT_FALSE(ParseJournal("something else\n").has_value());
  EXPECT_FALSE(ParseJournal("slim-journal 1 k\nS bb ../x 3\n")->state.has_value());
  EXPECT_TRUE(ParseJournal("slim-journal 1 k\n?\nT aa x\n")->tensors.empty());
}

class Notes : public Listener {
 public:
  void Note(std::string_view text) override { text_ += std::string(text) + "\n"; }
  std::string text_;
};

class Resumable : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "resume_XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }

  static WritePlan Plan() {
    WritePlan plan;
    plan.dialect = Dialect::kHf;
    for (const char* name : {"a", "b", "c"}) plan.tensors.push_back({{name, DType::kI8, {4}}, ""});
    return plan;
  }
  Result<CheckpointWriter> Open(const std::string& key, bool keep = true) {
    OutputOptions options;
    options.fsync = false;
    options.keep = keep;
    return CheckpointWriter::CreateResumable(Plan(), root_ + "/out", options, key, notes_);
  }
  static Status Write(CheckpointWriter& writer, const char* name, char value) {
    const std::string bytes(4, value);
    return writer.Write(name, std::as_bytes(std::span(bytes)));
  }
  // Writes a and b, keeps a state, and dies as by SIGKILL.
  void KilledRun() {
    const pid_t child = ::fork();
    if (child == 0) {
      auto writer = Open("key");
      const std::string state = "state";
      const bool good = writer.ok() && writer->AddNote("of a").ok() &&
                        Write(*writer, "a", '1').ok() && Write(*writer, "b", '2').ok() &&
                        writer->SaveState("7", {std::as_bytes(std::span(state))}).ok();
      ::_exit(good ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_EQ(status, 0);
  }
  std::string root_;
  Notes notes_;
};

TEST_F(Resumable, GoesOnWhereAKilledRunStopped) {
  KilledRun();
  auto writer = Open("key");
  ASSERT_TRUE(writer.ok()) << writer.error().ToString();
  EXPECT_TRUE(writer->Has("a"));
  EXPECT_FALSE(writer->Has("c"));
  EXPECT_EQ(writer->notes(), std::vector<std::string>{"of a"});
  EXPECT_EQ(writer->saved_state()->tag, "7");
  EXPECT_EQ(writer->ReadSavedState().value(), "state");
  EXPECT_NE(notes_.text_.find("2 of 3 tensors are there"), std::string::npos) << notes_.text_;
  ASSERT_TRUE(Write(*writer, "a", 'x').ok());  // has no effect
  ASSERT_TRUE(Write(*writer, "c", '3').ok());
  ASSERT_TRUE(writer->Finish().ok());
  ASSERT_TRUE(writer->Commit().ok());
  std::ifstream stream(root_ + "/out/model.safetensors", std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  EXPECT_EQ(bytes.substr(bytes.size() - 12), "111122223333");
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ + "/out"), {}), 1);
}

TEST_F(Resumable, DamagedBytesAreWrittenAgain) {
  KilledRun();
  const std::string path = root_ + "/.out.slim-partial/model.safetensors";
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(fs::file_size(path)) - 8);  // of b
  file.put('?');
  file.close();
  std::ofstream(root_ + "/.out.slim-partial/slim-state-1") << "stale";
  auto writer = Open("key");
  ASSERT_TRUE(writer.ok()) << writer.error().ToString();
  EXPECT_TRUE(writer->Has("a"));
  EXPECT_FALSE(writer->Has("b"));
  EXPECT_FALSE(writer->ReadSavedState().ok());
}

TEST_F(Resumable, AnotherKeyOrCleanBeginsAnew) {
  KilledRun();
  {
    auto writer = Open("other");
    ASSERT_TRUE(writer.ok()) << writer.error().ToString();
    EXPECT_FALSE(writer->Has("a"));
    EXPECT_NE(notes_.text_.find("with other settings"), std::string::npos) << notes_.text_;
  }
  KilledRun();
  auto writer = Open("key", false);
  ASSERT_TRUE(writer.ok()) << writer.error().ToString();
  EXPECT_FALSE(writer->Has("a"));
  EXPECT_FALSE(writer->saved_state().has_value());
}

}  // namespace
}  // namespace slim
