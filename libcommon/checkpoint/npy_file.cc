#include "checkpoint/npy_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/text.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/sniff.h"
#include "linear/scheme.h"

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

class PickleWriter {
 public:
  void Raw(std::string_view bytes) { text_ += bytes; }
  void Text(std::string_view text) {
    text_ += 'X';
    Number<uint32_t>(text.size());
    text_ += text;
  }
  void Integer(uint64_t value) {  // below 2^63
    text_ += "\x8A\x08";
    Number<uint64_t>(value);
  }
  void Integers(const Shape& values) {
    text_ += '(';
    for (const uint64_t value : values) Integer(value);
    text_ += 't';
  }
  // "module\nname\n"
  void Global(std::string_view module, std::string_view name) {
    text_ += fmt::format("c{}\n{}\n", module, name);
  }
  template <class T>
  void Number(uint64_t value) {
    std::array<char, sizeof(T)> bytes{};
    StoreLe(bytes.data(), static_cast<T>(value));
    text_.append(bytes.data(), bytes.size());
  }
  std::string Take() { return std::exchange(text_, ""); }

 private:
  std::string text_;
};

// The legacy file of one storage, up to its bytes.
std::string StorageHead(std::string_view type, uint64_t elements) {
  PickleWriter out;
  out.Raw(std::string_view("\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.", 15));
  out.Raw("\x80\x02M\xE9\x03.");
  out.Raw("\x80\x02}(");
  out.Text("protocol_version");
  out.Raw("M\xE9\x03");
  out.Text("little_endian");
  out.Raw("\x88u.\x80\x02(");
  out.Text("storage");
  out.Global("torch", type.substr(type.find('.') + 1));
  out.Text("0");
  out.Text("cpu");
  out.Integer(elements);
  out.Raw("NtQ.\x80\x02]");
  out.Text("0");
  out.Raw("a.");
  out.Number<uint64_t>(elements);
  return out.Take();
}

std::string ArrayHead() {
  std::string header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }";
  header.resize(117, ' ');
  PickleWriter out;
  out.Raw(kMagic);
  out.Raw(std::string_view("\x01\x00", 2));
  out.Number<uint16_t>(header.size() + 1);
  out.Raw(header + "\n");
  out.Raw("\x80\x04");
  out.Global("numpy.core.multiarray", "_reconstruct");
  out.Global("numpy", "ndarray");
  out.Raw(
      std::string_view("K\0\x85"
                       "C\x01"
                       "b\x87R(K\x01)",
                       12));
  out.Global("numpy", "dtype");
  out.Text("O8");
  out.Raw("\x89\x88\x87R(K\x03");
  out.Text("|");
  out.Raw("NNNJ\xFF\xFF\xFF\xFFJ\xFF\xFF\xFF\xFFK?tb\x89]}(");
  return out.Take();
}

// Everything of a value before its storage's bytes.
std::string ValueHead(const TensorSpec& spec, std::string_view type, uint64_t elements,
                      uint64_t bytes) {
  PickleWriter out;
  out.Text(spec.name);
  out.Global("torch._utils", "_rebuild_tensor_v2");
  out.Raw("(");
  out.Global("torch.storage", "_load_from_bytes");
  const std::string head = StorageHead(type, elements);
  out.Raw("\x8E");
  out.Number<uint64_t>(head.size() + bytes);
  out.Raw(head);
  return out.Take();
}

std::string ValueTail(const TensorSpec& spec) {
  Shape strides(spec.shape.size(), 1);
  for (size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * spec.shape[i];
  PickleWriter out;
  out.Raw(std::string_view("\x85RK\0", 4));
  out.Integers(spec.shape);
  out.Integers(strides);
  out.Raw("\x89");
  out.Global("collections", "OrderedDict");
  out.Raw(")RtR");
  return out.Take();
}

}  // namespace

NpyPlace NpyPlaceOf(std::string_view tensor) {
  const auto [module, suffix] = SplitTensorName(tensor);
  if (module.ends_with("norm") && (suffix == "weight" || suffix == "bias"))
    return {"anti_fp_norm.npy", std::string(tensor)};
  if (suffix == "kv_cache_scale" || suffix == "kv_cache_offset")
    return {fmt::format("{}.npy", suffix), std::string(tensor)};
  if (suffix == "weight") return {"quant_weight.npy", std::string(module)};
  if (std::find(kBySuffix.begin(), kBySuffix.end(), suffix) != kBySuffix.end())
    return {fmt::format("{}.npy", suffix), std::string(module)};
  return {};
}

Result<NpyLayout> LayOutNpy(const std::vector<TensorSpec>& specs) {
  NpyLayout layout;
  std::string piece = ArrayHead();
  for (const TensorSpec& spec : specs) {
    const std::string_view type = TorchStorageOf(spec.dtype);
    if (type.empty()) {
      return Bad("NP-dtype",
                 fmt::format("is {}, which torch has no storage for", DTypeName(spec.dtype)))
          .WithTensor(spec.name);
    }
    SLIM_ASSIGN(const uint64_t bytes, ByteSize(spec.dtype, spec.shape));
    piece += ValueHead(spec, type, ElementCount(spec.shape).value_or(0), bytes);
    layout.pieces.emplace_back(layout.file_size, piece);
    layout.file_size += piece.size();
    layout.offsets.push_back(layout.file_size);
    layout.file_size += bytes;
    piece = ValueTail(spec);
  }
  piece += "uatb.";
  layout.pieces.emplace_back(layout.file_size, piece);
  layout.file_size += piece.size();
  return layout;
}

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
