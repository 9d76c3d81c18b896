// Holds sentencepiece's unigram models against the ids that the sentencepiece package gave
// (testdata/text/unigram, made by tests/peers/record_unigram_cases.py).
#include "text/unigram.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "json/json.h"
#include "text/sentencepiece_normalizer.h"
#include "text/tokenizer.h"

namespace slim {
namespace {

std::string Content(const std::string& name) {
  std::ifstream file(std::string(SLIM_TESTDATA) + "/text/unigram/" + name, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  EXPECT_FALSE(content.str().empty()) << name;
  return content.str();
}

void CheckCases(const std::string& name, std::string_view tokenizer_config,
                const std::vector<int32_t>& before) {
  const std::string model = Content(name + ".model");
  auto tokenizer = Tokenizer::FromSentencePiece(model, tokenizer_config);
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().ToString();
  auto cases = ParseJson(Content("cases.json"));
  ASSERT_TRUE(cases.ok());
  for (const Json& item : cases->Find(name)->items()) {
    const std::string& text = item.Find("text")->text();
    SCOPED_TRACE(text);
    std::vector<int32_t> wanted = before;
    for (const Json& id : item.Find("ids")->items())
      wanted.push_back(static_cast<int32_t>(*id.AsInteger()));
    auto found = tokenizer->Encode(text, true);
    ASSERT_TRUE(found.ok()) << found.error().ToString();
    EXPECT_EQ(*found, wanted);
  }
}

TEST(Unigram, GivesTheIdsOfSentencePiece) {
  CheckCases("nfkc", "", {1});  // <s>
  CheckCases("plain", R"({"add_bos_token": false})", {});
}

TEST(Unigram, DecodesWhatItEncodes) {
  auto tokenizer = Tokenizer::FromSentencePiece(Content("nfkc.model"), "");
  ASSERT_TRUE(tokenizer.ok());
  const std::string text =
      "It was the best of times, \xE4\xBD\xA0\xE5\xA5\xBD <sep> \xF0\x9F\x99\x82";
  auto ids = tokenizer->Encode(text, true);
  ASSERT_TRUE(ids.ok());
  auto decoded = tokenizer->Decode(*ids, true);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, text);
}

TEST(Unigram, ControlPiecesInATextAreTheirIds) {
  auto tokenizer = Tokenizer::FromSentencePiece(Content("plain.model"), "");
  ASSERT_TRUE(tokenizer.ok());
  auto ids = tokenizer->Encode("</s>", true);
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(*ids, (std::vector<int32_t>{1, 2}));
}

// Every prefix of a model is refused or read, never more than it is; so is every changed byte of
// the table's head.
TEST(Unigram, BrokenModelsAreRefused) {
  const std::string model = Content("nfkc.model");
  for (size_t size = 0; size < model.size(); size += model.size() / 97)
    (void)Tokenizer::FromSentencePiece(std::string_view(model).substr(0, size), "");
  EXPECT_FALSE(Tokenizer::FromSentencePiece("", "").ok());
  auto proto = ReadSentencePieceProto(model);
  ASSERT_TRUE(proto.ok());
  const auto table_error = [&](std::string_view charsmap) {
    SentencePieceProto changed = *proto;
    changed.charsmap = charsmap;
    auto normalizer = SentencePieceNormalizer::FromProto(changed);
    return normalizer.ok() ? std::string() : normalizer.error().rule;
  };
  EXPECT_EQ(table_error("abc"), "SPM-format");
  EXPECT_EQ(table_error(std::string("\xFF\xFF\xFF\x7F", 4) + "abcd"), "SPM-format");
  EXPECT_EQ(table_error(std::string("\4\0\0\0\1\2\3\4", 8)), "SPM-format");
  EXPECT_EQ(table_error(std::string("\4\0\0\0\1\2\3\4x", 9)), "SPM-format");
  SentencePieceProto without_unknown = *proto;
  std::erase_if(without_unknown.pieces, [](const SentencePiece& piece) {
    return piece.type == SentencePieceType::kUnknown;
  });
  EXPECT_FALSE(UnigramModel::FromProto(without_unknown).ok());
}

// A table whose texts are anything keeps within itself and never gives what is no UTF-8.
TEST(Unigram, HostileTablesStayWithinBounds) {
  const std::string model = Content("nfkc.model");
  auto proto = ReadSentencePieceProto(model);
  ASSERT_TRUE(proto.ok());
  std::string charsmap(proto->charsmap);
  uint32_t state = 1;
  for (int i = 0; i < 4000; ++i) {
    state = state * 1664525 + 1013904223;
    charsmap[4 + state % (charsmap.size() - 5)] = static_cast<char>(state >> 24);
  }
  SentencePieceProto changed = *proto;
  changed.charsmap = charsmap;
  auto normalizer = SentencePieceNormalizer::FromProto(changed);
  ASSERT_TRUE(normalizer.ok());
  auto cases = ParseJson(Content("cases.json"));
  ASSERT_TRUE(cases.ok());
  for (const Json& item : cases->Find("nfkc")->items())
    (void)normalizer->Apply(item.Find("text")->text());
}

}  // namespace
}  // namespace slim
