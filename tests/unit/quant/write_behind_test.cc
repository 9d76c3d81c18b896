#include "quant/write_behind.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/error.h"

namespace slim {
namespace {

TEST(WriteBehind, RunsInOrderAndTellsAnErrorOnce) {
  for (const bool beside : {false, true}) {
    std::vector<int> written;
    WriteBehind writing(beside);
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(writing
                      .Begin([&written, value = std::make_unique<int>(i)]() -> Status {
                        written.push_back(*value);
                        return {};
                      })
                      .ok());
    }
    ASSERT_TRUE(writing.Finish().ok());
    ASSERT_EQ(written.size(), 20U);
    for (int i = 0; i < 20; ++i) EXPECT_EQ(written[static_cast<size_t>(i)], i);
    ASSERT_TRUE(writing.Begin([]() -> Status { return InternalError("full"); }).ok());
    const Status next = writing.Begin([&written]() -> Status {
      written.clear();
      return {};
    });
    EXPECT_FALSE(next.ok());
    EXPECT_TRUE(writing.Finish().ok());
    EXPECT_EQ(written.size(), 20U);
  }
}

TEST(WriteBehind, WaitsBeforeItIsGone) {
  int written = 0;
  {
    WriteBehind writing(true);
    ASSERT_TRUE(writing
                    .Begin([&written]() -> Status {
                      ++written;
                      return {};
                    })
                    .ok());
  }
  EXPECT_EQ(written, 1);
}

}  // namespace
}  // namespace slim
