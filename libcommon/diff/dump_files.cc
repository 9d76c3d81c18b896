#include "diff/dump_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

#include "base/text.h"
#include "checkpoint/torch_file.h"
#include "os/file.h"

namespace slim {
namespace {

constexpr uint64_t kLargest = 4ULL << 30;
constexpr size_t kLongestHead = 4096;

Error NotUnderstood(const std::string& path, std::string what) {
  return InputError("DIFF-dump-format", std::move(what),
                    "dumps are .safetensors, .npy, .pth and ATB's .bin files")
      .WithPath(path);
}

std::optional<uint64_t> ParseCount(std::string_view text) {
  text = Trim(text);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

// "1, 2, 3" or "1,2,3"; a trailing comma is numpy's.
std::optional<Shape> ParseDims(std::string_view text) {
  Shape shape;
  for (const std::string& part : Split(text, ',')) {
    if (Trim(part).empty()) continue;
    const auto size = ParseCount(part);
    if (!size) return {};
    shape.push_back(*size);
  }
  return shape;
}

Result<Tensor> Take(const std::string& path, DType dtype, Shape shape, std::string_view bytes) {
  const auto wanted = ByteSize(dtype, shape);
  if (!wanted.ok() || *wanted != bytes.size())
    return NotUnderstood(
        path, fmt::format("has {} bytes of values, {} {} needs {}", bytes.size(), DTypeName(dtype),
                          ShapeText(shape), wanted.ok() ? std::to_string(*wanted) : "too many"));
  Tensor tensor(dtype, std::move(shape));
  std::memcpy(tensor.data.data(), bytes.data(), bytes.size());
  return tensor;
}

// The text between `begin` and `end` after 'name': in numpy's head.
std::string_view HeadField(std::string_view head, std::string_view name, char begin, char end) {
  const size_t at = head.find(fmt::format("'{}':", name));
  if (at == std::string_view::npos) return {};
  const size_t from = head.find(begin, at + name.size() + 3);
  const size_t to = from == std::string_view::npos ? from : head.find(end, from + 1);
  return to == std::string_view::npos ? std::string_view() : head.substr(from + 1, to - from - 1);
}

std::optional<DType> NumpyDType(std::string_view descr) {
  if (descr == "<f4") return DType::kF32;
  if (descr == "<f2") return DType::kF16;
  if (descr == "<f8") return DType::kF64;
  if (descr == "|i1") return DType::kI8;
  if (descr == "<i4") return DType::kI32;
  if (descr == "<i8") return DType::kI64;
  return {};
}

Result<Tensor> ReadNpy(const std::string& path, std::string_view bytes) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  if (!bytes.starts_with(kMagic) || bytes.size() < 12)
    return NotUnderstood(path, "does not begin as a .npy file");
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<uint8_t>(bytes[i])); };
  const bool long_head = byte(6) >= 2;
  const size_t begin = long_head ? 12 : 10;
  const size_t size =
      long_head ? byte(8) | byte(9) << 8 | byte(10) << 16 | byte(11) << 24 : byte(8) | byte(9) << 8;
  if (size > bytes.size() - begin) return NotUnderstood(path, "ends inside its head");
  const std::string_view head = bytes.substr(begin, size);
  const auto dtype = NumpyDType(HeadField(head, "descr", '\'', '\''));
  if (!dtype || head.find("'fortran_order': False") == std::string_view::npos)
    return NotUnderstood(path, fmt::format("has the head {}, which is no array of numbers in C "
                                           "order",
                                           Quote(head.substr(0, 80))));
  const auto shape = ParseDims(HeadField(head, "shape", '(', ')'));
  if (!shape) return NotUnderstood(path, fmt::format("has the head {}", Quote(head.substr(0, 80))));
  return Take(path, *dtype, *shape, bytes.substr(begin + size));
}

std::optional<DType> AtbDType(uint64_t number) {
  switch (number) {
    case 0:
      return DType::kF32;
    case 1:
      return DType::kF16;
    case 2:
      return DType::kI8;
    case 3:
      return DType::kI32;
    case 9:
      return DType::kI64;
    case 27:
      return DType::kBF16;
    default:
      return {};
  }
}

Result<Tensor> ReadAtb(const std::string& path, std::string_view bytes) {
  std::optional<DType> dtype;
  std::optional<Shape> shape;
  size_t begin = 0;
  while (begin < std::min(bytes.size(), kLongestHead)) {
    const size_t end = bytes.find('\n', begin);
    const size_t equals = bytes.find('=', begin);
    if (end == std::string_view::npos || equals >= end) break;
    const std::string_view name = bytes.substr(begin, equals - begin);
    const std::string_view value = bytes.substr(equals + 1, end - equals - 1);
    begin = end + 1;
    if (name == "$End") {
      if (dtype && shape) return Take(path, *dtype, *shape, bytes.substr(begin));
      break;
    }
    if (name == "dtype") dtype = AtbDType(ParseCount(value).value_or(~uint64_t{0}));
    if (name == "dims") shape = ParseDims(value);
  }
  return NotUnderstood(path, "is no ATB dump: lines with dtype, dims and $End are looked for");
}

// torch.save of a tensor; of a dict with one.
Result<Tensor> ReadPth(const std::string& path, std::string_view bytes) {
  const auto source = ByteSource::Of(std::as_bytes(std::span(bytes)));
  auto file = ReadTorchFile(source);
  if (!file.ok()) return std::move(file).error().WithPath(path);
  if (file->tensors.size() != 1)
    return NotUnderstood(path, fmt::format("holds {} tensors, one is read", file->tensors.size()));
  const TorchTensor& only = file->tensors.front();
  Tensor tensor(only.dtype, only.shape);
  const auto stored = std::as_bytes(std::span(bytes)).subspan(only.offset);
  if (only.strides.empty()) {
    std::ranges::copy(stored.first(tensor.data.size()), tensor.data.bytes().begin());
  } else {
    GatherStrided(stored, only.shape, only.strides, DTypeBits(only.dtype) / 8, 0,
                  tensor.data.bytes());
  }
  return tensor;
}

}  // namespace

Result<Tensor> ReadDumpFile(const std::string& path) {
  SLIM_ASSIGN(const std::string bytes, ReadWholeFile(path, kLargest));
  if (path.ends_with(".npy")) return ReadNpy(path, bytes);
  if (path.ends_with(".bin")) return ReadAtb(path, bytes);
  if (path.ends_with(".pth")) return ReadPth(path, bytes);
  return NotUnderstood(path, "is of a kind that slim does not read");
}

}  // namespace slim
