#include "os/journal.h"

#include <gtest/gtest.h>

#include "scratch.h"

namespace slim {
namespace {

using Lines = std::vector<std::string>;

TEST(Journal, IsTakenUpAndGoesAway) {
  const Scratch scratch;
  const std::string path = scratch / "journal";
  {
    auto journal = Journal::Open(path);
    ASSERT_TRUE(journal.ok());
    EXPECT_TRUE(journal->lines().empty());
    ASSERT_TRUE(journal->Append("one").ok());
    ASSERT_TRUE(journal->Append("two").ok());
  }
  auto journal = Journal::Open(path);
  ASSERT_TRUE(journal.ok());
  EXPECT_EQ(journal->lines(), (Lines{"one", "two"}));
  journal->Remove();
  EXPECT_TRUE(scratch.List().empty());
}

TEST(Journal, ACutLineIsNone) {
  const Scratch scratch;
  const std::string path = scratch.Write("journal", "one\ntw");
  {
    auto journal = Journal::Open(path);
    ASSERT_TRUE(journal.ok());
    EXPECT_EQ(journal->lines(), Lines{"one"});
    ASSERT_TRUE(journal->Append("three").ok());
  }
  EXPECT_EQ(Journal::Open(path)->lines(), (Lines{"one", "tw", "three"}));
}

TEST(Journal, HasOneWriter) {
  const Scratch scratch;
  const auto journal = Journal::Open(scratch / "journal");
  ASSERT_TRUE(journal.ok());
  const auto second = Journal::Open(scratch / "journal");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kSystem);
}

}  // namespace
}  // namespace slim
