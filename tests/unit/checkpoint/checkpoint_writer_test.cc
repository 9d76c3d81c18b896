#include "checkpoint/checkpoint_writer.h"

#include <gtest/gtest.h>

#include "checkpoint/checkpoint.h"
#include "scratch.h"

namespace slim {
namespace {

WritePlan PlanOf(std::vector<std::pair<std::string, uint64_t>> sizes, uint64_t part_size) {
  WritePlan plan;
  plan.dialect = Dialect::kAscendV1;
  plan.globals.model_quant_type = "W8A8";
  plan.part_size = part_size;
  for (auto& [name, size] : sizes) {
    plan.tensors.push_back({{std::move(name), DType::kU8, {size}}, "FLOAT", 0});
  }
  return plan;
}

Status WriteAll(CheckpointWriter& writer) {
  for (const PlannedTensor& tensor : writer.plan().tensors) {
    const std::string bytes(ByteSize(tensor.spec.dtype, tensor.spec.shape).value(), 'x');
    SLIM_TRY(writer.Write(tensor.spec.name, std::as_bytes(std::span(bytes))));
  }
  return {};
}

// Which shard each tensor went to, from 0, in the order of the plan.
std::vector<uint32_t> ShardsOf(std::vector<std::pair<std::string, uint64_t>> sizes,
                               uint64_t part_size) {
  const Scratch scratch;
  auto writer = CheckpointWriter::Create(PlanOf(std::move(sizes), part_size), scratch / "out", {},
                                         SilentListener());
  EXPECT_TRUE(writer.ok()) << writer.error().ToString();
  std::vector<uint32_t> shards;
  for (const PlannedTensor& tensor : writer->plan().tensors) shards.push_back(tensor.shard);
  return shards;
}

// formats.md A.8: a part is closed when the next tensor would make it reach the size.
TEST(CheckpointWriter, ShardRule) {
  EXPECT_EQ(ShardsOf({{"a", 50}, {"b", 50}}, 100), (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(ShardsOf({{"a", 50}, {"b", 49}}, 100), (std::vector<uint32_t>{0, 0}));
  EXPECT_EQ(ShardsOf({{"a", 100}, {"b", 1}}, 100), (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(ShardsOf({{"a", 500}, {"b", 500}}, 100), (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(ShardsOf({{"a", 1}, {"b", 500}, {"c", 1}}, 100), (std::vector<uint32_t>{0, 1, 2}));
  EXPECT_EQ(ShardsOf({{"a", 1}, {"b", 500}, {"c", 1}}, 0), (std::vector<uint32_t>{0, 0, 0}));
}

TEST(CheckpointWriter, WhatItWritesOpensAgain) {
  const Scratch scratch;
  auto writer = CheckpointWriter::Create(PlanOf({{"a", 50}, {"b", 50}, {"c", 10}}, 100),
                                         scratch / "out", {}, SilentListener());
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(WriteAll(*writer).ok());
  ASSERT_TRUE(writer->WriteSideFile("config.json", "{}").ok());
  ASSERT_TRUE(writer->Finish().ok());
  EXPECT_FALSE(std::filesystem::exists(scratch / "out"));
  ASSERT_TRUE(writer->Commit().ok());
  const auto checkpoint = Checkpoint::Open(scratch / "out");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
  EXPECT_EQ(checkpoint->dialect(), Dialect::kAscendV1);
  EXPECT_EQ(checkpoint->shards().size(), 2U);
  EXPECT_EQ(checkpoint->tensors().size(), 3U);
  EXPECT_EQ(checkpoint->index()->total_size, 110U);
  EXPECT_EQ(scratch.List(), std::vector<std::string>{"out"});
  EXPECT_EQ(scratch.List("out"),
            (std::vector<std::string>{"config.json", "quant_model_description.json",
                                      "quant_model_weights-00001-of-00002.safetensors",
                                      "quant_model_weights-00002-of-00002.safetensors",
                                      "quant_model_weights.safetensors.index.json"}));
}

TEST(CheckpointWriter, NothingIsLeftWithoutCommit) {
  const Scratch scratch;
  {
    auto writer =
        CheckpointWriter::Create(PlanOf({{"a", 5}}, 0), scratch / "out", {}, SilentListener());
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(WriteAll(*writer).ok());
    ASSERT_TRUE(writer->Finish().ok());
  }
  EXPECT_TRUE(scratch.List().empty());
}

TEST(CheckpointWriter, AnExistingOutputStaysUnlessForced) {
  const Scratch scratch;
  scratch.Write("out/precious", "x");
  const auto refused =
      CheckpointWriter::Create(PlanOf({{"a", 5}}, 0), scratch / "out", {}, SilentListener());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kSystem);
  EXPECT_EQ(refused.error().hint, "--force replaces it");
  auto writer = CheckpointWriter::Create(PlanOf({{"a", 5}}, 0), scratch / "out", {.force = true},
                                         SilentListener());
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(WriteAll(*writer).ok());
  EXPECT_EQ(scratch.List("out"), std::vector<std::string>{"precious"});
  ASSERT_TRUE(writer->Finish().ok());
  ASSERT_TRUE(writer->Commit().ok());
  EXPECT_EQ(scratch.List("out").size(), 3U);
  EXPECT_EQ(scratch.List(), std::vector<std::string>{"out"});
}

TEST(CheckpointWriter, TensorsMustBeWrittenAsPlannedAndOnce) {
  const Scratch scratch;
  auto writer = CheckpointWriter::Create(PlanOf({{"a", 4}, {"b", 4}}, 0), scratch / "out", {},
                                         SilentListener());
  ASSERT_TRUE(writer.ok());
  const std::string four = "1234";
  const auto bytes = std::as_bytes(std::span(four));
  EXPECT_EQ(writer->Write("a", bytes.first(3)).error().code, ErrorCode::kInternal);
  EXPECT_EQ(writer->Write("x", bytes).error().code, ErrorCode::kInternal);
  ASSERT_TRUE(writer->Write("a", bytes).ok());
  EXPECT_EQ(writer->Write("a", bytes).error().code, ErrorCode::kInternal);
  EXPECT_EQ(writer->Finish().error().code, ErrorCode::kInternal);
}

TEST(CheckpointWriter, TwinsAreRefusedAndNothingIsLeft) {
  const Scratch scratch;
  for (const uint64_t part_size : {uint64_t{0}, uint64_t{4}}) {
    const auto writer = CheckpointWriter::Create(PlanOf({{"a", 4}, {"a", 4}}, part_size),
                                                 scratch / "out", {}, SilentListener());
    ASSERT_FALSE(writer.ok());
    EXPECT_EQ(writer.error().rule, "ST-duplicate-tensor");
    EXPECT_TRUE(scratch.List().empty());
  }
}

TEST(CheckpointWriter, KeptShardsThatLostAllTensorsGetNoFile) {
  const Scratch scratch;
  WritePlan plan = PlanOf({{"a", 4}, {"b", 4}}, 0);
  plan.keep_shards = true;
  plan.shard_count = 4;
  plan.tensors[0].shard = 1;
  plan.tensors[1].shard = 3;
  auto writer = CheckpointWriter::Create(std::move(plan), scratch / "out", {}, SilentListener());
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE(WriteAll(*writer).ok());
  ASSERT_TRUE(writer->Finish().ok());
  ASSERT_TRUE(writer->Commit().ok());
  const auto checkpoint = Checkpoint::Open(scratch / "out");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
  EXPECT_EQ(checkpoint->shards().size(), 2U);
}

// Reading a golden and writing what was read gives the same files: the names, order, sharding,
// globals and padding are the dialect's.
TEST(CheckpointWriter, RewritesTheGoldensByteForByte) {
  size_t written = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SLIM_TESTDATA "/golden")) {
    if (!entry.path().filename().string().starts_with("quant_model_description")) continue;
    const std::string source = entry.path().parent_path().string();
    SCOPED_TRACE(source);
    // One-click's own mindie saver (formats.md: M1) is a layout that slim reads and does not write.
    if (entry.path().parent_path().filename().string().starts_with("mindie-")) continue;
    const auto checkpoint = Checkpoint::Open(source);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().ToString();
    WritePlan plan;
    plan.dialect = checkpoint->dialect();
    plan.globals = ReadGlobals(*checkpoint->description());
    plan.keep_shards = true;
    plan.shard_count = static_cast<uint32_t>(checkpoint->shards().size());
    plan.shard_names = checkpoint->index().has_value();
    // In the order of the description, which is the order of the model.
    for (const QuantDescription::Entry& line : checkpoint->description()->entries()) {
      if (!line.is_tensor) continue;
      const TensorEntry* tensor = checkpoint->Find(line.key);
      ASSERT_NE(tensor, nullptr) << line.key;
      plan.tensors.push_back(
          {{tensor->name, tensor->dtype, tensor->shape}, line.label, tensor->shard});
    }
    const Scratch scratch;
    auto writer = CheckpointWriter::Create(std::move(plan), scratch / "out", {}, SilentListener());
    ASSERT_TRUE(writer.ok()) << writer.error().ToString();
    for (const TensorEntry& tensor : checkpoint->tensors()) {
      std::vector<std::byte> bytes(tensor.size);
      ASSERT_TRUE(checkpoint->ReadBytes(tensor, bytes).ok());
      ASSERT_TRUE(writer->Write(tensor.name, bytes).ok());
    }
    ASSERT_TRUE(writer->Finish().ok());
    ASSERT_TRUE(writer->Commit().ok());
    for (const std::string& name : scratch.List("out")) {
      EXPECT_EQ(ReadAll(scratch / ("out/" + name)) == ReadAll(source + "/" + name), true) << name;
    }
    ++written;
  }
  EXPECT_GE(written, 10U);
}

}  // namespace
}  // namespace slim
