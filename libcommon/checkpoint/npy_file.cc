#include "checkpoint/npy_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/text.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/sniff.h"

namespace slim {
namespace {

using Kind = PickleNode::Kind;

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr uint64_t kLongestHeader = 1 << 16;
constexpr std::array<std::string_view, 6> kBySuffix = {
    "quant_bias", "deq_scale", "input_scale", "input_offset", "weight_scale", "weight_offset"};
constexpr std::array<std::string_view, 6> kGlobals = {"numpy.core.multiarray._reconstruct",
                                                      "numpy._core.multiarray._reconstruct",
                                                      "numpy.ndarray",
                                                      "numpy.dtype",
                                                      "_codecs.encode",
                                                      "torch.storage._load_from_bytes"};

struct ArrayType {
  std::string_view code;
  DType dtype;
};
constexpr ArrayType kTypes[] = {{"f4", DType::kF32}, {"f2", DType::kF16}, {"f8", DType::kF64},
                                {"i1", DType::kI8},  {"i2", DType::kI16}, {"i4", DType::kI32},
                                {"i8", DType::kI64}, {"u1", DType::kU8},  {"b1", DType::kBool}};

Error Bad(std::string_view rule, std::string message) {
  return InputError(std::string(rule), std::move(message));
}

bool IsKnown(std::string_view global) {
  return IsTorchGlobal(global) ||
         std::find(kGlobals.begin(), kGlobals.end(), global) != kGlobals.end();
}

// Where the data begins; the header must say that it is a dict or an object array.
Result<uint64_t> ReadHeader(const ByteSource& source) {
  std::array<std::byte, 12> head{};
  const auto begin = std::span(head).first(std::min<uint64_t>(head.size(), source.size));
  SLIM_TRY(source.read(begin, 0));
  const std::string_view text(reinterpret_cast<const char*>(head.data()), begin.size());
  if (!text.starts_with(kMagic) || begin.size() < head.size()) {
    const std::string found = SniffForeignFormat(begin);
    return Bad("NP-format", found.empty() ? "is no file of numpy.save" : "is " + found);
  }
  const auto major = LoadLe<uint8_t>(head.data() + 6);
  if (major < 1 || major > 3) return Bad("NP-format", fmt::format("is of version {}", major));
  const uint64_t size =
      major == 1 ? LoadLe<uint16_t>(head.data() + 8) : LoadLe<uint32_t>(head.data() + 8);
  const uint64_t start = major == 1 ? 10 : 12;
  if (size > kLongestHeader || size > source.size - start)
    return Bad("NP-truncated", "the file ends inside its header");
  std::string header(size, '\0');
  SLIM_TRY(source.read(std::as_writable_bytes(std::span(header)), start));
  if (header.find("'descr': '|O'") == std::string::npos ||
      header.find("'shape': ()") == std::string::npos)
    return Bad("NP-format", "holds an array of numbers, a dict of tensors is expected");
  return start + size;
}

// numpy.ndarray's state: (version, shape, dtype, is_fortran, data).
class NpyDict {
 public:
  NpyDict(const ByteSource& source, const Pickle& pickle) : source_(source), pickle_(pickle) {}

  // The dict inside the object array.
  Result<const PickleNode*> Dict() const;
  Result<TorchTensor> ReadValue(const PickleNode& value) const;

 private:
  const PickleNode* State(const PickleNode& array) const;
  std::optional<DType> DTypeOf(const PickleNode& node) const;
  Result<TorchTensor> ReadArray(const PickleNode& state) const;

  const ByteSource& source_;
  const Pickle& pickle_;
};

const PickleNode* NpyDict::State(const PickleNode& array) const {
  if (array.kind != Kind::kCall || array.state == kNoPickle ||
      !pickle_[array.items[0]].text.ends_with("multiarray._reconstruct"))
    return nullptr;
  const PickleNode& state = pickle_[array.state];
  return state.kind == Kind::kTuple && state.items.size() == 5 ? &state : nullptr;
}

Result<const PickleNode*> NpyDict::Dict() const {
  const PickleNode* state = State(pickle_.Root());
  const PickleNode* data = state == nullptr ? nullptr : &pickle_[state->items[4]];
  if (data == nullptr || data->kind != Kind::kList || data->items.size() != 1 ||
      pickle_[data->items[0]].kind != Kind::kDict)
    return Bad("NP-dict", "holds no dict of tensors");
  return &pickle_[data->items[0]];
}

// dtype('f4') with its state's byte order.
std::optional<DType> NpyDict::DTypeOf(const PickleNode& node) const {
  if (node.kind != Kind::kCall || pickle_[node.items[0]].text != "numpy.dtype") return std::nullopt;
  const PickleNode& arguments = pickle_[node.items[1]];
  if (arguments.items.empty()) return std::nullopt;
  const auto* type = std::ranges::find(kTypes, pickle_[arguments.items[0]].text, &ArrayType::code);
  if (type == std::end(kTypes)) return std::nullopt;
  if (node.state != kNoPickle) {
    const PickleNode& state = pickle_[node.state];
    const bool big = state.items.size() > 1 && pickle_[state.items[1]].text == ">";
    if (big) return std::nullopt;
  }
  return type->dtype;
}

Result<TorchTensor> NpyDict::ReadArray(const PickleNode& state) const {
  const auto part = [&](size_t i) -> const PickleNode& { return pickle_[state.items[i]]; };
  TorchTensor tensor;
  const auto dtype = DTypeOf(part(2));
  if (!dtype) return Bad("NP-dtype", "is an array of a type that is not read");
  tensor.dtype = *dtype;
  if (part(1).kind != Kind::kTuple || part(1).items.size() > kMaxRank)
    return Bad("NP-array", "has a shape that is none");
  for (const PickleRef item : part(1).items) {
    const PickleNode& size = pickle_[item];
    if (size.kind != Kind::kInteger || size.integer < 0)
      return Bad("NP-array", "has a shape that is none");
    tensor.shape.push_back(static_cast<uint64_t>(size.integer));
  }
  if (part(3).integer != 0 && tensor.shape.size() > 1)
    return Bad("NP-array", "is in Fortran order, which is not read");
  SLIM_ASSIGN(const uint64_t bytes, ByteSize(tensor.dtype, tensor.shape));
  if (part(4).kind != Kind::kBytes || part(4).size != bytes) {
    return Bad("NP-array", fmt::format("has {} bytes of data, its shape wants {}",
                                       part(4).kind == Kind::kBytes ? part(4).size : 0, bytes));
  }
  tensor.offset = part(4).offset;
  tensor.extent = bytes;
  return tensor;
}

Result<TorchTensor> NpyDict::ReadValue(const PickleNode& value) const {
  const PickleNode* state = State(value);
  return state == nullptr ? ReadPickledTensor(source_, pickle_, value) : ReadArray(*state);
}

}  // namespace

std::string NpyNaming(std::string_view file_name) {
  const std::string_view stem = file_name.substr(0, file_name.find('.'));
  if (stem == "quant_weight") return "weight";
  return std::find(kBySuffix.begin(), kBySuffix.end(), stem) == kBySuffix.end() ? ""
                                                                                : std::string(stem);
}

Result<std::vector<TorchTensor>> ReadNpyDict(const ByteSource& source, const std::string& suffix) {
  SLIM_ASSIGN(const uint64_t start, ReadHeader(source));
  SLIM_ASSIGN(const Pickle pickle, ReadPickle(source, start, IsKnown));
  const NpyDict reader(source, pickle);
  SLIM_ASSIGN(const PickleNode* dict, reader.Dict());
  std::vector<TorchTensor> tensors;
  for (size_t i = 0; i + 1 < dict->items.size(); i += 2) {
    const PickleNode& key = pickle[dict->items[i]];
    if (key.kind != Kind::kText) return Bad("NP-dict", "has a key that is no text");
    const std::string name = suffix.empty() ? key.text : fmt::format("{}.{}", key.text, suffix);
    auto tensor = reader.ReadValue(pickle[dict->items[i + 1]]);
    if (!tensor.ok()) return std::move(tensor).error().WithTensor(name);
    tensor->name = name;
    tensors.push_back(std::move(*tensor));
  }
  return tensors;
}

}  // namespace slim
