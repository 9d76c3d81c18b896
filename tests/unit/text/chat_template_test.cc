#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "text/template_support.h"

namespace slim {
namespace {

using test::ReadText;

class GoldenChats : public testing::TestWithParam<std::string> {};

// chats.json was written by transformers' apply_chat_template(add_generation_prompt=True)
// (golden/README.md).
TEST_P(GoldenChats, MatchTransformers) {
  const std::filesystem::path model = std::filesystem::path(SLIM_TESTDATA) / "models" / GetParam();
  const auto found = FindChatTemplate(ReadText(model / "tokenizer_config.json"),
                                      ReadText(model / "chat_template.jinja"),
                                      ReadText(model / "special_tokens_map.json"));
  ASSERT_TRUE(found.ok()) << found.error().ToString();
  const auto compiled = ChatTemplate::Compile(found->source);
  ASSERT_TRUE(compiled.ok()) << compiled.error().ToString();
  const auto chats = ParseJson(
      ReadText(std::filesystem::path(SLIM_TESTDATA) / "golden/run" / GetParam() / "chats.json"));
  ASSERT_TRUE(chats.ok()) << chats.error().ToString();
  ASSERT_FALSE(chats->items().empty());
  for (const Json& chat : chats->items()) {
    Json context = found->variables;
    context.Set("messages", *chat.Find("messages")).Set("add_generation_prompt", true);
    context.Set("tools", Json()).Set("documents", Json());
    const auto prompt = compiled->Render(context);
    ASSERT_TRUE(prompt.ok()) << prompt.error().ToString();
    EXPECT_EQ(*prompt, chat.Find("prompt")->text());
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenChats,
                         testing::Values("tiny-llama", "tiny-qwen2", "tiny-qwen3"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(FindChatTemplate, TheJinjaFileWins) {
  const auto found = FindChatTemplate(R"({"chat_template": "a"})", "b", "");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->source, "b");
  EXPECT_EQ(FindChatTemplate(R"({"chat_template": "a"})", "", "")->source, "a");
}

TEST(FindChatTemplate, NamedTemplates) {
  const auto found = FindChatTemplate(
      R"({"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]})",
      "", "");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->source, "d");
  const auto none =
      FindChatTemplate(R"({"chat_template": [{"name": "rag", "template": "t"}]})", "", "");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(
      none.error().ToString(),
      "tokenizer_config.json: no chat template is named 'default'; there are: 'rag' [TPL-missing]");
}

TEST(FindChatTemplate, SpecialTokensAreStringsOrObjects) {
  const auto found = FindChatTemplate(
      R"({"chat_template": "x", "bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "unk_token": null})",
      "",
      R"({"eos_token": "other", "pad_token": {"content": "<pad>"}, "additional_special_tokens": ["a"]})");
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(DumpJson(found->variables),
            R"({"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"})");
}

TEST(FindChatTemplate, Errors) {
  EXPECT_EQ(FindChatTemplate("{}", "", "").error().rule, "TPL-missing");
  EXPECT_EQ(FindChatTemplate("", "", "").error().rule, "TPL-missing");
  EXPECT_EQ(FindChatTemplate(R"({"chat_template": 1})", "", "").error().rule, "TPL-missing");
  EXPECT_EQ(FindChatTemplate(R"({"chat_template": [{"name": 1}]})", "", "").error().rule,
            "TPL-missing");
  EXPECT_EQ(FindChatTemplate("[]", "x", "").error().rule, "TPL-context");
  EXPECT_EQ(FindChatTemplate("{", "x", "").error().path, "tokenizer_config.json");
  EXPECT_EQ(FindChatTemplate("{}", "x", R"({"bos_token": 1})").error().ToString(),
            "special_tokens_map.json: bos_token must be a string or an object with a string "
            "'content' [TPL-context]");
}

TEST(ChatTemplate, RendersManyTimes) {
  const auto compiled =
      ChatTemplate::Compile("{% set ns = namespace(n=0) %}{% set ns.n = ns.n + x %}{{ ns.n }}");
  ASSERT_TRUE(compiled.ok());
  Json context = Json::Object();
  context.Set("x", 2);
  EXPECT_EQ(*compiled->Render(context), "2");
  context.Set("x", 3);
  EXPECT_EQ(*compiled->Render(context), "3");
}

}  // namespace
}  // namespace slim
