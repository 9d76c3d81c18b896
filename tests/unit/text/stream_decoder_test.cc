#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "json/json.h"
#include "text/tokenizer.h"

namespace slim {
namespace {

// A tokenizer whose tokens are these, with ids in order, and the special token <s>.
Tokenizer Make(const std::vector<std::string>& tokens, std::string_view decoder,
               std::string_view config = "") {
  Json vocab = Json::Object();
  for (size_t id = 0; id < tokens.size(); ++id) vocab.Set(tokens[id], id);
  auto tokenizer = Tokenizer::FromJson(
      fmt::format(R"({{"model": {{"type": "BPE", "merges": [], "vocab": {}}}, "decoder": {},
                      "added_tokens": [{{"content": "<s>", "special": true}}]}})",
                  DumpJson(vocab), decoder),
      config);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().ToString();
  return *tokenizer;
}

// What Push returned for each id, then what Finish returned.
std::vector<std::string> Pieces(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                                bool skip_special = false) {
  StreamDecoder decoder(tokenizer, skip_special);
  std::vector<std::string> pieces;
  for (const int32_t id : ids) pieces.push_back(*decoder.Push(id));
  pieces.push_back(*decoder.Finish());
  EXPECT_EQ(Join(pieces, ""), *tokenizer.Decode(ids, skip_special));
  for (const std::string& piece : pieces) EXPECT_TRUE(IsUtf8(piece));
  return pieces;
}

using Texts = std::vector<std::string>;

constexpr std::string_view kByteLevel = R"({"type": "ByteLevel"})";
constexpr std::string_view kLlama = R"({"type": "Sequence", "decoders": [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
    {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]})";

TEST(StreamDecoder, HoldsACharacterUntilItIsWhole) {
  // "世" is E4 B8 96, spelled ä ¸ ĸ.
  const Tokenizer tokenizer = Make({"a", "ä", "¸", "ĸ"}, kByteLevel);
  EXPECT_EQ(Pieces(tokenizer, {0, 1, 2, 3, 0}), (Texts{"a", "", "", "世", "a", ""}));
  EXPECT_EQ(Pieces(tokenizer, {1, 2}), (Texts{"", "", "\xEF\xBF\xBD"}));
  EXPECT_EQ(Pieces(tokenizer, {1, 0}), (Texts{"",
                                              "\xEF\xBF\xBD"
                                              "a",
                                              ""}));
}

TEST(StreamDecoder, StripsOnlyTheFirstSpaceOfTheText) {
  const Tokenizer tokenizer = Make({"▁a", "▁", "b"}, kLlama);
  EXPECT_EQ(Pieces(tokenizer, {0, 0, 1, 1, 0, 2}), (Texts{"a", " a", " ", " ", " a", "b", ""}));
  EXPECT_EQ(Pieces(tokenizer, {1, 1, 1, 0}), (Texts{"", " ", " ", " a", ""}));
}

TEST(StreamDecoder, KeepsRunsOfByteTokensUntilTheyEnd) {
  // C3 A9 is "é", but followed by FF the whole run is invalid: one U+FFFD a byte.
  const Tokenizer tokenizer = Make({"▁a", "<0xC3>", "<0xA9>", "<0xFF>"}, kLlama);
  EXPECT_EQ(Pieces(tokenizer, {0, 1, 2, 0}), (Texts{"a", "", "", "é a", ""}));
  EXPECT_EQ(Pieces(tokenizer, {1, 2, 3}),
            (Texts{"", "", "", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}));
}

TEST(StreamDecoder, LeavesSpecialTokensOut) {
  const Tokenizer tokenizer = Make({"▁a"}, kLlama);
  EXPECT_EQ(Pieces(tokenizer, {1, 0, 1, 0}, true), (Texts{"", "a", "", " a", ""}));
  EXPECT_EQ(Pieces(tokenizer, {1, 0}, false), (Texts{"<s>", " a", ""}));
}

TEST(StreamDecoder, WaitsWhereTheNextTokenChangesTheLastOne) {
  const Tokenizer tokenizer = Make({"a</w>", "b"}, R"({"type": "BPEDecoder", "suffix": "</w>"})");
  EXPECT_EQ(Pieces(tokenizer, {0, 0, 1, 0}), (Texts{"", "a", " a", " b", "a"}));
}

TEST(StreamDecoder, WaitsForTheCleaningOfSpaces) {
  const Tokenizer tokenizer = Make({"a", " ", "."}, R"({"type": "Fuse"})",
                                   R"({"clean_up_tokenization_spaces": true,
          "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": true})");
  EXPECT_EQ(Pieces(tokenizer, {0, 1, 2, 0}), (Texts{"a", "", ".", "a", ""}));
}

TEST(StreamDecoder, StartsAnewAfterFinishAndRefusesUnknownIds) {
  const Tokenizer tokenizer = Make({"▁a"}, kLlama);
  StreamDecoder decoder(tokenizer, false);
  EXPECT_EQ(*decoder.Push(0), "a");
  EXPECT_EQ(*decoder.Finish(), "");
  EXPECT_EQ(*decoder.Push(0), "a");
  EXPECT_EQ(decoder.Push(7).error().rule, "TOK-id");
  EXPECT_EQ(*decoder.Push(0), " a");
}

}  // namespace
}  // namespace slim
