// Each rule about the bytes of a safetensors file or of JSON, fired by one file. Names of the
// conditions follow facts/malformed_cases.tsv.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/bytes.h"
#include "scratch.h"
#include "verify/checkpoint_editor.h"

namespace slim {

std::set<std::string> RulesWithContainerCases();      // for findings_test.cc
std::set<std::string> RulesWithNearContainerCases();  // for findings_test.cc

namespace {

struct FileCase {
  const char* rule;
  std::string header;  // without its length
  std::string data = std::string(8, '\0');
};

void PrintTo(const FileCase& c, std::ostream* out) { *out << c.rule; }

std::string Tensor(const std::string& fields) { return fmt::format("{{\"t\":{{{}}}}}", fields); }
const std::string kGood = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";

std::vector<FileCase> FileCases() {
  return {
      {"ST-empty-header", ""},
      {"ST-not-an-object", "[]"},
      {"ST-missing-field", Tensor(R"("shape":[2],"data_offsets":[0,8])")},
      {"ST-unknown-field", Tensor(kGood + ",\"x\":1")},
      {"ST-duplicate-field", Tensor(kGood + ",\"dtype\":\"F32\"")},
      {"ST-duplicate-tensor", fmt::format("{{\"t\":{{{}}},\"t\":{{{}}}}}", kGood, kGood)},
      {"ST-duplicate-metadata", R"({"__metadata__":{},"__metadata__":{}})"},
      {"ST-duplicate-metadata-key", R"({"__metadata__":{"a":"1","a":"2"}})"},
      {"ST-unknown-dtype", Tensor(R"("dtype":"F33","shape":[2],"data_offsets":[0,8])")},
      {"ST-rank", Tensor(fmt::format(R"("dtype":"F32","shape":[2{}],"data_offsets":[0,8])",
                                     fmt::join(std::vector<std::string>(65, ",1"), "")))},
      {"ST-offset-count", Tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0])")},
      {"ST-reversed-offsets", Tensor(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])")},
      {"ST-size-mismatch", Tensor(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])")},
      {"ST-size-overflow",
       Tensor(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8])")},
      {"ST-partial-byte", Tensor(R"("dtype":"F4","shape":[3],"data_offsets":[0,2])")},
      {"ST-hole-or-overlap", Tensor(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])")},
      {"ST-truncated", Tensor(kGood), "1234"},
      {"ST-trailing-bytes", Tensor(kGood), "123456789"},
      {"ST-unaligned", Tensor(kGood)},
      {"JSON-syntax", "{\"t\" 1}"},
      {"JSON-type", Tensor(R"("dtype":"F32","shape":2,"data_offsets":[0,8])")},
      {"JSON-utf8", "{\"\xFF\":{}}"},
      {"JSON-control-character", "{\"a\nb\":{}}"},
      {"JSON-surrogate", R"({"\ud800":{}})"},
      {"JSON-number", Tensor(R"("dtype":"F32","shape":[02],"data_offsets":[0,8])")},
      {"JSON-trailing", "{} x"},
  };
}

// Files that are wrong before the header begins.
struct RawCase {
  const char* rule;
  std::string bytes;
};
void PrintTo(const RawCase& c, std::ostream* out) { *out << c.rule; }

std::vector<RawCase> RawCases() {
  std::string huge(16, '\0');
  StoreLe<uint64_t>(huge.data(), 100'000'001);
  std::string past(16, '\0');
  StoreLe<uint64_t>(past.data(), 1000);
  return {{"ST-too-short", "1234567"},
          {"ST-foreign-format", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"},
          {"ST-header-too-large", huge},
          {"ST-header-past-end", past}};
}

// config.json is where the JSON of side files is read.
struct ConfigCase {
  const char* rule;
  std::string text;
};
void PrintTo(const ConfigCase& c, std::ostream* out) { *out << c.rule; }

std::vector<ConfigCase> ConfigCases() {
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 4'000'000; ++i) many += ",0";
  return {{"JSON-bom", "\xEF\xBB\xBF{}"},
          {"JSON-nul", std::string("{}\0", 3)},
          {"JSON-duplicate-key", R"({"a":1,"a":2})"},
          {"JSON-too-deep", "{\"a\":" + std::string(100, '[') + std::string(100, ']') + "}"},
          {"JSON-too-many-values", many + "]}"}};
}

std::set<std::string> Rules(const std::string& path) {
  const auto report = VerifyCheckpoint(path, {}, SilentListener());
  EXPECT_TRUE(report.ok());
  std::set<std::string> rules;
  for (const Finding& finding : report->findings) rules.insert(finding.rule);
  return rules;
}

std::string WithLength(const std::string& header, const std::string& data) {
  std::string file(8, '\0');
  StoreLe<uint64_t>(file.data(), header.size());
  return file + header + data;
}

// What comes closest to each of them and is sound, or breaks another rule.
std::vector<FileCase> NearFileCases() {
  const std::string two = fmt::format(
      R"({{"t":{{{}}},"u":{{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}}})", kGood);
  const std::string both(16, '\0');
  const auto padded = [](const std::string& header) {
    return header + std::string((8 - header.size() % 8) % 8, ' ');
  };
  return {
      {"ST-empty-header", "{}", ""},
      {"ST-not-an-object", " {}", ""},
      {"ST-missing-field", Tensor(R"("data_offsets":[0,8],"shape":[2],"dtype":"F32")")},
      {"ST-unknown-field", R"({"__metadata__":{"x":"1"}})", ""},
      {"ST-duplicate-field", two, both},
      {"ST-duplicate-tensor", two, both},
      {"ST-duplicate-metadata", fmt::format(R"({{"__metadata__":{{}},"metadata":{{{}}}}})", kGood)},
      {"ST-duplicate-metadata-key", R"({"__metadata__":{"a":"1","A":"2"}})", ""},
      {"ST-unknown-dtype", Tensor(R"("dtype":"U32","shape":[2],"data_offsets":[0,8])")},
      {"ST-rank", Tensor(fmt::format(R"("dtype":"F32","shape":[2{}],"data_offsets":[0,8])",
                                     fmt::join(std::vector<std::string>(63, ",1"), "")))},
      {"ST-offset-count", Tensor(R"("dtype":"F32","shape":[2],"data_offsets":[ 0 , 8 ])")},
      {"ST-reversed-offsets", Tensor(R"("dtype":"F32","shape":[0],"data_offsets":[0,0])"), ""},
      {"ST-size-mismatch", Tensor(R"("dtype":"F32","shape":[1,2],"data_offsets":[0,8])")},
      {"ST-size-overflow",
       Tensor(R"("dtype":"F32","shape":[134217728,134217728],"data_offsets":[0,8])")},
      {"ST-partial-byte", Tensor(R"("dtype":"F4","shape":[4],"data_offsets":[0,2])"), "12"},
      {"ST-hole-or-overlap", two, both},
      {"ST-truncated", Tensor(kGood), "12345678"},
      {"ST-trailing-bytes", Tensor(kGood), "12345678"},
      {"ST-unaligned", padded(Tensor(kGood))},
      {"JSON-syntax", fmt::format("{{\"t\" :\t{{{}}} }}", kGood)},
      {"JSON-type", Tensor(R"("dtype":"F32","shape":[],"data_offsets":[0,4])"), "1234"},
      {"JSON-utf8", fmt::format("{{\"\xC3\xA9\":{{{}}}}}", kGood)},
      {"JSON-control-character", fmt::format(R"({{"a\nb":{{{}}}}})", kGood)},
      {"JSON-surrogate", fmt::format(R"({{"\ud83d\ude00":{{{}}}}})", kGood)},
      {"JSON-number", Tensor(R"("dtype":"F32","shape":[0],"data_offsets":[0,0])"), ""},
      {"JSON-trailing", "{} \n\t ", ""},
  };
}

std::vector<RawCase> NearRawCases() {
  std::string large(16, '\0');
  StoreLe<uint64_t>(large.data(), 100'000'000);
  return {{"ST-too-short", std::string(8, '\0')},
          {"ST-foreign-format", std::string("\2\0\0\0\0\0\0\0{}", 10)},
          {"ST-header-too-large", large},
          {"ST-header-past-end", std::string("\2\0\0\0\0\0\0\0{}", 10)}};
}

std::vector<ConfigCase> NearConfigCases() {
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 100'000; ++i) many += ",0";
  return {{"JSON-bom", "{\"a\":\"\xEF\xBB\xBF\"}"},
          {"JSON-nul", "{}\n"},
          {"JSON-duplicate-key", R"({"a":1,"b":{"a":1}})"},
          {"JSON-too-deep", "{\"a\":" + std::string(50, '[') + std::string(50, ']') + "}"},
          {"JSON-too-many-values", many + "]}"}};
}

class SpoiledFile : public testing::TestWithParam<FileCase> {};
TEST_P(SpoiledFile, FiresItsRuleOnly) {
  Scratch scratch;
  const std::string path =
      scratch.Write("x.safetensors", WithLength(GetParam().header, GetParam().data));
  EXPECT_EQ(Rules(path), std::set<std::string>{GetParam().rule});
}
INSTANTIATE_TEST_SUITE_P(Header, SpoiledFile, testing::ValuesIn(FileCases()));

class SpoiledStart : public testing::TestWithParam<RawCase> {};
TEST_P(SpoiledStart, FiresItsRuleOnly) {
  Scratch scratch;
  EXPECT_EQ(Rules(scratch.Write("x.safetensors", GetParam().bytes)),
            std::set<std::string>{GetParam().rule});
}
INSTANTIATE_TEST_SUITE_P(Start, SpoiledStart, testing::ValuesIn(RawCases()));

class SpoiledConfig : public testing::TestWithParam<ConfigCase> {};
TEST_P(SpoiledConfig, FiresItsRule) {
  CheckpointEditor editor("golden/models/mini-qwen2-bfloat16");
  editor.files["config.json"] = GetParam().text;
  EXPECT_TRUE(Rules(editor.Write()).contains(GetParam().rule));
}
INSTANTIATE_TEST_SUITE_P(Config, SpoiledConfig, testing::ValuesIn(ConfigCases()));

class NearFile : public testing::TestWithParam<FileCase> {};
TEST_P(NearFile, DoesNotFireItsRule) {
  Scratch scratch;
  const std::string path =
      scratch.Write("x.safetensors", WithLength(GetParam().header, GetParam().data));
  EXPECT_FALSE(Rules(path).contains(GetParam().rule));
}
INSTANTIATE_TEST_SUITE_P(Header, NearFile, testing::ValuesIn(NearFileCases()));

class NearStart : public testing::TestWithParam<RawCase> {};
TEST_P(NearStart, DoesNotFireItsRule) {
  Scratch scratch;
  EXPECT_FALSE(Rules(scratch.Write("x.safetensors", GetParam().bytes)).contains(GetParam().rule));
}
INSTANTIATE_TEST_SUITE_P(Start, NearStart, testing::ValuesIn(NearRawCases()));

class NearConfig : public testing::TestWithParam<ConfigCase> {};
TEST_P(NearConfig, DoesNotFireItsRule) {
  CheckpointEditor editor("golden/models/mini-qwen2-bfloat16");
  editor.files["config.json"] = GetParam().text;
  EXPECT_FALSE(Rules(editor.Write()).contains(GetParam().rule));
}
INSTANTIATE_TEST_SUITE_P(Config, NearConfig, testing::ValuesIn(NearConfigCases()));

// A global of the description may reach the limit of one JSON value, config.json cannot: it is
// refused as a file before.
TEST(SpoiledDescription, TooLargeAValue) {
  CheckpointEditor editor("golden/one-click/mini-qwen2-bfloat16/w8a8-static");
  editor.after = [](const std::string& directory) {
    std::ofstream(directory + "/quant_model_description.json")
        << "{\"metadata\": \"" << std::string((64U << 20) + 1, 'x') << "\"}";
  };
  EXPECT_TRUE(Rules(editor.Write()).contains("JSON-too-large"));
}

TEST(NearDescription, ALargeValue) {
  CheckpointEditor editor("golden/one-click/mini-qwen2-bfloat16/w8a8-static");
  editor.after = [](const std::string& directory) {
    std::ofstream(directory + "/quant_model_description.json")
        << "{\"metadata\": \"" << std::string(1U << 20, 'x') << "\"}";
  };
  EXPECT_FALSE(Rules(editor.Write()).contains("JSON-too-large"));
}

// A file by itself is judged as a container: no config.json, names or labels are asked for.
TEST(SingleFile, SoundContainerHasNoFinding) {
  Scratch scratch;
  const std::string header = Tensor(kGood);
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  const std::string path = scratch.Write("x.safetensors", WithLength(padded, std::string(8, '\0')));
  const auto report = VerifyCheckpoint(path, {}, SilentListener());
  ASSERT_TRUE(report.ok());
  EXPECT_TRUE(report->findings.empty());
  EXPECT_TRUE(report->single_file);
  EXPECT_EQ(report->DialectName(), "safetensors");
  EXPECT_EQ(report->tensors, 1U);
  EXPECT_EQ(report->bytes, 8U);
}

}  // namespace

std::set<std::string> RulesWithNearContainerCases() {
  std::set<std::string> rules = {"JSON-too-large"};
  for (const FileCase& c : NearFileCases()) rules.insert(c.rule);
  for (const RawCase& c : NearRawCases()) rules.insert(c.rule);
  for (const ConfigCase& c : NearConfigCases()) rules.insert(c.rule);
  return rules;
}

std::set<std::string> RulesWithContainerCases() {
  std::set<std::string> rules = {"JSON-too-large"};
  for (const FileCase& c : FileCases()) rules.insert(c.rule);
  for (const RawCase& c : RawCases()) rules.insert(c.rule);
  for (const ConfigCase& c : ConfigCases()) rules.insert(c.rule);
  return rules;
}

}  // namespace slim
