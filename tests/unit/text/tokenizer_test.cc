#include "text/tokenizer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "base/text.h"
#include "json/json.h"

namespace slim {
namespace {

constexpr std::string_view kModel =
    R"({"type": "BPE", "vocab": {"a": 0, "b": 1, "aa": 2, "é": 3}, "merges": ["a a"]})";

// A tokenizer.json with the model above and these members besides it.
std::string File(std::string_view members, std::string_view model = kModel) {
  return fmt::format("{{\"model\": {}{}{}}}", model, members.empty() ? "" : ", ", members);
}

std::string RuleOf(std::string_view json, std::string_view config = "") {
  auto tokenizer = Tokenizer::FromJson(json, config);
  return tokenizer.ok() ? "" : tokenizer.error().rule;
}

std::string RuleOfModel(std::string_view model) { return RuleOf(File("", model)); }

TEST(Tokenizer, KnowsItsTokens) {
  auto tokenizer =
      Tokenizer::FromJson(File(R"("added_tokens": [{"content": "<x>", "special": true}])"), "");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().ToString();
  EXPECT_EQ(tokenizer->size(), 5U);
  EXPECT_EQ(tokenizer->TokenId("aa"), 2);
  EXPECT_EQ(tokenizer->TokenId("<x>"), 4);
  EXPECT_EQ(tokenizer->TokenId("c"), std::nullopt);
  EXPECT_EQ(tokenizer->TokenText(3), "é");
  EXPECT_EQ(tokenizer->TokenText(5), "");
  EXPECT_TRUE(tokenizer->IsSpecial(4));
  EXPECT_FALSE(tokenizer->IsSpecial(2));
  EXPECT_FALSE(tokenizer->IsSpecial(-1));
}

TEST(Tokenizer, RefusesTextThatIsNotUtf8AndIdsWithoutToken) {
  auto tokenizer = Tokenizer::FromJson(File(""), "");
  ASSERT_TRUE(tokenizer.ok());
  EXPECT_EQ(tokenizer->Encode("a\xFF", true).error().rule, "TOK-utf8");
  for (const int32_t id : {-1, 4, 1 << 30}) {
    EXPECT_EQ(tokenizer->Decode(std::vector<int32_t>{0, id}, true).error().rule, "TOK-id") << id;
  }
}

TEST(Tokenizer, NamesUnsupportedTypes) {
  for (const std::string_view type : {"WordPiece", "Unigram", "WordLevel"}) {
    auto tokenizer =
        Tokenizer::FromJson(File("", fmt::format(R"({{"type": "{}", "vocab": []}})", type)), "");
    ASSERT_FALSE(tokenizer.ok());
    EXPECT_EQ(tokenizer.error().rule, "TOK-unsupported");
    EXPECT_NE(tokenizer.error().message.find(type), std::string::npos);
  }
  EXPECT_EQ(RuleOf(File(R"("normalizer": {"type": "Precompiled"})")), "TOK-unsupported");
  EXPECT_EQ(RuleOf(File(R"("normalizer": {"type": "Nmt"})")), "TOK-unsupported");
  EXPECT_EQ(RuleOf(File(R"("pre_tokenizer": {"type": "UnicodeScripts"})")), "TOK-unsupported");
  EXPECT_EQ(RuleOf(File(R"("post_processor": {"type": "Other"})")), "TOK-unsupported");
  EXPECT_EQ(RuleOf(File(R"("decoder": {"type": "Other"})")), "TOK-unsupported");
  EXPECT_EQ(RuleOfModel(R"({"type": "BPE", "vocab": {}, "merges": [], "dropout": 0.1})"),
            "TOK-unsupported");
}

TEST(Tokenizer, RefusesMalformedFiles) {
  EXPECT_EQ(RuleOf(""), "JSON-syntax");
  EXPECT_EQ(RuleOf("[]"), "TOK-field");
  EXPECT_EQ(RuleOf("{}"), "TOK-field");
  EXPECT_EQ(RuleOfModel("[]"), "TOK-field");
  EXPECT_EQ(RuleOfModel(R"({"type": "BPE", "vocab": {}})"), "TOK-field");
  EXPECT_EQ(RuleOfModel(R"({"type": "BPE", "vocab": {"a": -1}, "merges": []})"), "TOK-id-range");
  EXPECT_EQ(RuleOfModel(R"({"type": "BPE", "vocab": {"a": 1.5}, "merges": []})"), "TOK-id-range");
  EXPECT_EQ(RuleOfModel(R"({"type": "BPE", "vocab": {"a": 4294967296}, "merges": []})"),
            "TOK-id-range");
  EXPECT_EQ(RuleOfModel(R"({"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []})"),
            "TOK-id-duplicate");
  for (const std::string_view merge : {R"("a")", R"("a b c")", R"("a x")", R"(["a"])", "1"}) {
    EXPECT_EQ(RuleOfModel(fmt::format(
                  R"({{"type": "BPE", "vocab": {{"a": 0, "b": 1}}, "merges": [{}]}})", merge)),
              "TOK-merge")
        << merge;
  }
  EXPECT_EQ(RuleOf(File(R"("added_tokens": [{"id": 1}])")), "TOK-field");
  EXPECT_EQ(RuleOf(File(R"("added_tokens": [{"content": "x", "special": 1}])")), "TOK-field");
  EXPECT_EQ(RuleOf(File(""), "[]"), "TOK-field");
  EXPECT_EQ(RuleOf(File(""), R"({"added_tokens_decoder": {"-1": {"content": "x"}}})"),
            "TOK-id-range");
}

TEST(Tokenizer, RefusesAnAddedTokenWhoseNextIdIsTaken) {
  EXPECT_EQ(RuleOf(File(R"("added_tokens": [{"content": "<x>"}])",
                        R"({"type": "BPE", "vocab": {"a": 0, "b": 2, "c": 3}, "merges": []})")),
            "TOK-id-duplicate");
}

TEST(Tokenizer, RefusesTemplatesThatGoNowhere) {
  const auto with = [](std::string_view single, std::string_view ids) {
    return RuleOf(File(fmt::format(
        R"("post_processor": {{"type": "TemplateProcessing", "single": [{}],
            "special_tokens": {{"a": {{"ids": [{}]}}}}}})",
        single, ids)));
  };
  constexpr std::string_view kText = R"({"Sequence": {"id": "A"}})";
  constexpr std::string_view kToken = R"({"SpecialToken": {"id": "a"}})";
  const std::string good = fmt::format("{}, {}", kToken, kText);
  EXPECT_EQ(with(good, "0"), "");
  EXPECT_EQ(with(good, "99"), "TOK-template");
  EXPECT_EQ(with(good, "-1"), "TOK-field");
  EXPECT_EQ(with(kToken, "0"), "TOK-template");
  EXPECT_EQ(with(fmt::format("{}, {}", kText, kText), "0"), "TOK-template");
  EXPECT_EQ(with(fmt::format("{}, {}", R"({"SpecialToken": {"id": "b"}})", kText), "0"),
            "TOK-field");
}

TEST(Tokenizer, RefusesRegularExpressionsItCannotRun) {
  const auto with = [](std::string_view expression) {
    std::string quoted;
    AppendJsonString(quoted, expression);
    return RuleOf(File(R"("pre_tokenizer": {"type": "Split", "behavior": "Isolated",
                           "pattern": {"Regex": )" +
                       quoted + "}}"));
  };
  EXPECT_EQ(with("a"), "");
  for (const std::string_view bad : {"(", "[", "\\", "\\p{L", "\\p{Nope}", "(?s:a)", "\\y",
                                     "[a[bc]]", "[[:no:]]", "\\u12", "a{100000}", "\\Kb", "\\C"}) {
    EXPECT_EQ(with(bad), "TOK-regex") << bad;
  }
  EXPECT_EQ(with(std::string(100'000, 'a')), "TOK-regex");
}

TEST(Tokenizer, GivesUpOnExpressionsThatRunAway) {
  auto tokenizer =
      Tokenizer::FromJson(File(R"("pre_tokenizer": {"type": "Split", "behavior": "Isolated",
              "pattern": {"Regex": "(?:a+)+(?:a+)+[cd]"}})"),
                          "");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().ToString();
  auto ids = tokenizer->Encode(std::string(5000, 'a') + "b", false);
  ASSERT_FALSE(ids.ok());
  EXPECT_EQ(ids.error().rule, "TOK-regex-limit");
}

TEST(Tokenizer, StopsTextsThatGrowWithoutBound) {
  std::string doubling;
  for (int i = 0; i < 40; ++i) {
    doubling += R"(,{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})";
  }
  auto tokenizer = Tokenizer::FromJson(
      File(R"("normalizer": {"type": "Sequence", "normalizers": [)" + doubling.substr(1) + "]}"),
      "");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().ToString();
  EXPECT_EQ(tokenizer->Encode("a", false).error().rule, "TOK-growth");

  std::string spelling;
  for (int i = 0; i < 60; ++i) {
    spelling += R"(,{"type": "ByteLevel", "add_prefix_space": false, "use_regex": false})";
  }
  tokenizer =
      Tokenizer::FromJson(File(R"("pre_tokenizer": {"type": "Sequence", "pretokenizers": [)" +
                               spelling.substr(1) + "]}"),
                          "");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().ToString();
  EXPECT_EQ(tokenizer->Encode("é", false).error().rule, "TOK-growth");
}

TEST(Tokenizer, EncodesALongWordInGoodTime) {
  auto tokenizer = Tokenizer::FromJson(File(""), "");
  ASSERT_TRUE(tokenizer.ok());
  const auto start = std::chrono::steady_clock::now();
  auto ids = tokenizer->Encode(std::string(1'000'001, 'a'), false);
  EXPECT_LT(std::chrono::steady_clock::now() - start,
            std::chrono::seconds(20));  // quadratic: hours
  ASSERT_TRUE(ids.ok());
  ASSERT_EQ(ids->size(), 500'001U);
  EXPECT_EQ(ids->front(), 2);
  EXPECT_EQ(ids->back(), 0);
}

TEST(Tokenizer, ServesSeveralThreads) {
  auto tokenizer = Tokenizer::FromJson(File(""), "");
  ASSERT_TRUE(tokenizer.ok());
  std::vector<std::thread> threads;
  std::vector<size_t> counts(4);
  for (size_t i = 0; i < counts.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 100; ++round) {
        counts[i] += tokenizer->Encode(std::string(i + 1, 'a') + "b", false)->size();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counts, (std::vector<size_t>{200, 200, 300, 300}));
}

}  // namespace
}  // namespace slim
