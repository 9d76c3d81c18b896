// Two megabytes of mixed text (English, code, Chinese, emoji, random bytes) give the ids of the
// tokenizers package. The digests below are of its ids: tests/peers/tokenizer_mixed_test.py
// compares id by id and says them.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

#include "base/text.h"
#include "text/tokenizer.h"

namespace slim {
namespace {

constexpr size_t kBytes = 2'000'000;

std::string ReadTestFile(const std::string& path) {
  std::ifstream file(std::string(SLIM_TESTDATA) + "/" + path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

void AppendCharacter(uint32_t code, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xE0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

class MixedText {
 public:
  std::string Make() {
    std::string text;
    while (text.size() < kBytes) {
      const uint32_t kind = Below(5);
      const uint32_t length = 20 + Below(380);
      if (kind < 2) {
        AddSlice(kind == 0 ? prose_ : code_, length, text);
      } else {
        for (uint32_t i = 0; i < length; ++i) AddCharacter(kind, text);
      }
    }
    return text;
  }

 private:
  uint32_t Below(uint32_t bound) { return static_cast<uint32_t>(random_()) % bound; }

  void AddSlice(const std::string& source, uint32_t length, std::string& text) {
    const auto inside = [&](size_t at) {  // of a character
      return at < source.size() && (static_cast<unsigned char>(source[at]) & 0xC0) == 0x80;
    };
    size_t begin = Below(static_cast<uint32_t>(source.size()) - length);
    while (inside(begin)) ++begin;
    size_t end = begin + length;
    while (inside(end)) ++end;
    text.append(source, begin, end - begin);
  }

  void AddCharacter(uint32_t kind, std::string& text) {
    constexpr uint32_t kPunctuation[] = {0xFF0C, 0x3002, 0xFF01, 0xFF1F, 0x20};
    constexpr uint32_t kJoiners[] = {0x20, 0x200D, 0xFE0F};
    if (kind == 2) {
      AppendCharacter(Below(10) == 0 ? kPunctuation[Below(5)] : 0x4E00 + Below(0x51A5), text);
    } else if (kind == 3) {
      AppendCharacter(0x1F300 + Below(0x350), text);
      if (Below(2) == 0) AppendCharacter(kJoiners[Below(3)], text);
    } else {
      // A byte as decoders with replacement see it; now and then two make a character.
      const uint32_t byte = Below(256);
      const uint32_t pair = byte >= 0xC2 && byte < 0xE0 && Below(4) == 0
                                ? (byte & 0x1F) << 6 | Below(64)
                                : uint32_t{0xFFFD};
      AppendCharacter(byte < 0x80 ? byte : pair, text);
    }
  }

  std::mt19937 random_{2};
  std::string prose_ = ReadTestFile("golden/held-out-text.txt");
  std::string code_ = ReadTestFile("mixtures/make.py");
};

uint64_t Digest(const std::vector<int32_t>& ids) {
  uint64_t digest = 0xCBF29CE484222325ULL;  // FNV-1a, an id a step
  for (const int32_t id : ids) digest = (digest ^ static_cast<uint32_t>(id)) * 0x100000001B3ULL;
  return digest;
}

TEST(TokenizerMixed, GivesTheIdsOfTheTokenizersPackage) {
  const std::string text = MixedText().Make();
  ASSERT_TRUE(IsUtf8(text));
  const char* folder = std::getenv("SLIM_MIXED_TEXT");  // where the peer test reads both
  if (folder != nullptr) std::ofstream(std::string(folder) + "/text", std::ios::binary) << text;
  const std::pair<std::string, uint64_t> wanted[] = {{"tiny-llama", 0xE0A68A61EE4AABE0},
                                                     {"tiny-qwen2", 0xEF12AD8FE02AEE83},
                                                     {"tiny-qwen3", 0xEF12AD8FE02AEE83}};
  for (const auto& [name, digest] : wanted) {
    SCOPED_TRACE(name);
    const std::string model = "models/" + name;
    auto tokenizer = Tokenizer::FromJson(ReadTestFile(model + "/tokenizer.json"),
                                         ReadTestFile(model + "/tokenizer_config.json"));
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().ToString();
    const auto ids = tokenizer->Encode(text, /*add_special_tokens=*/false);
    ASSERT_TRUE(ids.ok()) << ids.error().ToString();
    EXPECT_EQ(Digest(*ids), digest);
    if (folder == nullptr) continue;
    std::ofstream out(std::string(folder) + "/" + name, std::ios::binary);
    out.write(reinterpret_cast<const char*>(ids->data()),
              static_cast<std::streamsize>(ids->size() * sizeof(int32_t)));
  }
}

}  // namespace
}  // namespace slim
