// The header of a GGUF file (llama.cpp's container, versions 2 and 3, little-endian): metadata of
// every value type and the list of tensors, with every count, length and offset checked against the
// file before memory is taken for it; and laying such a file out for writing. Reads no tensor data
// and knows no model. Facts: ecosystem.md 1.3 G.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "checkpoint/safetensors_header.h"
#include "dtype/dtype.h"
#include "os/file.h"
#include "tensor/shape.h"

namespace slim {

inline constexpr uint64_t kMaxGgufHeaderBytes = 1ULL << 30;
inline constexpr uint32_t kMaxGgufRank = 4;
inline constexpr uint64_t kGgufAlignment = 32;  // unless general.alignment says otherwise

enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

// A scalar, or an array of them: `type` is that of the elements. Integers and truth values are in
// `integers` (U64 as its bits), F32 and F64 in `reals`.
struct GgufValue {
  GgufType type = GgufType::kU32;
  bool is_array = false;
  std::vector<int64_t> integers;
  std::vector<double> reals;
  std::vector<std::string> strings;

  static GgufValue Text(std::string text);
  static GgufValue U32(uint64_t value);
  static GgufValue F32(double value);
  static GgufValue Flag(bool value);
  static GgufValue Texts(std::vector<std::string> texts);
  static GgufValue I32s(std::vector<int64_t> values);
  static GgufValue F32s(std::vector<double> values);

  // Of a scalar; empty where it is of another kind.
  std::optional<int64_t> AsInteger() const;
  std::optional<double> AsReal() const;  // takes integers, too
  std::optional<bool> AsFlag() const;
  const std::string* AsText() const;
  size_t size() const;
};

// How a tensor's elements are stored: blocks of `elements` in `bytes`.
struct GgmlType {
  uint32_t id;
  std::string_view name;  // "Q8_0"
  uint64_t elements;
  uint64_t bytes;
  std::optional<DType> dtype;  // of blocks of one element that are a dtype of ours
};
inline constexpr uint32_t kGgmlQ8_0 = 8;
inline constexpr uint64_t kQ8_0Elements = 32;
inline constexpr uint64_t kQ8_0Bytes = 34;  // an F16 scale and 32 codes I8

const GgmlType* FindGgmlType(uint32_t id);

struct GgufTensor {
  std::string name;
  const GgmlType* type = nullptr;
  Shape shape;          // outermost first: the file's dimensions reversed
  uint64_t offset = 0;  // from data_start
  uint64_t size = 0;    // bytes
};

struct GgufHeader {
  uint32_t version = 3;
  std::vector<std::pair<std::string, GgufValue>> metadata;  // in file order
  std::vector<GgufTensor> tensors;                          // in file order
  uint64_t alignment = kGgufAlignment;
  uint64_t data_start = 0;

  const GgufValue* Find(std::string_view key) const;  // linear
};

// `bytes` is the beginning of a file of `file_size` bytes. Rules GG-…; GG-truncated where `bytes`
// end before the header does.
Result<GgufHeader> ParseGgufHeader(std::span<const std::byte> bytes, uint64_t file_size);
// Reads and parses the header of an open file; names foreign formats.
Result<GgufHeader> ReadGgufHeader(const File& file);

// Where a checkpoint lists tensors by dtype, rows of Q8_0 blocks stand as bytes: U8 [n, k / 32,
// 34]. The shape in elements ([n, k]), or nothing when the tensor is no such thing.
std::optional<Shape> Q8_0Shape(DType dtype, const Shape& stored);
Shape StoredQ8_0Shape(const Shape& elements);  // the last dimension is a multiple of 32

// A file to be written: version 3, tensors in the order of `specs`; U8 [.., 34] is Q8_0, else F32,
// F16, BF16 or I8. Data is aligned to 32 bytes, the file's end as well.
Result<SafetensorsLayout> LayOutGguf(
    const std::vector<TensorSpec>& specs,
    const std::vector<std::pair<std::string, GgufValue>>& metadata);

}  // namespace slim
