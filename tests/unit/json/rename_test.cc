#include <gtest/gtest.h>

#include "json/edit.h"

namespace slim {
namespace {

TEST(RenameMember, KeepsEveryOtherByte) {
  const std::string text = "{\n  \"a\" : {\"b\": 1},\n\t\"b\": \"a\"  ,\"c\":2}\n";
  EXPECT_EQ(RenameMember(text, "b", "new").value(),
            "{\n  \"a\" : {\"b\": 1},\n\t\"new\": \"a\"  ,\"c\":2}\n");
  EXPECT_EQ(RenameMember(text, "a", "x").value(),
            "{\n  \"x\" : {\"b\": 1},\n\t\"b\": \"a\"  ,\"c\":2}\n");
  EXPECT_EQ(RenameMember(text, "none", "x").value(), text);
}

TEST(RenameMember, EscapedKeysAndTakenNames) {
  EXPECT_EQ(RenameMember(R"({"\"q:": 1})", "\"q:", "k").value(), R"({"k": 1})");
  EXPECT_EQ(RenameMember(R"({"a": 1, "b": 2})", "a", "b").error().rule, "JSON-duplicate-key");
}

}  // namespace
}  // namespace slim
