#include "diff/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "diff/greedy.h"
#include "scratch.h"

namespace slim {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Ids = std::vector<int32_t>;

TEST(ReadPrompts, PlainTextIsOneText) {
  const Scratch scratch;
  const auto prompts = ReadPrompts(scratch.Write("plain.txt", "one\n\ntwo \r\n"));
  ASSERT_TRUE(prompts.ok());
  EXPECT_THAT(prompts->texts, ElementsAre("one\n\ntwo \r\n"));
}

TEST(ReadPrompts, JsonLinesAreTextsOfTheirOwn) {
  const Scratch scratch;
  const auto prompts =
      ReadPrompts(scratch.Write("samples.jsonl", "{\"text\": \"one\"}\n\n{\"prompt\": \"two\"}\n"));
  ASSERT_TRUE(prompts.ok());
  EXPECT_THAT(prompts->texts, ElementsAre("one", "two"));
}

TEST(ReadPrompts, RefusesWhatIsNoText) {
  const Scratch scratch;
  const auto empty = ReadPrompts(scratch.Write("empty.txt", ""));
  ASSERT_FALSE(empty.ok());
  EXPECT_EQ(empty.error().rule, "DIFF-prompts-empty");
  EXPECT_THAT(empty.error().path, HasSubstr("empty.txt"));
  const auto latin = ReadPrompts(scratch.Write("latin.txt",
                                               "good\nb\xE4"
                                               "d\n"));
  ASSERT_FALSE(latin.ok());
  EXPECT_EQ(latin.error().rule, "DIFF-prompts-utf8");
  EXPECT_THAT(latin.error().message, HasSubstr("line 2"));
  const auto missing = ReadPrompts("/nowhere/prompts.txt");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().rule, "IN-missing");
}

TEST(CutPrompts, WindowsNeverSpanTexts) {
  const std::vector<Ids> texts = {{1, 2, 3, 4, 5}, {6}, {7, 8, 9, 10}};
  const auto windows = CutPrompts(texts, {.tokens = 3}, "x");
  ASSERT_TRUE(windows.ok());
  // The lone 6 and the lone 10 predict nothing.
  EXPECT_THAT(*windows, ElementsAre(Ids{1, 2, 3}, Ids{4, 5}, Ids{7, 8, 9}));
}

TEST(CutPrompts, StopsAtTheNumberAskedFor) {
  const std::vector<Ids> texts = {{1, 2, 3, 4, 5}, {6, 7}};
  const auto windows = CutPrompts(texts, {.tokens = 2, .max_windows = 2}, "x");
  ASSERT_TRUE(windows.ok());
  EXPECT_THAT(*windows, ElementsAre(Ids{1, 2}, Ids{3, 4}));
}

TEST(CutPrompts, NothingToCompareIsAnError) {
  const std::vector<Ids> texts = {{1}, {}};
  const auto windows = CutPrompts(texts, {}, "prompts.jsonl");
  ASSERT_FALSE(windows.ok());
  EXPECT_EQ(windows.error().rule, "DIFF-prompts-empty");
  EXPECT_EQ(windows.error().path, "prompts.jsonl");
}

TEST(FirstDifference, CountsFromOne) {
  EXPECT_EQ(FirstDifference(Ids{1, 2, 3}, Ids{1, 2, 3}), std::nullopt);
  EXPECT_EQ(FirstDifference(Ids{}, Ids{}), std::nullopt);
  EXPECT_EQ(FirstDifference(Ids{4, 2}, Ids{1, 2}), 1);
  EXPECT_EQ(FirstDifference(Ids{1, 2, 3}, Ids{1, 2}), 3);
  EXPECT_EQ(FirstDifference(Ids{1}, Ids{1, 2}), 2);
}

}  // namespace
}  // namespace slim
