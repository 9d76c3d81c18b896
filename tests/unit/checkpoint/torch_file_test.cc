#include "checkpoint/torch_file.h"

#include <gtest/gtest.h>

#include <cstring>

#include "os/file.h"

namespace slim {
namespace {

// Files that torch 2.13 and Python's pickle and zipfile wrote; the hostile ones would make the file
// /tmp/slim-was-executed.
std::string Corpus(const std::string& name) {
  return ReadWholeFile(std::string(SLIM_TESTS) + "/fuzz/corpus/torch_file/" + name).value();
}

Result<TorchFile> Read(const std::string& bytes) {
  return ReadTorchFile(ByteSource::Of(std::as_bytes(std::span(bytes))));
}

std::string RuleOf(const std::string& name) {
  const auto file = Read(Corpus(name));
  return file.ok() ? "" : file.error().rule;
}

std::vector<float> Floats(const std::string& bytes, const TorchTensor& tensor) {
  std::vector<float> values(tensor.extent / 4);
  std::memcpy(values.data(), bytes.data() + tensor.offset, tensor.extent);
  return values;
}

TEST(TorchFile, BothContainersGiveTheSameTensors) {
  for (const std::string name : {"plain", "legacy"}) {
    const std::string bytes = Corpus(name);
    const auto file = Read(bytes);
    ASSERT_TRUE(file.ok()) << file.error().ToString();
    EXPECT_EQ(file->tensors[0].name, "a");
    EXPECT_EQ(file->tensors[0].shape, (Shape{3, 4}));
    EXPECT_TRUE(file->tensors[0].strides.empty());
    const std::vector<float> values = Floats(bytes, file->tensors[0]);
    for (size_t i = 0; i < 12; ++i) EXPECT_EQ(values[i], static_cast<float>(i));
  }
}

TEST(TorchFile, ViewsKeepTheirStridesAndTiesAreTold) {
  const std::string bytes = Corpus("views");
  const auto file = Read(bytes);
  ASSERT_TRUE(file.ok()) << file.error().ToString();
  const auto& tensors = file->tensors;
  EXPECT_EQ(tensors[1].strides, (Shape{1, 4}));
  EXPECT_EQ(tensors[2].shape, (Shape{4}));
  EXPECT_EQ(Floats(bytes, tensors[2])[0], 4);
  EXPECT_EQ(tensors[3].strides, (Shape{4}));
  EXPECT_EQ(tensors[6].shape, Shape());
  EXPECT_EQ(tensors[7].extent, 0U);
  EXPECT_FALSE(file->tied.empty());
}

TEST(TorchFile, AStateDictMayBeNested) {
  const auto file = Read(Corpus("nested"));
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->tensors.size(), 1U);
  EXPECT_TRUE(Read(Corpus("state_dict")).ok());
  EXPECT_EQ(Read(Corpus("float8"))->tensors[0].dtype, DType::kF8E4M3);
}

TEST(TorchFile, CodeIsRefusedByNameAndNeverRun) {
  for (const std::string name : {"evil", "evil4", "evil_legacy"}) {
    const auto file = Read(Corpus(name));
    ASSERT_FALSE(file.ok());
    EXPECT_EQ(file.error().rule, "PK-global");
    EXPECT_NE(file.error().message.find("posix.system"), std::string::npos);
  }
  EXPECT_EQ(RuleOf("eval"), "PK-global");
  EXPECT_EQ(RuleOf("inst"), "PK-opcode");
  EXPECT_EQ(RuleOf("newobj"), "PK-opcode");
  EXPECT_EQ(RuleOf("script"), "PT-script");
  EXPECT_EQ(KindOf("/tmp/slim-was-executed"), FileKind::kMissing);
}

TEST(TorchFile, WhatDoesNotFitIsRefused) {
  EXPECT_EQ(RuleOf("cut"), "ZIP-end");
  EXPECT_EQ(RuleOf("no_end"), "ZIP-end");
  EXPECT_EQ(RuleOf("compressed"), "ZIP-compressed");
  EXPECT_EQ(RuleOf("wrong_name"), "ZIP-entry");
  EXPECT_EQ(RuleOf("missing_storage"), "PT-storage");
  EXPECT_EQ(RuleOf("short_storage"), "PT-storage");
  EXPECT_EQ(RuleOf("negative"), "PT-tensor");
  EXPECT_EQ(RuleOf("huge"), "PT-tensor");
  EXPECT_EQ(RuleOf("expanded"), "PT-tensor");
  EXPECT_EQ(RuleOf("big"), "PT-endian");
  EXPECT_EQ(RuleOf("long_text"), "PK-limit");
  EXPECT_EQ(RuleOf("list"), "PT-dict");
  EXPECT_EQ(RuleOf("no_tensor"), "PT-dict");
}

TEST(TorchFile, EveryCutIsRefused) {
  for (const std::string name : {"plain", "legacy"}) {
    const std::string bytes = Corpus(name);
    for (size_t size = 0; size < bytes.size(); size += 7)
      EXPECT_FALSE(Read(bytes.substr(0, size)).ok()) << name << " " << size;
  }
}

}  // namespace
}  // namespace slim
