#include "checkpoint/gguf_header.h"

#include <gtest/gtest.h>

#include <array>

#include "base/bytes.h"

namespace slim {
namespace {

template <class T>
std::string Le(T value) {
  std::string bytes(sizeof(T), '\0');
  StoreLe(bytes.data(), value);
  return bytes;
}

std::string Text(std::string_view text) { return Le<uint64_t>(text.size()) + std::string(text); }

std::string Preamble(uint32_t version, uint64_t tensors, uint64_t pairs) {
  return "GGUF" + Le(version) + Le(tensors) + Le(pairs);
}

std::string TensorInfo(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type,
                       uint64_t offset) {
  std::string out = Text(name) + Le(static_cast<uint32_t>(dims.size()));
  for (const uint64_t dim : dims) out += Le(dim);
  return out + Le(type) + Le(offset);
}

Result<GgufHeader> Parse(const std::string& bytes) {
  return ParseGgufHeader(std::as_bytes(std::span(bytes)), bytes.size());
}

std::string RuleOf(const std::string& bytes) {
  const auto header = Parse(bytes);
  return header.ok() ? "" : header.error().rule;
}

// The header padded to 32 bytes and `data` bytes behind it.
std::string WithData(std::string header, size_t data) {
  header.resize((header.size() + 31) / 32 * 32 + data, '\0');
  return header;
}

TEST(GgufHeader, EveryValueTypeIsReadAsItStands) {
  std::string bytes = Preamble(3, 0, 14);
  const auto pair = [&](std::string_view key, uint32_t type, const std::string& value) {
    bytes += Text(key) + Le(type) + value;
  };
  pair("u8", 0, Le<uint8_t>(200));
  pair("i8", 1, Le<int8_t>(-5));
  pair("u16", 2, Le<uint16_t>(60000));
  pair("i16", 3, Le<int16_t>(-300));
  pair("u32", 4, Le<uint32_t>(4000000000U));
  pair("i32", 5, Le<int32_t>(-70000));
  pair("f32", 6, Le<float>(1.5F));
  pair("bool", 7, Le<uint8_t>(1));
  pair("string", 8, Text("snow \xE2\x98\x83"));
  pair("u64", 10, Le<uint64_t>(UINT64_MAX));
  pair("i64", 11, Le<int64_t>(-1));
  pair("f64", 12, Le<double>(0.1));
  pair("strings", 9, Le<uint32_t>(8) + Le<uint64_t>(2) + Text("a") + Text(""));
  pair("empty", 9, Le<uint32_t>(6) + Le<uint64_t>(0));
  const auto header = Parse(bytes);
  ASSERT_TRUE(header.ok()) << header.error().ToString();
  EXPECT_EQ(header->Find("u8")->AsInteger(), 200);
  EXPECT_EQ(header->Find("i8")->AsInteger(), -5);
  EXPECT_EQ(header->Find("u16")->AsInteger(), 60000);
  EXPECT_EQ(header->Find("i16")->AsInteger(), -300);
  EXPECT_EQ(header->Find("u32")->AsInteger(), 4000000000);
  EXPECT_EQ(header->Find("i32")->AsInteger(), -70000);
  EXPECT_EQ(header->Find("f32")->AsReal(), 1.5);
  EXPECT_EQ(header->Find("bool")->AsFlag(), true);
  EXPECT_EQ(*header->Find("string")->AsText(), "snow \xE2\x98\x83");
  EXPECT_EQ(header->Find("u64")->AsInteger(), std::nullopt);  // fits no signed number
  EXPECT_EQ(header->Find("i64")->AsInteger(), -1);
  EXPECT_EQ(header->Find("f64")->AsReal(), 0.1);
  EXPECT_EQ(header->Find("strings")->strings, (std::vector<std::string>{"a", ""}));
  EXPECT_TRUE(header->Find("empty")->is_array);
  EXPECT_EQ(header->Find("nothing"), nullptr);
}

TEST(GgufHeader, DimensionsAreReversedAndBlocksCounted) {
  const std::string header =
      Preamble(2, 2, 0) + TensorInfo("a", {64, 3}, 8, 0) + TensorInfo("b", {5}, 1, 224);
  const auto parsed = Parse(WithData(header, 224 + 32));
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  EXPECT_EQ(parsed->tensors[0].shape, (Shape{3, 64}));
  EXPECT_EQ(parsed->tensors[0].size, 3U * 2 * 34);
  EXPECT_EQ(parsed->tensors[0].type->name, "Q8_0");
  EXPECT_EQ(parsed->tensors[1].size, 10U);
  EXPECT_EQ(parsed->data_start % 32, 0U);
}

TEST(GgufHeader, WhatIsLaidOutReadsBack) {
  const std::vector<TensorSpec> specs = {
      {"q", DType::kU8, {2, 2, 34}}, {"v", DType::kF32, {7}}, {"w", DType::kBF16, {3, 5}}};
  const auto layout = LayOutGguf(
      specs,
      {{"a", GgufValue::Text("x")}, {"b", GgufValue::I32s({1, -2})}, {"c", GgufValue::F32(2)}});
  ASSERT_TRUE(layout.ok());
  std::string file = layout->header;
  file.resize(layout->file_size);
  const auto header = Parse(file);
  ASSERT_TRUE(header.ok()) << header.error().ToString();
  EXPECT_EQ(header->Find("b")->integers, (std::vector<int64_t>{1, -2}));
  ASSERT_EQ(header->tensors.size(), 3U);
  EXPECT_EQ(header->tensors[0].shape, (Shape{2, 64}));
  EXPECT_EQ(StoredQ8_0Shape(header->tensors[0].shape), specs[0].shape);
  EXPECT_EQ(header->tensors[2].type->dtype, DType::kBF16);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(header->data_start + header->tensors[i].offset, layout->offsets[i]);
  EXPECT_EQ(LayOutGguf({{"c", DType::kC64, {2}}}, {}).error().rule, "GG-type");
}

TEST(GgufHeader, EveryPrefixIsTruncated) {
  const std::string header =
      Preamble(3, 1, 1) + Text("k") + Le<uint32_t>(8) + Text("value") + TensorInfo("t", {32}, 8, 0);
  ASSERT_TRUE(Parse(WithData(header, 64)).ok());
  for (size_t size = 4; size < header.size(); ++size) {
    const auto parsed = ParseGgufHeader(std::as_bytes(std::span(header)).first(size), 4096);
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().rule, "GG-truncated") << size;
  }
}

TEST(GgufHeader, HostileHeadersAreRefused) {
  EXPECT_EQ(RuleOf("GGML" + Le<uint64_t>(0)), "GG-magic");
  EXPECT_EQ(RuleOf(Preamble(1, 0, 0)), "GG-version");
  EXPECT_EQ(RuleOf(Preamble(0x03000000, 0, 0)), "GG-version");
  EXPECT_EQ(RuleOf(Preamble(3, UINT64_MAX, 0)), "GG-count");
  EXPECT_EQ(RuleOf(Preamble(3, 0, 1ULL << 60)), "GG-count");
  const std::string one_pair = Preamble(3, 0, 1);
  EXPECT_EQ(RuleOf(one_pair + Le<uint64_t>(1ULL << 62) + "abcdefgh"), "GG-count");
  EXPECT_EQ(RuleOf(one_pair + Text("") + Le<uint32_t>(0) + "aaaaaaaa"), "GG-key");
  EXPECT_EQ(RuleOf(one_pair + Text("\xFF") + Le<uint32_t>(0) + "aaaaaaaa"), "GG-key");
  EXPECT_EQ(RuleOf(one_pair + Text("k") + Le<uint32_t>(13) + "aaaa"), "GG-type");
  EXPECT_EQ(RuleOf(one_pair + Text("k") + Le<uint32_t>(7) + "\x02"), "GG-type");
  EXPECT_EQ(RuleOf(one_pair + Text("k") + Le<uint32_t>(9) + Le<uint32_t>(9) + Le<uint64_t>(1)),
            "GG-type");
  EXPECT_EQ(
      RuleOf(one_pair + Text("k") + Le<uint32_t>(9) + Le<uint32_t>(4) + Le<uint64_t>(1ULL << 40)),
      "GG-count");
  const std::string pair = Text("k") + Le<uint32_t>(0) + "a";
  EXPECT_EQ(RuleOf(Preamble(3, 0, 2) + pair + pair), "GG-duplicate");
  const std::string alignment = Text("general.alignment") + Le<uint32_t>(4);
  EXPECT_EQ(RuleOf(one_pair + alignment + Le<uint32_t>(0)), "GG-alignment");
  EXPECT_EQ(RuleOf(one_pair + alignment + Le<uint32_t>(48)), "GG-alignment");
}

TEST(GgufHeader, HostileTensorsAreRefused) {
  const auto rule = [](const std::string& info) {
    return RuleOf(WithData(Preamble(3, 1, 0) + info, 1024));
  };
  EXPECT_EQ(rule(TensorInfo("t", {}, 0, 0)), "GG-shape");
  EXPECT_EQ(rule(TensorInfo("t", {1, 1, 1, 1, 1}, 0, 0)), "GG-shape");
  EXPECT_EQ(rule(TensorInfo("t", {0}, 0, 0)), "GG-shape");
  EXPECT_EQ(rule(TensorInfo("t", {1ULL << 40, 1ULL << 40}, 0, 0)), "GG-shape");
  EXPECT_EQ(rule(TensorInfo("t", {31}, 8, 0)), "GG-shape");
  EXPECT_EQ(rule(TensorInfo("t", {32}, 77, 0)), "GG-type");
  EXPECT_EQ(rule(TensorInfo("", {32}, 8, 0)), "GG-name");
  EXPECT_EQ(rule(TensorInfo("t", {32}, 8, 8)), "GG-offset");
  EXPECT_EQ(rule(TensorInfo("t", {4096}, 0, 0)), "GG-size");
  EXPECT_EQ(rule(TensorInfo("t", {32}, 0, UINT64_MAX - 31)), "GG-size");
  const std::string twice = Preamble(3, 2, 0) + TensorInfo("t", {32}, 0, 0);
  EXPECT_EQ(RuleOf(WithData(twice + TensorInfo("t", {32}, 0, 128), 1024)), "GG-duplicate");
  EXPECT_EQ(RuleOf(WithData(twice + TensorInfo("u", {32}, 0, 96), 1024)), "GG-overlap");
}

}  // namespace
}  // namespace slim
