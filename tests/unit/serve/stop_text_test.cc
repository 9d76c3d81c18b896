#include "serve/stop_text.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

// What is given out when the text comes in pieces of `size` bytes.
std::string InPieces(const std::vector<std::string>& stops, const std::string& text, size_t size) {
  StopText stop(stops);
  std::string out;
  for (size_t i = 0; i < text.size(); i += size) out += stop.Push(text.substr(i, size));
  if (!stop.stopped()) out += stop.Finish();
  EXPECT_EQ(stop.length(), out.size());
  return out;
}

TEST(StopText, CutsBeforeTheFirstStopHoweverTheTextComes) {
  struct Case {
    std::vector<std::string> stops;
    std::string text;
    std::string wanted;
  };
  const Case cases[] = {{{}, "abc", "abc"},
                        {{"x"}, "abc", "abc"},
                        {{"\n\n"}, "a\nb\n\nc", "a\nb"},
                        {{"aab"}, "xaaab", "xa"},
                        {{"abab"}, "abaab", "abaab"},
                        {{"later", "a"}, "bab", "b"},
                        {{"abcd", "c"}, "xabcd", "xab"},
                        {{"a"}, "a", ""},
                        {{"end"}, "the en", "the en"}};
  for (const Case& one : cases) {
    for (size_t size = 1; size <= one.text.size(); ++size)
      EXPECT_EQ(InPieces(one.stops, one.text, size), one.wanted) << one.text << " by " << size;
  }
}

TEST(StopText, HoldsBackOnlyWhatMayBeAStop) {
  StopText stop({"END"});
  EXPECT_EQ(stop.Push("abcE"), "abc");
  EXPECT_EQ(stop.Push("x"), "Ex");
  EXPECT_EQ(stop.Push("EN"), "");
  EXPECT_EQ(stop.Push("D more"), "");
  EXPECT_TRUE(stop.stopped());
  EXPECT_EQ(stop.Push("again"), "");
}

}  // namespace
}  // namespace slim
