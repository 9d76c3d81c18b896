// Holds every component against testdata/text/tokenizer_cases.json: what the tokenizers and
// transformers packages do, recorded by tests/peers/record_tokenizer_cases.py.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "json/json.h"
#include "text/bpe.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace slim {
namespace {

const Json& Cases(std::string_view kind) {
  static const Json all = [] {
    std::ifstream file(std::string(SLIM_TESTDATA) + "/text/tokenizer_cases.json");
    std::stringstream content;
    content << file.rdbuf();
    auto json = ParseJson(content.str());
    EXPECT_TRUE(json.ok()) << json.error().ToString();
    return json.ok() ? *json : Json::Object();
  }();
  static const Json none = Json::Array();
  const Json* found = all.Find(kind);
  EXPECT_TRUE(found != nullptr && !found->items().empty()) << kind;
  return found == nullptr ? none : *found;
}

std::vector<std::string> Strings(const Json& row, std::string_view field) {
  std::vector<std::string> strings;
  for (const Json& item : row.Find(field)->items()) strings.push_back(item.text());
  return strings;
}

std::vector<int32_t> Ids(const Json& row, std::string_view field) {
  std::vector<int32_t> ids;
  for (const Json& id : row.Find(field)->items()) {
    ids.push_back(static_cast<int32_t>(*id.AsInteger()));
  }
  return ids;
}

TEST(TokenizerCases, PreTokenizers) {
  for (const Json& row : Cases("pre_tokenizer").items()) {
    SCOPED_TRACE(DumpJson(row));
    auto part = PreTokenizer::FromJson(row.Find("component"));
    ASSERT_TRUE(part.ok()) << part.error().ToString();
    Pieces pieces(row.Find("text")->text(), /*at_start=*/true);
    ASSERT_TRUE((*part)->Apply(pieces).ok());
    std::vector<std::string> texts;
    for (const Pieces::Piece& piece : pieces.items()) texts.emplace_back(piece.text);
    EXPECT_EQ(texts, Strings(row, "pieces"));
  }
}

TEST(TokenizerCases, Normalizers) {
  for (const Json& row : Cases("normalizer").items()) {
    SCOPED_TRACE(DumpJson(row));
    auto part = Normalizer::FromJson(row.Find("component"));
    ASSERT_TRUE(part.ok()) << part.error().ToString();
    std::string text = row.Find("text")->text();
    bool at_start = true;
    ASSERT_TRUE((*part)->Apply(text, at_start).ok());
    EXPECT_EQ(text, row.Find("normalized")->text());
  }
}

TEST(TokenizerCases, Decoders) {
  for (const Json& row : Cases("decoder").items()) {
    SCOPED_TRACE(DumpJson(row));
    auto part = Decoder::FromJson(row.Find("component"));
    ASSERT_TRUE(part.ok()) << part.error().ToString();
    std::vector<std::string> tokens = Strings(row, "tokens");
    ASSERT_TRUE((*part)->Apply(tokens).ok());
    std::string text;
    for (const std::string& token : tokens) text += token;
    EXPECT_EQ(text, row.Find("text")->text());
  }
}

TEST(TokenizerCases, AddedTokens) {
  for (const Json& row : Cases("added_tokens").items()) {
    SCOPED_TRACE(DumpJson(row));
    auto tokenizer = Tokenizer::FromJson(DumpJson(*row.Find("tokenizer")), "");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().ToString();
    const std::vector<int32_t> ids = *tokenizer->Encode(row.Find("text")->text(), true);
    EXPECT_EQ(ids, Ids(row, "ids"));
    std::vector<std::string> tokens;
    for (const int32_t id : ids) tokens.push_back(tokenizer->TokenText(id));
    EXPECT_EQ(tokens, Strings(row, "tokens"));
    EXPECT_EQ(*tokenizer->Decode(ids, true), row.Find("decoded_skip_special")->text());
  }
}

TEST(TokenizerCases, Models) {
  for (const Json& row : Cases("model").items()) {
    SCOPED_TRACE(DumpJson(row));
    auto model = BpeModel::FromJson(*row.Find("model"));
    ASSERT_TRUE(model.ok()) << model.error().ToString();
    BpeModel::Scratch scratch;
    for (int round = 0; round < 2; ++round) {  // the second one comes from the cache
      std::vector<int32_t> ids;
      ASSERT_TRUE(model->Encode(row.Find("text")->text(), scratch, ids).ok());
      EXPECT_EQ(ids, Ids(row, "ids"));
    }
  }
}

TEST(TokenizerCases, Configs) {
  for (const Json& row : Cases("config").items()) {
    SCOPED_TRACE(DumpJson(row));
    auto tokenizer =
        Tokenizer::FromJson(DumpJson(*row.Find("tokenizer")), DumpJson(*row.Find("config")));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().ToString();
    const std::string& text = row.Find("text")->text();
    const std::vector<int32_t> ids = *tokenizer->Encode(text, true);
    EXPECT_EQ(ids, Ids(row, "ids"));
    EXPECT_EQ(*tokenizer->Encode(text, false), Ids(row, "ids_plain"));
    EXPECT_EQ(*tokenizer->Decode(ids, false), row.Find("decoded")->text());
    EXPECT_EQ(*tokenizer->Decode(ids, true), row.Find("decoded_skip_special")->text());
  }
}

}  // namespace
}  // namespace slim
