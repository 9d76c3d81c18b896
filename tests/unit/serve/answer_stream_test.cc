// What the thread that answers a client sees of its request.
#include "serve/answer_stream.h"

#include <gtest/gtest.h>

namespace slim {
namespace {

constexpr auto kNow = std::chrono::milliseconds(0);

TEST(AnswerStream, IsDoneWhenEveryPieceWasTaken) {
  AnswerStream stream;
  EXPECT_FALSE(stream.done());
  stream.Push({0, "a", {}, StopReason::kStop});
  stream.Finish({3, 1});
  EXPECT_FALSE(stream.done());
  const auto piece = stream.Next(kNow);
  ASSERT_TRUE(piece.ok() && piece->has_value());
  EXPECT_EQ((*piece)->text, "a");
  EXPECT_TRUE(stream.done());
  EXPECT_EQ(stream.usage().completion, 1U);
  const auto nothing = stream.Next(kNow);
  ASSERT_TRUE(nothing.ok());
  EXPECT_FALSE(nothing->has_value());
}

// A reader that waits for done() must not take a failed answer for an empty one.
TEST(AnswerStream, IsNotDoneBeforeItsErrorWasTold) {
  AnswerStream stream;
  stream.Push({0, "a", {}, std::nullopt});
  stream.Fail(InputError("RU-nan", "a NaN"));
  EXPECT_FALSE(stream.done());
  ASSERT_TRUE(stream.Next(kNow).ok());
  EXPECT_FALSE(stream.done());
  const auto error = stream.Next(kNow);
  ASSERT_FALSE(error.ok());
  EXPECT_EQ(error.error().rule, "RU-nan");
}

}  // namespace
}  // namespace slim
