#include "checkpoint/checkpoint.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/shard_index.h"
#include "scratch.h"

namespace slim {
namespace {

const std::string kModels = SLIM_TESTDATA "/models/";

// A safetensors file whose bytes are 1, 2, 3, …
std::string MakeFile(const std::vector<TensorSpec>& specs) {
  const auto layout = LayOutSafetensors(specs);
  std::string file = layout->header;
  while (file.size() < layout->file_size) file += static_cast<char>(file.size());
  return file;
}

std::string IndexText(const std::vector<std::pair<std::string, std::string>>& weight_map,
                      uint64_t total_size) {
  ShardIndex index;
  index.total_size = total_size;
  for (const auto& [tensor, file] : weight_map) index.Add(tensor, file);
  return WriteShardIndex(index);
}

// Two shards with an index, as transformers saves them.
void MakeSharded(const Scratch& scratch, const std::string& folder,
                 std::vector<std::pair<std::string, std::string>> weight_map = {}) {
  const std::string one = "model-00001-of-00002.safetensors";
  const std::string two = "model-00002-of-00002.safetensors";
  scratch.Write(folder + "/" + one, MakeFile({{"a", DType::kU8, {2}}, {"b", DType::kI8, {3}}}));
  scratch.Write(folder + "/" + two, MakeFile({{"c", DType::kU8, {4}}}));
  if (weight_map.empty()) weight_map = {{"a", one}, {"b", one}, {"c", two}};
  scratch.Write(folder + "/model.safetensors.index.json", IndexText(weight_map, 9));
  scratch.Write(folder + "/config.json", "{\"model_type\": \"llama\"}");
}

std::string RuleOf(const std::string& path) {
  const auto checkpoint = Checkpoint::Open(path);
  return checkpoint.ok() ? "" : checkpoint.error().rule;
}

TEST(Checkpoint, OpensTheModels) {
  for (const std::string name : {"tiny-qwen2", "tiny-qwen3", "tiny-llama"}) {
    const auto checkpoint = Checkpoint::Open(kModels + name);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
    EXPECT_EQ(checkpoint->dialect(), Dialect::kHf);
    EXPECT_GT(checkpoint->tensors().size(), 10U);
    EXPECT_NE(checkpoint->Find("model.embed_tokens.weight"), nullptr);
    EXPECT_EQ(checkpoint->description(), nullptr);
    EXPECT_TRUE(checkpoint->HasFile("tokenizer.json"));
    EXPECT_EQ(checkpoint->SchemeOf("model.layers.0.mlp.down_proj").value(), Scheme::kFloat);
    EXPECT_TRUE(checkpoint->CheckUnchanged().ok());
    for (const DirectoryEntry& file : checkpoint->side_files()) {
      EXPECT_FALSE(file.name.ends_with(".safetensors")) << file.name;
    }
  }
}

TEST(Checkpoint, RecognisesTheDialectsOfTheGoldens) {
  size_t found[4] = {};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SLIM_TESTDATA "/golden")) {
    if (entry.path().filename() != "config.json") continue;
    const std::string folder = entry.path().parent_path().string();
    const auto checkpoint = Checkpoint::Open(folder);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
    ++found[static_cast<size_t>(checkpoint->dialect())];
    const std::string name = entry.path().parent_path().filename().string();
    const std::string group = entry.path().parent_path().parent_path().parent_path().filename();
    const Dialect wanted = name.starts_with("mini-")    ? Dialect::kHf
                           : name.starts_with("mindie") ? Dialect::kMindIE
                           : name.starts_with("m0-")    ? Dialect::kMindIE
                           : name.starts_with("a0-")    ? Dialect::kAscendV1V0
                                                        : Dialect::kAscendV1;
    EXPECT_EQ(checkpoint->dialect(), wanted) << folder;
  }
  for (const size_t count : found) EXPECT_GT(count, 0U);
}

TEST(Checkpoint, ASingleFileIsAContainer) {
  const auto checkpoint = Checkpoint::Open(kModels + "tiny-llama/model.safetensors");
  ASSERT_TRUE(checkpoint.ok());
  EXPECT_TRUE(checkpoint->is_single_file());
  EXPECT_EQ(checkpoint->config(), nullptr);
  EXPECT_TRUE(checkpoint->side_files().empty());
  EXPECT_EQ(checkpoint->ReadSideFile("config.json").error().rule, "IN-missing");
}

TEST(Checkpoint, ReadsTensorsOfShards) {
  const Scratch scratch;
  MakeSharded(scratch, "m");
  const auto checkpoint = Checkpoint::Open(scratch / "m");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
  EXPECT_EQ(checkpoint->shards().size(), 2U);
  const Tensor c = checkpoint->Read("c").value();
  EXPECT_EQ(c.shape, Shape{4});
  const std::string file = ReadAll(scratch / "m/model-00002-of-00002.safetensors");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(c.data.bytes().data()), 4),
            file.substr(file.size() - 4));
  EXPECT_EQ(checkpoint->Read("d").error().rule, "CK-missing-tensor");
  EXPECT_EQ(checkpoint->Read("d").error().tensor, "d");
}

TEST(Checkpoint, AHuggingFaceCacheIsMadeOfLinks) {
  const Scratch scratch;
  MakeSharded(scratch, "blobs");
  const std::string snapshot = scratch / "snapshots/main";
  std::filesystem::create_directories(snapshot);
  for (const std::string& name : scratch.List("blobs")) {
    std::filesystem::rename(scratch / ("blobs/" + name), scratch / ("blobs/sha-" + name));
    std::filesystem::create_symlink("../../blobs/sha-" + name, snapshot + "/" + name);
  }
  const auto checkpoint = Checkpoint::Open(snapshot);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
  EXPECT_EQ(checkpoint->tensors().size(), 3U);
  EXPECT_NE(checkpoint->config(), nullptr);
}

TEST(Checkpoint, SafetensorsWinOverPickles) {
  const Scratch scratch;
  scratch.Write("m/pytorch_model.bin", "PK");
  scratch.Write("m/model.safetensors", MakeFile({{"a", DType::kU8, {2}}}));
  const auto checkpoint = Checkpoint::Open(scratch / "m");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
  EXPECT_EQ(checkpoint->tensors().size(), 1U);
}

TEST(Checkpoint, WhatIsNoCheckpointIsNamed) {
  const Scratch scratch;
  EXPECT_EQ(RuleOf(scratch / "none"), "IN-missing");
  EXPECT_EQ(RuleOf("/dev/null"), "IN-not-a-file");
  EXPECT_EQ(RuleOf(scratch.path()), "CK-no-weights");
  scratch.Write("pickles/pytorch_model.bin", "PK");
  const auto pickles = Checkpoint::Open(scratch / "pickles");
  EXPECT_NE(pickles.error().message.find("pytorch_model.bin"), std::string::npos)
      << pickles.error().ToString();
  EXPECT_EQ(RuleOf(scratch.Write("empty.safetensors", "")), "ST-too-short");
}

TEST(Checkpoint, IndexAndShardsMustAgree) {
  const std::string one = "model-00001-of-00002.safetensors";
  const std::string two = "model-00002-of-00002.safetensors";
  const Scratch scratch;
  MakeSharded(scratch, "wrong", {{"a", one}, {"b", two}, {"c", two}});
  EXPECT_EQ(RuleOf(scratch / "wrong"), "IX-wrong-shard");
  MakeSharded(scratch, "unlisted", {{"a", one}, {"c", two}});
  EXPECT_EQ(RuleOf(scratch / "unlisted"), "IX-unlisted-tensor");
  MakeSharded(scratch, "missing", {{"a", one}, {"b", one}, {"c", two}, {"d", two}});
  EXPECT_EQ(RuleOf(scratch / "missing"), "IX-missing-tensor");
  MakeSharded(scratch, "climbs", {{"a", "../" + one}});
  EXPECT_EQ(RuleOf(scratch / "climbs"), "PATH-not-a-plain-name");
}

TEST(Checkpoint, AMissingShardIsNamed) {
  const Scratch scratch;
  MakeSharded(scratch, "m");
  std::filesystem::remove(scratch / "m/model-00002-of-00002.safetensors");
  const auto checkpoint = Checkpoint::Open(scratch / "m");
  ASSERT_FALSE(checkpoint.ok());
  EXPECT_EQ(checkpoint.error().rule, "IX-missing-shard");
  EXPECT_EQ(checkpoint.error().path, scratch / "m/model-00002-of-00002.safetensors");
}

TEST(Checkpoint, AFifoOrDeviceAsShardDoesNotHang) {
  const Scratch scratch;
  MakeSharded(scratch, "m");
  const std::string shard = scratch / "m/model-00002-of-00002.safetensors";
  std::filesystem::remove(shard);
  ASSERT_EQ(std::system(("mkfifo " + shard).c_str()), 0);
  EXPECT_EQ(RuleOf(scratch / "m"), "IN-not-a-file");
  std::filesystem::remove(shard);
  std::filesystem::create_symlink("/dev/zero", shard);
  EXPECT_EQ(RuleOf(scratch / "m"), "IN-not-a-file");
  std::filesystem::remove(shard);
  std::filesystem::create_symlink(shard, shard);
  EXPECT_FALSE(Checkpoint::Open(scratch / "m").ok());
}

TEST(Checkpoint, InspectCollectsEveryProblem) {
  const std::string one = "model-00001-of-00002.safetensors";
  const Scratch scratch;
  MakeSharded(scratch, "m", {{"a", one}, {"x", one}, {"y", "gone.safetensors"}});
  scratch.Write("m/config.json", "{");
  const auto checkpoint = Checkpoint::Inspect(scratch / "m", 2);
  ASSERT_TRUE(checkpoint.ok());
  std::vector<std::string> rules;
  for (const Error& problem : checkpoint->problems()) rules.push_back(problem.rule);
  EXPECT_EQ(rules, (std::vector<std::string>{"JSON-syntax", "IX-missing-shard", "IX-missing-tensor",
                                             "IX-unlisted-tensor"}));
}

TEST(Checkpoint, InspectGivesTheSameOnAnyNumberOfThreads) {
  const Scratch scratch;
  for (int i = 0; i < 12; ++i) {
    const std::string tensor = "t" + std::to_string(i);
    const std::string name = "model-" + std::to_string(i) + ".safetensors";
    scratch.Write("m/" + name, i % 5 == 3 ? "no" : MakeFile({{tensor, DType::kU8, {2}}}));
  }
  const auto alone = Checkpoint::Inspect(scratch / "m", 1);
  ASSERT_TRUE(alone.ok());
  EXPECT_EQ(alone->problems().size(), 2U);
  for (const int threads : {2, 7}) {
    const auto checkpoint = Checkpoint::Inspect(scratch / "m", threads);
    ASSERT_TRUE(checkpoint.ok());
    ASSERT_EQ(checkpoint->tensors().size(), alone->tensors().size());
    for (size_t i = 0; i < alone->tensors().size(); ++i)
      EXPECT_EQ(checkpoint->tensors()[i].name, alone->tensors()[i].name);
    ASSERT_EQ(checkpoint->problems().size(), alone->problems().size());
    for (size_t i = 0; i < alone->problems().size(); ++i)
      EXPECT_EQ(checkpoint->problems()[i].path, alone->problems()[i].path);
  }
}

TEST(Checkpoint, NoticesAChangedShard) {
  const Scratch scratch;
  MakeSharded(scratch, "m");
  const auto checkpoint = Checkpoint::Open(scratch / "m");
  ASSERT_TRUE(checkpoint.ok());
  scratch.Write("m/model-00002-of-00002.safetensors", "");
  EXPECT_FALSE(checkpoint->CheckUnchanged().ok());
  const auto read = checkpoint->Read("c");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().tensor, "c");
  EXPECT_EQ(read.error().code, ErrorCode::kSystem);
}

TEST(Checkpoint, LabelsOfTheDescription) {
  const Scratch scratch;
  scratch.Write("m/quant_model_weights-00001-of-00001.safetensors",
                MakeFile({{"a.weight", DType::kI8, {1, 1}}}));
  const std::string index =
      IndexText({{"a.weight", "quant_model_weights-00001-of-00001.safetensors"}}, 1);
  scratch.Write("m/quant_model_weights.safetensors.index.json", index);
  scratch.Write("m/quant_model_description.json",
                R"({"a.weight":"W8A16","b.weight":"W9A9","model_quant_type":"W8A16"})");
  const auto checkpoint = Checkpoint::Open(scratch / "m");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
  EXPECT_EQ(checkpoint->SchemeOf("a").value(), Scheme::kW8A16);
  EXPECT_EQ(checkpoint->SchemeOf("b").error().rule, "CK-unknown-label");
  EXPECT_EQ(checkpoint->SchemeOf("c").error().rule, "CK-missing-label");
}

}  // namespace
}  // namespace slim
