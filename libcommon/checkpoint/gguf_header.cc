#include "checkpoint/gguf_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/name_table.h"
#include "base/text.h"
#include "checkpoint/sniff.h"

namespace slim {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint64_t kLongestName = 1 << 16;
constexpr uint64_t kLeastTensorBytes =
    8 + 4 + 8 + 4 + 8;                           // name length, rank, one dimension, type, offset
constexpr uint64_t kLeastPairBytes = 8 + 4 + 1;  // key length, type, value
constexpr uint64_t kFirstRead = 1ULL << 20;

constexpr GgmlType kTypes[] = {
    {0, "F32", 1, 4, DType::kF32},
    {1, "F16", 1, 2, DType::kF16},
    {2, "Q4_0", 32, 18, {}},
    {3, "Q4_1", 32, 20, {}},
    {6, "Q5_0", 32, 22, {}},
    {7, "Q5_1", 32, 24, {}},
    {kGgmlQ8_0, "Q8_0", kQ8_0Elements, kQ8_0Bytes, {}},
    {9, "Q8_1", 32, 40, {}},
    {10, "Q2_K", 256, 84, {}},
    {11, "Q3_K", 256, 110, {}},
    {12, "Q4_K", 256, 144, {}},
    {13, "Q5_K", 256, 176, {}},
    {14, "Q6_K", 256, 210, {}},
    {15, "Q8_K", 256, 292, {}},
    {16, "IQ2_XXS", 256, 66, {}},
    {17, "IQ2_XS", 256, 74, {}},
    {18, "IQ3_XXS", 256, 98, {}},
    {19, "IQ1_S", 256, 50, {}},
    {20, "IQ4_NL", 32, 18, {}},
    {21, "IQ3_S", 256, 110, {}},
    {22, "IQ2_S", 256, 82, {}},
    {23, "IQ4_XS", 256, 136, {}},
    {24, "I8", 1, 1, DType::kI8},
    {25, "I16", 1, 2, DType::kI16},
    {26, "I32", 1, 4, DType::kI32},
    {27, "I64", 1, 8, DType::kI64},
    {28, "F64", 1, 8, DType::kF64},
    {29, "IQ1_M", 256, 56, {}},
    {30, "BF16", 1, 2, DType::kBF16},
    {34, "TQ1_0", 256, 54, {}},
    {35, "TQ2_0", 256, 66, {}},
    {39, "MXFP4", 32, 17, {}},
    {40, "NVFP4", 64, 36, {}},
};

uint64_t ScalarBytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
    case GgufType::kString:  // its length
      return 8;
    case GgufType::kArray:
      break;
  }
  return 0;
}

uint64_t AlignUp(uint64_t value, uint64_t alignment) {
  return CeilDiv(value, alignment) * alignment;
}

class Parser {
 public:
  Parser(std::span<const std::byte> bytes, uint64_t file_size)
      : bytes_(bytes), file_size_(file_size) {}

  Result<GgufHeader> Run();

 private:
  Error Fail(std::string_view rule, std::string message, std::string hint = "") const {
    Error error = InputError(std::string(rule), std::move(message), std::move(hint));
    error.offset = position_;
    return error;
  }
  uint64_t Left() const { return file_size_ - position_; }
  // A count of things of at least `least` bytes each that are still to come.
  Status CheckCount(uint64_t count, uint64_t least, std::string_view what) const;
  template <class T>
  Result<T> Take();
  Result<std::string> TakeText(std::string_view what);
  Result<GgufType> TakeType();
  Status TakeElements(GgufType type, uint64_t count, GgufValue& value);
  Status TakeScalar(GgufType type, GgufValue& value);
  Status TakePreamble(uint64_t& tensors, uint64_t& pairs);
  Status TakePair();
  Status TakeTensor();
  Status CheckNames() const;
  Status ReadAlignment();
  Status PlaceTensors();

  std::span<const std::byte> bytes_;
  uint64_t file_size_;
  uint64_t position_ = 0;
  GgufHeader header_;
};

Status Parser::CheckCount(uint64_t count, uint64_t least, std::string_view what) const {
  if (count <= Left() / least) return {};
  return Fail("GG-count",
              fmt::format("claims {} {}, the rest of the file has room for {}", count, what,
                          Left() / least),
              "the file is cut off or damaged: fetch it again");
}

template <class T>
Result<T> Parser::Take() {
  if (sizeof(T) > bytes_.size() - position_)
    return Fail("GG-truncated", "the file ends inside the header");
  const T value = LoadLe<T>(bytes_.data() + position_);
  position_ += sizeof(T);
  return value;
}

Result<std::string> Parser::TakeText(std::string_view what) {
  SLIM_ASSIGN(const uint64_t size, Take<uint64_t>());
  SLIM_TRY(CheckCount(size, 1, fmt::format("bytes of {}", what)));
  if (size > bytes_.size() - position_)
    return Fail("GG-truncated", "the file ends inside the header");
  std::string text(reinterpret_cast<const char*>(bytes_.data() + position_), size);
  position_ += size;
  return text;
}

Result<GgufType> Parser::TakeType() {
  SLIM_ASSIGN(const uint32_t id, Take<uint32_t>());
  if (id > static_cast<uint32_t>(GgufType::kF64))
    return Fail("GG-type", fmt::format("metadata of the unknown type {}", id));
  return static_cast<GgufType>(id);
}

Status Parser::TakeScalar(GgufType type, GgufValue& value) {
  switch (type) {
    case GgufType::kString: {
      SLIM_ASSIGN(std::string text, TakeText("text"));
      value.strings.push_back(std::move(text));
      return {};
    }
    case GgufType::kF32: {
      SLIM_ASSIGN(const float real, Take<float>());
      value.reals.push_back(static_cast<double>(real));
      return {};
    }
    case GgufType::kF64: {
      SLIM_ASSIGN(const double real, Take<double>());
      value.reals.push_back(real);
      return {};
    }
    default:
      break;
  }
  const auto integer = [&](auto result) -> Status {
    if (!result.ok()) return std::move(result).error();
    value.integers.push_back(static_cast<int64_t>(*result));
    return {};
  };
  switch (type) {
    case GgufType::kI8:
      return integer(Take<int8_t>());
    case GgufType::kU16:
      return integer(Take<uint16_t>());
    case GgufType::kI16:
      return integer(Take<int16_t>());
    case GgufType::kU32:
      return integer(Take<uint32_t>());
    case GgufType::kI32:
      return integer(Take<int32_t>());
    case GgufType::kU64:
      return integer(Take<uint64_t>());
    case GgufType::kI64:
      return integer(Take<int64_t>());
    default:
      return integer(Take<uint8_t>());
  }
}

Status Parser::TakeElements(GgufType type, uint64_t count, GgufValue& value) {
  for (uint64_t i = 0; i < count; ++i) {
    SLIM_TRY(TakeScalar(type, value));
    if (type == GgufType::kBool && value.integers.back() > 1)
      return Fail("GG-type", fmt::format("a truth value of {}", value.integers.back()));
  }
  return {};
}

Status Parser::TakePair() {
  SLIM_ASSIGN(std::string key, TakeText("a key"));
  if (key.empty() || key.size() > kLongestName || !IsUtf8(key))
    return Fail("GG-key", fmt::format("metadata key {} is no name", Quote(key)));
  GgufValue value;
  SLIM_ASSIGN(value.type, TakeType());
  uint64_t count = 1;
  if (value.type == GgufType::kArray) {
    value.is_array = true;
    SLIM_ASSIGN(value.type, TakeType());
    if (value.type == GgufType::kArray)
      return Fail("GG-type", fmt::format("metadata {} is an array of arrays", Quote(key)));
    SLIM_ASSIGN(count, Take<uint64_t>());
    SLIM_TRY(CheckCount(count, ScalarBytes(value.type), "array elements"));
  }
  SLIM_TRY(TakeElements(value.type, count, value));
  header_.metadata.emplace_back(std::move(key), std::move(value));
  return {};
}

Status Parser::TakeTensor() {
  GgufTensor tensor;
  SLIM_ASSIGN(tensor.name, TakeText("a tensor name"));
  if (tensor.name.empty() || tensor.name.size() > kLongestName || !IsUtf8(tensor.name))
    return Fail("GG-name", fmt::format("tensor name {} is no name", Quote(tensor.name)));
  const auto fail = [&](std::string_view rule, std::string message) {
    return Fail(rule, std::move(message)).WithTensor(tensor.name);
  };
  SLIM_ASSIGN(const uint32_t rank, Take<uint32_t>());
  if (rank == 0 || rank > kMaxGgufRank)
    return fail("GG-shape",
                fmt::format("has {} dimensions, 1 to {} are possible", rank, kMaxGgufRank));
  for (uint32_t i = 0; i < rank; ++i) {
    SLIM_ASSIGN(const uint64_t size, Take<uint64_t>());
    tensor.shape.push_back(size);
  }
  std::ranges::reverse(tensor.shape);
  const auto elements = ElementCount(tensor.shape);
  if (!elements || *elements == 0 || *elements > uint64_t{std::numeric_limits<int64_t>::max()})
    return fail("GG-shape", fmt::format("has the impossible shape {}", ShapeText(tensor.shape)));
  SLIM_ASSIGN(const uint32_t id, Take<uint32_t>());
  tensor.type = FindGgmlType(id);
  if (tensor.type == nullptr) return fail("GG-type", fmt::format("has the unknown type {}", id));
  if (tensor.shape.back() % tensor.type->elements != 0) {
    return fail("GG-shape", fmt::format("rows of {} elements are no whole blocks of {}",
                                        tensor.shape.back(), tensor.type->name));
  }
  const auto size = CheckedMul(*elements / tensor.type->elements, tensor.type->bytes);
  if (!size) return fail("GG-shape", "has more bytes than a file can");
  tensor.size = *size;
  SLIM_ASSIGN(tensor.offset, Take<uint64_t>());
  header_.tensors.push_back(std::move(tensor));
  return {};
}

Status Parser::TakePreamble(uint64_t& tensors, uint64_t& pairs) {
  SLIM_ASSIGN(const uint32_t magic, Take<uint32_t>());
  if (magic != LoadLe<uint32_t>(kMagic.data())) {
    const std::string found = SniffForeignFormat(bytes_.first(std::min<size_t>(bytes_.size(), 64)));
    return InputError("GG-magic", found.empty() ? "does not begin with GGUF" : "is " + found);
  }
  SLIM_ASSIGN(header_.version, Take<uint32_t>());
  if ((header_.version & 0xFFFF) == 0)
    return Fail("GG-version", "is big-endian, little-endian files are read");
  if (header_.version != 2 && header_.version != 3) {
    return Fail("GG-version", fmt::format("is version {}, 2 and 3 are read", header_.version),
                "convert the model to GGUF again");
  }
  SLIM_ASSIGN(tensors, Take<uint64_t>());
  SLIM_ASSIGN(pairs, Take<uint64_t>());
  SLIM_TRY(CheckCount(tensors, kLeastTensorBytes, "tensors"));
  return CheckCount(pairs, kLeastPairBytes, "metadata values");
}

Status Parser::CheckNames() const {
  const auto unique = [&](size_t count, const auto& name_at) -> Status {
    NameTable table;
    table.Reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
      if (table.Insert(name_at(i), i, name_at) != i)
        return InputError("GG-duplicate", "occurs twice").WithTensor(name_at(i));
    }
    return {};
  };
  SLIM_TRY(unique(header_.metadata.size(),
                  [&](uint32_t i) { return std::string_view(header_.metadata[i].first); }));
  return unique(header_.tensors.size(),
                [&](uint32_t i) { return std::string_view(header_.tensors[i].name); });
}

Status Parser::ReadAlignment() {
  const GgufValue* value = header_.Find("general.alignment");
  if (value == nullptr) return {};
  const int64_t alignment = value->AsInteger().value_or(0);
  if (alignment < 8 || alignment > (1 << 20) || (alignment & (alignment - 1)) != 0)
    return InputError(
        "GG-alignment",
        fmt::format("general.alignment is {}, no power of two from 8 to 1048576", alignment));
  header_.alignment = static_cast<uint64_t>(alignment);
  return {};
}

// Aligned, inside the file, apart from each other.
Status Parser::PlaceTensors() {
  header_.data_start = AlignUp(position_, header_.alignment);
  if (header_.tensors.empty()) {
    header_.data_start = std::min(header_.data_start, file_size_);
    return {};
  }
  if (header_.data_start > file_size_)
    return Fail("GG-size", "the file ends before the first tensor");
  const uint64_t room = file_size_ - header_.data_start;
  std::vector<const GgufTensor*> order;
  for (const GgufTensor& tensor : header_.tensors) {
    const auto fail = [&](std::string_view rule, std::string message) {
      return InputError(std::string(rule), std::move(message)).WithTensor(tensor.name);
    };
    if (tensor.offset % header_.alignment != 0) {
      return fail("GG-offset",
                  fmt::format("begins at {}, no multiple of {}", tensor.offset, header_.alignment));
    }
    if (tensor.offset > room || tensor.size > room - tensor.offset) {
      return fail("GG-size",
                  fmt::format("needs bytes {} to {} of {} bytes of data", tensor.offset,
                              CheckedAdd(tensor.offset, tensor.size).value_or(UINT64_MAX), room))
          .WithHint("the file is cut off: fetch it again");
    }
    order.push_back(&tensor);
  }
  std::ranges::sort(order, {}, &GgufTensor::offset);
  for (size_t i = 1; i < order.size(); ++i) {
    if (order[i - 1]->offset + order[i - 1]->size <= order[i]->offset) continue;
    return InputError("GG-overlap", fmt::format("overlaps tensor {}", Quote(order[i - 1]->name)))
        .WithTensor(order[i]->name);
  }
  return {};
}

Result<GgufHeader> Parser::Run() {
  uint64_t tensors = 0;
  uint64_t pairs = 0;
  SLIM_TRY(TakePreamble(tensors, pairs));
  for (uint64_t i = 0; i < pairs; ++i) SLIM_TRY(TakePair());
  for (uint64_t i = 0; i < tensors; ++i) SLIM_TRY(TakeTensor());
  SLIM_TRY(CheckNames());
  SLIM_TRY(ReadAlignment());
  SLIM_TRY(PlaceTensors());
  return std::move(header_);
}

template <class T>
void Append(std::string& out, T value) {
  std::array<char, sizeof(T)> bytes{};
  StoreLe(bytes.data(), value);
  out.append(bytes.data(), bytes.size());
}

void AppendText(std::string& out, std::string_view text) {
  Append<uint64_t>(out, text.size());
  out += text;
}

void AppendValue(std::string& out, const GgufValue& value) {
  const uint64_t bytes = ScalarBytes(value.type);
  if (value.is_array) {
    Append(out, static_cast<uint32_t>(GgufType::kArray));
    Append(out, static_cast<uint32_t>(value.type));
    Append<uint64_t>(out, value.size());
  } else {
    Append(out, static_cast<uint32_t>(value.type));
  }
  for (const int64_t integer : value.integers) {
    std::array<char, 8> raw{};
    StoreLe(raw.data(), integer);
    out.append(raw.data(), bytes);
  }
  for (const double real : value.reals) {
    if (value.type == GgufType::kF32) {
      Append(out, static_cast<float>(real));
    } else {
      Append(out, real);
    }
  }
  for (const std::string& text : value.strings) AppendText(out, text);
}

// The type, and the shape in elements.
Result<std::pair<uint32_t, Shape>> StoredType(const TensorSpec& spec) {
  if (const auto shape = Q8_0Shape(spec.dtype, spec.shape)) return std::pair(kGgmlQ8_0, *shape);
  const auto* type = std::ranges::find_if(
      kTypes, [&](const GgmlType& known) { return known.dtype == spec.dtype; });
  if (type == std::end(kTypes)) {
    return InputError("GG-type",
                      fmt::format("is {}, which GGUF cannot hold", DTypeName(spec.dtype)))
        .WithTensor(spec.name);
  }
  return std::pair(type->id, spec.shape.empty() ? Shape{1} : spec.shape);
}

}  // namespace

GgufValue GgufValue::Text(std::string text) {
  GgufValue value;
  value.type = GgufType::kString;
  value.strings.push_back(std::move(text));
  return value;
}

GgufValue GgufValue::U32(uint64_t number) {
  GgufValue value;
  value.integers.push_back(static_cast<int64_t>(number));
  return value;
}

GgufValue GgufValue::F32(double number) {
  GgufValue value;
  value.type = GgufType::kF32;
  value.reals.push_back(number);
  return value;
}

GgufValue GgufValue::Flag(bool flag) {
  GgufValue value;
  value.type = GgufType::kBool;
  value.integers.push_back(flag ? 1 : 0);
  return value;
}

GgufValue GgufValue::Texts(std::vector<std::string> texts) {
  GgufValue value;
  value.type = GgufType::kString;
  value.is_array = true;
  value.strings = std::move(texts);
  return value;
}

GgufValue GgufValue::I32s(std::vector<int64_t> values) {
  GgufValue value;
  value.type = GgufType::kI32;
  value.is_array = true;
  value.integers = std::move(values);
  return value;
}

GgufValue GgufValue::F32s(std::vector<double> values) {
  GgufValue value;
  value.type = GgufType::kF32;
  value.is_array = true;
  value.reals = std::move(values);
  return value;
}

std::optional<int64_t> GgufValue::AsInteger() const {
  if (is_array || integers.empty() || type == GgufType::kBool) return std::nullopt;
  if (type == GgufType::kU64 && integers[0] < 0) return std::nullopt;
  return integers[0];
}

std::optional<double> GgufValue::AsReal() const {
  if (!is_array && !reals.empty()) return reals[0];
  const auto integer = AsInteger();
  return integer ? std::optional(static_cast<double>(*integer)) : std::nullopt;
}

std::optional<bool> GgufValue::AsFlag() const {
  if (is_array || type != GgufType::kBool || integers.empty()) return std::nullopt;
  return integers[0] != 0;
}

const std::string* GgufValue::AsText() const {
  return is_array || strings.empty() ? nullptr : &strings[0];
}

size_t GgufValue::size() const { return integers.size() + reals.size() + strings.size(); }

const GgmlType* FindGgmlType(uint32_t id) {
  const auto* type = std::ranges::find(kTypes, id, &GgmlType::id);
  return type == std::end(kTypes) ? nullptr : type;
}

const GgufValue* GgufHeader::Find(std::string_view key) const {
  const auto found = std::ranges::find_if(metadata, [&](const auto& p) { return p.first == key; });
  return found == metadata.end() ? nullptr : &found->second;
}

Result<GgufHeader> ParseGgufHeader(std::span<const std::byte> bytes, uint64_t file_size) {
  return Parser(bytes, file_size).Run();
}

// Its length stands nowhere: the beginning is read and parsed until the header fits.
Result<GgufHeader> ReadGgufHeader(const File& file) {
  const auto at = [&](Error error) { return std::move(error).WithPath(file.path()); };
  for (uint64_t size = std::min(kFirstRead, file.size());; size = std::min(size * 4, file.size())) {
    std::vector<std::byte> bytes(size);
    SLIM_TRY(file.ReadExactAt(bytes, 0));
    auto header = ParseGgufHeader(bytes, file.size());
    if (header.ok()) return header;
    const bool longer = header.error().rule == "GG-truncated" && size < file.size();
    if (!longer) return at(std::move(header).error());
    if (size >= kMaxGgufHeaderBytes) {
      return at(InputError(
          "GG-count", fmt::format("the header is longer than {}", HumanSize(kMaxGgufHeaderBytes))));
    }
  }
}

std::optional<Shape> Q8_0Shape(DType dtype, const Shape& stored) {
  if (dtype != DType::kU8 || stored.size() < 2 || stored.back() != kQ8_0Bytes) return std::nullopt;
  Shape shape(stored.begin(), stored.end() - 1);
  shape.back() *= kQ8_0Elements;
  return shape;
}

Shape StoredQ8_0Shape(const Shape& elements) {
  Shape shape = elements;
  shape.back() /= kQ8_0Elements;
  shape.push_back(kQ8_0Bytes);
  return shape;
}

Result<SafetensorsLayout> LayOutGguf(
    const std::vector<TensorSpec>& specs,
    const std::vector<std::pair<std::string, GgufValue>>& metadata) {
  SafetensorsLayout layout;
  layout.header = kMagic;
  Append<uint32_t>(layout.header, 3);
  Append<uint64_t>(layout.header, specs.size());
  Append<uint64_t>(layout.header, metadata.size());
  for (const auto& [key, value] : metadata) {
    AppendText(layout.header, key);
    AppendValue(layout.header, value);
  }
  uint64_t position = 0;
  for (const TensorSpec& spec : specs) {
    SLIM_ASSIGN(const auto stored, StoredType(spec));
    SLIM_ASSIGN(const uint64_t size, ByteSize(spec.dtype, spec.shape));
    AppendText(layout.header, spec.name);
    Append(layout.header, static_cast<uint32_t>(stored.second.size()));
    for (size_t i = stored.second.size(); i-- > 0;) Append(layout.header, stored.second[i]);
    Append(layout.header, stored.first);
    Append(layout.header, position);
    layout.offsets.push_back(position);
    position += AlignUp(size, kGgufAlignment);
  }
  layout.header.resize(AlignUp(layout.header.size(), kGgufAlignment), '\0');
  for (uint64_t& offset : layout.offsets) offset += layout.header.size();
  layout.file_size = layout.header.size() + position;
  return layout;
}

}  // namespace slim
