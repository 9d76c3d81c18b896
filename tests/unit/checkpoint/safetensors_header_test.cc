#include "checkpoint/safetensors_header.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "scratch.h"

namespace slim {
namespace {

std::string HeaderText(const SafetensorsLayout& layout) { return layout.header.substr(8); }

// Bytes written by the safetensors package 0.8.0: safetensors.numpy.save({"z": int8[3],
// "b.weight": float32[1,2], "a.scale": int64[], 'é"\n': float16[0,2], "a.weight": float32[2]},
// metadata={"format": "pt"})
TEST(LayOutSafetensors, WritesWhatTheReferenceWrites) {
  const std::vector<TensorSpec> specs = {{"z", DType::kI8, {3}},
                                         {"b.weight", DType::kF32, {1, 2}},
                                         {"a.scale", DType::kI64, {}},
                                         {"\xC3\xA9\"\n", DType::kF16, {0, 2}},
                                         {"a.weight", DType::kF32, {2}}};
  const auto layout = LayOutSafetensors(specs, {{"format", "pt"}});
  ASSERT_TRUE(layout.ok()) << layout.error().ToString();
  EXPECT_EQ(LoadLe<uint64_t>(layout->header.data()), 0x150U);
  EXPECT_EQ(HeaderText(*layout),
            "{\"__metadata__\":{\"format\":\"pt\"},"
            "\"a.scale\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
            "\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]},"
            "\"b.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[16,24]},"
            "\"\xC3\xA9\\\"\\n\":{\"dtype\":\"F16\",\"shape\":[0,2],\"data_offsets\":[24,24]},"
            "\"z\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[24,27]}}     ");
  EXPECT_EQ(layout->offsets, (std::vector<uint64_t>{368, 360, 344, 368, 352}));
  EXPECT_EQ(layout->file_size, 371U);
}

// safetensors 0.8.0: save({}), save({}, metadata={"a": "1"}), save({"z": int8[3]}) and control
// characters in names.
TEST(LayOutSafetensors, PadsToEightBytes) {
  EXPECT_EQ(HeaderText(*LayOutSafetensors({})), "{}      ");
  EXPECT_EQ(HeaderText(*LayOutSafetensors({}, {{"a", "1"}, {"b", "2"}})),
            "{\"__metadata__\":{\"a\":\"1\",\"b\":\"2\"}}      ");
  EXPECT_EQ(HeaderText(*LayOutSafetensors({{"z", DType::kI8, {3}}})),
            "{\"z\":{\"dtype\":\"I8\",\"shape\":[3],\"data_offsets\":[0,3]}}   ");
  EXPECT_EQ(
      HeaderText(*LayOutSafetensors({{"a\x01\x7F\x1F/\b\f", DType::kU8, {1}}})),
      "{\"a\\u0001\x7F\\u001f/\\b\\f\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}} ");
}

// The order of dtypes as safetensors 0.8.0 with torch 2.13 writes one tensor of each.
TEST(LayOutSafetensors, OrdersByDTypeRankThenName) {
  const std::vector<DType> order = {DType::kU64,    DType::kI64, DType::kF64, DType::kC64,
                                    DType::kF32,    DType::kU32, DType::kI32, DType::kBF16,
                                    DType::kF16,    DType::kU16, DType::kI16, DType::kF8E4M3,
                                    DType::kF8E5M2, DType::kI8,  DType::kU8,  DType::kBool};
  std::vector<TensorSpec> specs;
  for (size_t i = order.size(); i-- > 0;) {
    specs.push_back({"t" + std::to_string(99 - i), order[i], {2}});
  }
  const auto layout = LayOutSafetensors(specs);
  ASSERT_TRUE(layout.ok());
  const auto header = ParseSafetensorsHeader(HeaderText(*layout), layout->file_size);
  ASSERT_TRUE(header.ok()) << header.error().ToString();
  ASSERT_EQ(header->tensors.size(), order.size());
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(header->tensors[i].dtype, order[i]) << i;
}

// Every weight file of the models and goldens was written by the reference: laying out what it
// holds gives the same header bytes. Slices of them were not.
TEST(LayOutSafetensors, ReproducesTheHeadersOfRealFiles) {
  size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SLIM_TESTDATA)) {
    if (entry.path().extension() != ".safetensors" ||
        entry.path().string().find("/slices/") != std::string::npos)
      continue;
    const std::string bytes = ReadAll(entry.path().string());
    const auto length = LoadLe<uint64_t>(bytes.data());
    const std::string text = bytes.substr(8, length);
    const auto header = ParseSafetensorsHeader(text, bytes.size());
    ASSERT_TRUE(header.ok()) << entry.path() << header.error().ToString();
    EXPECT_TRUE(header->aligned);
    std::vector<TensorSpec> specs;
    for (const HeaderTensor& tensor : header->tensors) {
      specs.push_back({tensor.name, tensor.dtype, tensor.shape});
    }
    const auto layout = LayOutSafetensors(specs, header->metadata);
    ASSERT_TRUE(layout.ok());
    EXPECT_EQ(HeaderText(*layout), text) << entry.path();
    EXPECT_EQ(layout->file_size, bytes.size());
    ++files;
  }
  EXPECT_GE(files, 10U);
}

TEST(LayOutSafetensors, RefusesTwinsAndHugeHeaders) {
  const auto twins = LayOutSafetensors({{"a", DType::kU8, {1}}, {"a", DType::kI8, {1}}});
  EXPECT_EQ(twins.error().rule, "ST-duplicate-tensor");
  EXPECT_EQ(twins.error().tensor, "a");
  const auto huge = LayOutSafetensors({{std::string(kMaxHeaderBytes, 'n'), DType::kU8, {1}}});
  EXPECT_EQ(huge.error().rule, "ST-header-too-large");
  const auto overflow = LayOutSafetensors({{"a", DType::kF64, {1ULL << 40, 1ULL << 40}}});
  EXPECT_FALSE(overflow.ok());
}

TEST(ParseSafetensorsHeader, NamesTensorFoundAndWanted) {
  const auto header = ParseSafetensorsHeader(
      R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 8 + 54 + 4);
  ASSERT_FALSE(header.ok());
  EXPECT_EQ(header.error().ToString(),
            "tensor 'w': data_offsets span 4 bytes, F32[2] needs 8 (at byte 53) "
            "[ST-size-mismatch]");
}

// No prefix of a valid file is a valid file.
TEST(ReadSafetensorsHeader, EveryPrefixIsRefused) {
  const Scratch scratch;
  const auto layout = LayOutSafetensors(
      {{"a", DType::kF32, {2}}, {"b", DType::kI8, {3}}, {"c", DType::kBF16, {1}}});
  std::string whole = layout->header;
  whole.resize(layout->file_size);
  for (size_t size = 0; size <= whole.size(); ++size) {
    const auto file = File::Open(scratch.Write("f", whole.substr(0, size)));
    EXPECT_EQ(ReadSafetensorsHeader(*file).ok(), size == whole.size()) << size;
  }
}

TEST(ReadSafetensorsHeader, SaysWhatTheFileReallyIs) {
  const Scratch scratch;
  const std::vector<std::pair<std::string, std::string>> foreign = {
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git-lfs pointer"},
      {"<!DOCTYPE html>\n<html><head>", "HTML page"},
      {std::string("GGUF\3\0\0\0\0\0\0\0", 12), "GGUF"},
      {std::string("PK\3\4\0\0\10\10\0\0\0\0", 12), "PyTorch"},
      {std::string("\x80\2\x8a\nl\xfc\x9c\x46\xf9\x20\x6a\xa8", 12), "pickle"},
      {"{\"weight_map\": {}}", "JSON"}};
  for (const auto& [content, name] : foreign) {
    const auto file = File::Open(scratch.Write("model.safetensors", content));
    const auto header = ReadSafetensorsHeader(*file);
    ASSERT_FALSE(header.ok());
    EXPECT_EQ(header.error().rule, "ST-foreign-format") << name;
    EXPECT_NE(header.error().message.find(name), std::string::npos) << header.error().ToString();
  }
}

}  // namespace
}  // namespace slim
