#include "text/calibration_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace slim {
namespace {

namespace fs = std::filesystem;

class CalibrationFolder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ceval_XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const std::string& name, std::string_view content) {
    fs::create_directories(fs::path(root_ + "/" + name).parent_path());
    std::ofstream(root_ + "/" + name) << content;
  }
  std::string RuleOf(size_t limit = 10) {
    const auto samples = ReadCalibrationFolder(root_, limit);
    return samples.ok() ? "accepted" : samples.error().rule + " " + samples.error().message;
  }

  std::string root_;
};

TEST_F(CalibrationFolder, TakesOneQuestionOfEachSubjectInTurn) {
  Write("dev/b_dev.csv", "id,question,A,B,C,D,answer\n0,Q1,a,b,c,d,A\n1,Q2,a,b,c,d,B\n");
  Write("dev/a_dev.csv", "\xEF\xBB\xBFid,question,answer\r\n0,\"one, \"\"two\"\"\nthree\",C\r\n");
  Write("val/a_val.csv", "id,question\n0,not reached\n");
  const auto samples = ReadCalibrationFolder(root_, 10);
  ASSERT_TRUE(samples.ok()) << samples.error().ToString();
  ASSERT_EQ(samples->size(), 3U);
  EXPECT_EQ((*samples)[0].text, "one, \"two\"\nthree\nAnswer: C");
  EXPECT_EQ((*samples)[0].file, "dev/a_dev.csv");
  EXPECT_EQ((*samples)[1].text, "Q1\nA. a\nB. b\nC. c\nD. d\nAnswer: A");
  EXPECT_EQ((*samples)[2].line, 3U);
  EXPECT_EQ(ReadCalibrationFolder(root_, 2)->size(), 2U);
}

TEST_F(CalibrationFolder, Refusals) {
  EXPECT_EQ(RuleOf(), "CALIB-folder is a folder without dev/, val/ or test/");
  Write("test/a.csv", "id,question\n");
  EXPECT_EQ(RuleOf(), "CALIB-folder dev/, val/ and test/ hold no CSV file with a question");
  Write("test/a.csv", "id,text\n0,x\n");
  EXPECT_EQ(RuleOf(), "CALIB-csv line 1: has no column \"question\"");
  Write("test/a.csv", "id,question\n0,\"x\ny\n");
  EXPECT_EQ(RuleOf(), "CALIB-csv line 2: a quote is never closed");
  Write("test/a.csv", "id,question\n0,x,y\n");
  EXPECT_EQ(RuleOf(), "CALIB-csv line 2: has 3 fields, the first line 2");
  Write("test/a.csv", "id,question\n0,\"x\"y\n");
  EXPECT_EQ(RuleOf(), "CALIB-csv line 2: text after a closing quote");
  Write("test/a.csv", "id,question\n0,\xff\n");
  EXPECT_EQ(RuleOf(), "CALIB-utf8 is not UTF-8");
}

}  // namespace
}  // namespace slim
