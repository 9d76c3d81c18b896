#include "text/calibration_file.h"

#include <gtest/gtest.h>

namespace slim {

inline bool operator==(const CalibrationSample& a, const CalibrationSample& b) {
  return a.text == b.text && a.line == b.line;
}
inline void PrintTo(const CalibrationSample& sample, std::ostream* out) {
  *out << sample.line << ": " << testing::PrintToString(sample.text);
}

namespace {

using Samples = std::vector<CalibrationSample>;

Error ErrorOf(std::string_view content, std::string_view path) {
  auto samples = ParseCalibrationFile(content, path);
  return samples.ok() ? Error{} : samples.error();
}

TEST(CalibrationFile, ReadsTheFirstTextFieldOfEachLine) {
  auto samples = ParseCalibrationFile(
      "{\"prompt\": \"p\", \"inputs_pretokenized\": \"i\", \"text\": \"t\"}\n"
      "\n"
      "{\"text\": \"t\", \"prompt\": \"p\\u4e16\"}\r\n"
      "{\"text\": \"t\", \"id\": 3}",
      "calib.JSONL");
  ASSERT_TRUE(samples.ok()) << samples.error().ToString();
  EXPECT_EQ(*samples, (Samples{{"i", 1}, {"p世", 3}, {"t", 4}}));
}

// facts: algorithms.md 7.1, the raw line including its newline.
TEST(CalibrationFile, TakesTheRawLineOfAnObjectWithoutText) {
  auto samples = ParseCalibrationFile("{\"task\": 1}\r\n{\"task\": 2}", "c.jsonl");
  ASSERT_TRUE(samples.ok());
  EXPECT_EQ(*samples, (Samples{{"{\"task\": 1}\n", 1}, {"{\"task\": 2}", 2}}));
}

TEST(CalibrationFile, ReadsArraysAndPlainText) {
  EXPECT_EQ(*ParseCalibrationFile(R"(["a", " ", "b"])", "c.json"), (Samples{{"a", 1}, {"b", 3}}));
  EXPECT_EQ(*ParseCalibrationFile("\xEF\xBB\xBFone\r\ntwo\n \n\nthree\n", "c.txt"),
            (Samples{{"one\ntwo", 1}, {"three", 5}}));
}

TEST(CalibrationFile, NamesTheLineOfWhatIsWrong) {
  Error error = ErrorOf("{\"text\": \"a\"}\n{\"text\": \"\xFF\"}\n", "c.jsonl");
  EXPECT_EQ(error.rule, "CALIB-utf8");
  EXPECT_EQ(error.path, "c.jsonl");
  EXPECT_NE(error.message.find("line 2"), std::string::npos);
  error = ErrorOf("{\"text\": \"a\"}\n\nnot json\n", "c.jsonl");
  EXPECT_EQ(error.rule, "CALIB-json");
  EXPECT_NE(error.message.find("line 3"), std::string::npos);
  error = ErrorOf("{\"text\": \"a\"}\n[\"b\"]\n", "c.jsonl");
  EXPECT_EQ(error.rule, "CALIB-json");
  EXPECT_NE(error.message.find("line 2"), std::string::npos);
  error = ErrorOf("{\"text\": 1}", "c.jsonl");
  EXPECT_EQ(error.rule, "CALIB-type");
  EXPECT_NE(error.message.find("line 1"), std::string::npos);
  EXPECT_EQ(ErrorOf("{}", "c.json").rule, "CALIB-json");
  EXPECT_EQ(ErrorOf("[\"a\", 2]", "c.json").rule, "CALIB-type");
}

TEST(CalibrationFile, RefusesFilesWithoutText) {
  EXPECT_EQ(ErrorOf("", "c.jsonl").rule, "CALIB-empty");
  EXPECT_EQ(ErrorOf("\n \n", "c.jsonl").rule, "CALIB-empty");
  EXPECT_EQ(ErrorOf("{\"text\": \" \"}\n", "c.jsonl").rule, "CALIB-empty");
  EXPECT_EQ(ErrorOf("[]", "c.json").rule, "CALIB-empty");
  EXPECT_EQ(ErrorOf("\n\n", "c.txt").rule, "CALIB-empty");
}

}  // namespace
}  // namespace slim
