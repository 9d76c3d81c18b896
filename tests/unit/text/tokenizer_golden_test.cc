// Every row of testdata/golden/run/*/tokens.json, which transformers made from the checkpoints in
// testdata/models.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "base/text.h"
#include "json/json.h"
#include "text/tokenizer.h"

namespace slim {
namespace {

std::string ReadTestFile(const std::string& path) {
  std::ifstream file(std::string(SLIM_TESTDATA) + "/" + path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

std::vector<int32_t> IdsOf(const Json& row, std::string_view field) {
  std::vector<int32_t> ids;
  for (const Json& id : row.Find(field)->items()) {
    ids.push_back(static_cast<int32_t>(*id.AsInteger()));
  }
  return ids;
}

std::string Stream(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::string text;
  for (const int32_t id : ids) {
    auto piece = decoder.Push(id);
    EXPECT_TRUE(piece.ok() && IsUtf8(*piece));
    text += *piece;
  }
  return text + *decoder.Finish();
}

class TokenizerGolden : public testing::TestWithParam<std::string> {};

TEST_P(TokenizerGolden, GivesIdsAndTextsOfTransformers) {
  const std::string folder = "models/" + GetParam();
  auto tokenizer = Tokenizer::FromJson(ReadTestFile(folder + "/tokenizer.json"),
                                       ReadTestFile(folder + "/tokenizer_config.json"));
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().ToString();
  auto rows = ParseJson(ReadTestFile("golden/run/" + GetParam() + "/tokens.json"));
  ASSERT_TRUE(rows.ok()) << rows.error().ToString();
  ASSERT_GE(rows->items().size(), 40U);
  for (const Json& row : rows->items()) {
    const std::string& text = row.Find("text")->text();
    SCOPED_TRACE(text);
    EXPECT_EQ(*tokenizer->Encode(text, true), IdsOf(row, "ids"));
    const std::vector<int32_t> plain = IdsOf(row, "ids_plain");
    EXPECT_EQ(*tokenizer->Encode(text, false), plain);
    EXPECT_EQ(*tokenizer->Decode(plain, false), row.Find("decoded")->text());
    const std::vector<int32_t> ids = IdsOf(row, "ids");
    EXPECT_EQ(*tokenizer->Decode(ids, true), row.Find("decoded_skip_special")->text());
    EXPECT_EQ(Stream(*tokenizer, plain, false), row.Find("decoded")->text());
    EXPECT_EQ(Stream(*tokenizer, ids, true), row.Find("decoded_skip_special")->text());
  }
}

INSTANTIATE_TEST_SUITE_P(Models, TokenizerGolden,
                         testing::Values("tiny-llama", "tiny-qwen2", "tiny-qwen3"),
                         [](const auto& model) {
                           std::string name = model.param;
                           name[name.find('-')] = '_';
                           return name;
                         });

}  // namespace
}  // namespace slim
