// The corpus of malformed and odd safetensors files (tests/corpus/cases.tsv): every case is built
// byte for byte, read from disk, and accepted or refused by the rule that the table names.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/text.h"
#include "checkpoint/safetensors_header.h"

namespace slim {
namespace {

struct Case {
  std::string id;
  std::string length;
  std::string header;
  std::string data;
  std::string verdict;
  std::string rule;
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.id; }

std::vector<Case> ReadCases() {
  std::ifstream file(SLIM_TESTS "/corpus/cases.tsv", std::ios::binary);
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) continue;
    std::vector<std::string> cells = Split(line, '\t');
    cells.resize(6);
    cases.push_back({cells[0], cells[1], cells[2], cells[3], cells[4], cells[5]});
  }
  return cases;
}

std::string Unescape(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
    } else if (text.at(i + 1) == 'x') {
      out += static_cast<char>(std::stoi(text.substr(i + 2, 2), nullptr, 16));
      i += 3;
    } else {
      out += text[++i];
    }
  }
  return out;
}

std::string Repeat(size_t count, std::string_view piece) {
  std::string out;
  out.reserve(count * piece.size());
  for (size_t i = 0; i < count; ++i) out += piece;
  return out;
}

// {"w0":{…},"w1":{…},…}; `info(i)` is what stands in the braces.
template <class Info>
std::string Tensors(size_t count, Info info) {
  std::string out = "{";
  for (size_t i = 0; i < count; ++i) {
    out += fmt::format("{}\"w{}\":{{{}}}", i == 0 ? "" : ",", i, info(i));
  }
  return out + "}";
}

std::string MakeHeader(const std::string& kind, size_t n) {
  const std::string valid = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  if (kind == "@padded") return "{}" + std::string(n - 2, ' ');
  if (kind == "@long-name") return fmt::format("{{\"{}\":{{{}}}}}", std::string(n, 'a'), valid);
  if (kind == "@deep-array") return "{\"t\":" + Repeat(n, "[") + Repeat(n, "]") + "}";
  if (kind == "@deep-field") {
    return fmt::format("{{\"t\":{{{},\"x\":{}{}}}}}", valid, Repeat(n, "["), Repeat(n, "]"));
  }
  if (kind == "@rank") {
    return fmt::format(R"({{"t":{{"dtype":"F32","shape":[1{}],"data_offsets":[0,4]}}}})",
                       Repeat(n - 1, ",1"));
  }
  if (kind == "@same-range") {
    return Tensors(n,
                   [](size_t) { return R"("dtype":"F32","shape":[2,2],"data_offsets":[0,16])"; });
  }
  if (kind == "@zero-size") {
    return Tensors(n, [](size_t) { return R"("dtype":"F32","shape":[0],"data_offsets":[0,0])"; });
  }
  if (kind == "@metadata-value") {
    return fmt::format("{{\"__metadata__\":{{\"k\":\"{}\"}}}}", std::string(n, 'v'));
  }
  if (kind == "@metadata-keys") {
    std::string out = "{\"__metadata__\":{";
    for (size_t i = 0; i < n; ++i) out += fmt::format("{}\"k{}\":\"\"", i == 0 ? "" : ",", i);
    return out + "}}";
  }
  if (kind == "@byte-tensors") {
    return Tensors(n, [](size_t i) {
      return fmt::format(R"("dtype":"U8","shape":[1],"data_offsets":[{},{}])", i, i + 1);
    });
  }
  ADD_FAILURE() << "no kind of header is called " << kind;
  return "";
}

std::string MakeData(const std::string& data) {
  const size_t star = data.find('*');
  const std::string count = star == std::string::npos ? "1" : data.substr(0, star);
  const std::string digits = star == std::string::npos ? data : data.substr(star + 1);
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return Repeat(std::stoul(count), bytes);
}

std::string MakeFile(const Case& test) {
  const std::vector<std::string> words = Split(test.header, ' ');
  const std::string header = test.header.starts_with("@")
                                 ? MakeHeader(words.at(0), std::stoul(words.at(1)))
                                 : Unescape(test.header);
  std::string file;
  if (test.length != "none") {
    file.resize(8);
    StoreLe<uint64_t>(file.data(),
                      test.length == "auto" ? header.size() : std::stoull(test.length));
  }
  return file + header + MakeData(test.data);
}

class Corpus : public testing::TestWithParam<Case> {};

TEST_P(Corpus, IsJudgedAsTheTableSays) {
  const Case& test = GetParam();
  const std::string path = testing::TempDir() + "slim_corpus_" + test.id;
  std::ofstream(path, std::ios::binary) << MakeFile(test);
  auto file = File::Open(path);
  ASSERT_TRUE(file.ok()) << file.error().ToString();
  const auto header = ReadSafetensorsHeader(*file);
  std::remove(path.c_str());
  EXPECT_EQ(header.ok() ? "accept" : "reject", test.verdict);
  EXPECT_EQ(header.ok() ? "" : header.error().rule, test.rule);
  if (header.ok()) return;
  EXPECT_EQ(header.error().code, ErrorCode::kInput);
  EXPECT_EQ(header.error().path, path);
  EXPECT_LT(header.error().ToString().size(), 2000U);
  EXPECT_EQ(header.error().ToString().find('\n'), std::string::npos);
  RecordProperty("rule", header.error().rule);
}

INSTANTIATE_TEST_SUITE_P(Safetensors, Corpus, testing::ValuesIn(ReadCases()),
                         [](const auto& test) { return test.param.id; });

TEST(CorpusTable, IsComplete) { EXPECT_GE(ReadCases().size(), 156U); }

}  // namespace
}  // namespace slim
