#include "checkpoint/torch_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <unordered_map>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/text.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/sniff.h"
#include "checkpoint/zip.h"

namespace slim {
namespace {

using Kind = PickleNode::Kind;

struct StorageType {
  std::string_view global;
  DType dtype;
};
constexpr StorageType kStorages[] = {
    {"torch.FloatStorage", DType::kF32},
    {"torch.HalfStorage", DType::kF16},
    {"torch.BFloat16Storage", DType::kBF16},
    {"torch.DoubleStorage", DType::kF64},
    {"torch.LongStorage", DType::kI64},
    {"torch.IntStorage", DType::kI32},
    {"torch.ShortStorage", DType::kI16},
    {"torch.CharStorage", DType::kI8},
    {"torch.ByteStorage", DType::kU8},
    {"torch.BoolStorage", DType::kBool},
    {"torch.storage.UntypedStorage", DType::kU8},
    {"torch.UntypedStorage", DType::kU8},
};
// Of tensors that are typed apart from their storage (_rebuild_tensor_v3).
constexpr StorageType kDTypes[] = {
    {"torch.float8_e4m3fn", DType::kF8E4M3},
    {"torch.float8_e5m2", DType::kF8E5M2},
    {"torch.uint16", DType::kU16},
    {"torch.uint32", DType::kU32},
    {"torch.uint64", DType::kU64},
    {"torch.float32", DType::kF32},
    {"torch.float16", DType::kF16},
    {"torch.bfloat16", DType::kBF16},
    {"torch.int8", DType::kI8},
    {"torch.uint8", DType::kU8},
    {"torch.int32", DType::kI32},
    {"torch.int64", DType::kI64},
};
constexpr std::string_view kRebuild2 = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuild3 = "torch._utils._rebuild_tensor_v3";
constexpr std::string_view kParameter = "torch._utils._rebuild_parameter";
constexpr std::string_view kFromBytes = "torch.storage._load_from_bytes";

// 0x1950a86a20f9469cfc6c as LONG1.
constexpr unsigned char kLegacyMagic[] = {0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46,
                                          0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E};
constexpr int64_t kLegacyVersion = 1001;

std::optional<DType> DTypeOf(std::span<const StorageType> table, std::string_view global) {
  const auto found = std::ranges::find(table, global, &StorageType::global);
  return found == table.end() ? std::nullopt : std::optional(found->dtype);
}

Error Bad(std::string_view rule, std::string message) {
  return InputError(std::string(rule), std::move(message));
}

struct Storage {
  DType dtype = DType::kU8;
  std::string key;
  uint64_t elements = 0;
  uint64_t offset = 0;  // of its bytes in the source
  uint64_t bytes = 0;
};

class Tensors {
 public:
  Tensors(const ByteSource& source, const Pickle& pickle) : source_(source), pickle_(pickle) {}
  virtual ~Tensors() = default;

  bool IsTensor(const PickleNode& node) const;
  Result<TorchTensor> Read(const PickleNode& node) const;
  // ('storage', type, key, location, elements[, view])
  Result<Storage> ReadId(const PickleNode& node) const;
  Result<Storage> StorageOf(const PickleNode& node) const { return ReadStorage(node); }

 protected:
  // Fills offset and bytes.
  virtual Status Locate(Storage& storage) const = 0;
  virtual Result<Storage> ReadStorage(const PickleNode& node) const;

  const ByteSource& source_;
  const Pickle& pickle_;

 private:
  const PickleNode* Unwrapped(const PickleNode& node) const;
  Result<uint64_t> Size(const PickleNode& node) const;
  Result<Shape> Sizes(const PickleNode& node) const;
  static Status Place(const Storage& storage, uint64_t first, TorchTensor& tensor);
};

// The call that makes the tensor, out of its parameter; null where the value is none.
const PickleNode* Tensors::Unwrapped(const PickleNode& node) const {
  const PickleNode* call = &node;
  for (int depth = 0; depth < 2 && call->kind == Kind::kCall; ++depth) {
    const std::string& callee = pickle_[call->items[0]].text;
    if (callee == kRebuild2 || callee == kRebuild3) return call;
    const PickleNode& arguments = pickle_[call->items[1]];
    if (callee != kParameter || arguments.items.empty()) return nullptr;
    call = &pickle_[arguments.items[0]];
  }
  return nullptr;
}

bool Tensors::IsTensor(const PickleNode& node) const { return Unwrapped(node) != nullptr; }

Result<uint64_t> Tensors::Size(const PickleNode& node) const {
  if (node.kind == Kind::kInteger && node.integer >= 0) return static_cast<uint64_t>(node.integer);
  return Bad("PT-tensor", "has a size that is no number");
}

Result<Shape> Tensors::Sizes(const PickleNode& node) const {
  if (node.kind != Kind::kTuple || node.items.size() > kMaxRank)
    return Bad("PT-tensor", "has a shape that is none");
  Shape shape;
  for (const PickleRef item : node.items) {
    SLIM_ASSIGN(const uint64_t size, Size(pickle_[item]));
    shape.push_back(size);
  }
  return shape;
}

Result<Storage> Tensors::ReadId(const PickleNode& node) const {
  const auto bad = [] { return Bad("PT-storage", "has a storage that is none"); };
  if (node.kind != Kind::kPersistent) return bad();
  const PickleNode& id = pickle_[node.items[0]];
  if (id.kind != Kind::kTuple || id.items.size() < 5) return bad();
  const auto part = [&](size_t i) -> const PickleNode& { return pickle_[id.items[i]]; };
  Storage storage;
  const auto dtype = DTypeOf(kStorages, part(1).text);
  if (part(0).text != "storage" || part(1).kind != Kind::kGlobal || !dtype ||
      part(2).kind != Kind::kText)
    return bad();
  if (id.items.size() > 5 && part(5).kind != Kind::kNone)
    return Bad("PT-storage", "is a view of another storage, which only torch before 0.4 wrote");
  storage.dtype = *dtype;
  storage.key = part(2).text;
  SLIM_ASSIGN(storage.elements, Size(part(4)));
  return storage;
}

Result<Storage> Tensors::ReadStorage(const PickleNode& node) const {
  SLIM_ASSIGN(Storage storage, ReadId(node));
  SLIM_TRY(Locate(storage));
  return storage;
}

// Every element lies inside the storage, and none is shown twice.
Status Tensors::Place(const Storage& storage, uint64_t first, TorchTensor& tensor) {
  const uint64_t width = DTypeBits(tensor.dtype) / 8;
  const auto count = ElementCount(tensor.shape);
  if (!count || !CheckedMul(*count, width)) return Bad("PT-tensor", "has an impossible shape");
  uint64_t last = 0;
  uint64_t dense = 1;
  bool contiguous = true;
  for (size_t i = tensor.shape.size(); i-- > 0;) {
    if (tensor.shape[i] == 1) continue;
    contiguous = contiguous && tensor.strides[i] == dense;
    dense *= tensor.shape[i];
    const auto reach = *count == 0 ? 0 : CheckedMul(tensor.shape[i] - 1, tensor.strides[i]);
    const auto sum = reach ? CheckedAdd(last, *reach) : std::nullopt;
    if (!sum) return Bad("PT-tensor", "has strides that leave its storage");
    last = *sum;
  }
  const auto extent = *count == 0 ? std::optional<uint64_t>(0) : CheckedMul(last + 1, width);
  const auto begin = CheckedMul(first, width);
  const auto end = extent && begin ? CheckedAdd(*begin, *extent) : std::nullopt;
  if (!end || *end > storage.bytes)
    return Bad("PT-tensor",
               fmt::format("has elements outside of its storage of {} bytes", storage.bytes));
  if (*count > 0 && *count * width > *extent)
    return Bad("PT-tensor", "shows elements of its storage more than once (an expanded view)");
  tensor.offset = storage.offset + *begin;
  tensor.extent = *extent;
  if (contiguous || *count == 0) tensor.strides.clear();
  return {};
}

Result<TorchTensor> Tensors::Read(const PickleNode& node) const {
  const PickleNode* call = Unwrapped(node);
  if (call == nullptr) return Bad("PT-tensor", "is no tensor");
  const PickleNode& arguments = pickle_[call->items[1]];
  const bool typed = pickle_[call->items[0]].text == kRebuild3;
  if (arguments.items.size() < (typed ? 7U : 4U))
    return Bad("PT-tensor", "is made from too little");
  const auto part = [&](size_t i) -> const PickleNode& { return pickle_[arguments.items[i]]; };
  SLIM_ASSIGN(const Storage storage, ReadStorage(part(0)));
  TorchTensor tensor;
  tensor.dtype = storage.dtype;
  if (typed) {
    const auto dtype = DTypeOf(kDTypes, part(6).kind == Kind::kGlobal ? part(6).text : "");
    if (!dtype) return Bad("PT-tensor", "has an unknown dtype");
    tensor.dtype = *dtype;
  }
  SLIM_ASSIGN(const uint64_t first, Size(part(1)));
  SLIM_ASSIGN(tensor.shape, Sizes(part(2)));
  SLIM_ASSIGN(tensor.strides, Sizes(part(3)));
  if (tensor.strides.size() != tensor.shape.size())
    return Bad("PT-tensor", "has a shape and strides of different ranks");
  SLIM_TRY(Place(storage, first, tensor));
  return tensor;
}

// Entries of a zip archive: "<top>/data/<key>".
class ZipTensors : public Tensors {
 public:
  ZipTensors(const ByteSource& source, const Pickle& pickle,
             const std::unordered_map<std::string, ZipEntry>& data)
      : Tensors(source, pickle), data_(data) {}

 protected:
  Status Locate(Storage& storage) const override {
    const auto found = data_.find(storage.key);
    if (found == data_.end())
      return Bad("PT-storage",
                 fmt::format("has its bytes in data/{}, which is missing", Escape(storage.key)));
    storage.offset = found->second.offset;
    storage.bytes = found->second.size;
    const auto claimed = CheckedMul(storage.elements, DTypeBits(storage.dtype) / 8);
    if (claimed && *claimed <= storage.bytes) return {};
    return Bad("PT-storage", fmt::format("claims {} elements of a storage of {} bytes",
                                         storage.elements, storage.bytes));
  }

 private:
  const std::unordered_map<std::string, ZipEntry>& data_;
};

// Storages one after another behind the pickles.
class LegacyTensors : public Tensors {
 public:
  using Tensors::Tensors;
  // `keys` is the list that follows the pickle: storages stand in its order, each behind its
  // length.
  Status Open(const Pickle& keys);

 protected:
  Status Locate(Storage& storage) const override {
    const auto found = places_.find(storage.key);
    if (found == places_.end())
      return Bad("PT-storage", "has a storage that the file does not list");
    storage.offset = found->second.offset;
    storage.bytes = found->second.bytes;
    return {};
  }

 private:
  std::unordered_map<std::string, Storage> places_;
};

Status LegacyTensors::Open(const Pickle& keys) {
  if (keys.Root().kind != Kind::kList) return Bad("PT-legacy", "the list of storages is none");
  std::unordered_map<std::string, Storage> known;
  for (const PickleNode& node : pickle_.nodes) {
    if (node.kind != Kind::kPersistent) continue;
    SLIM_ASSIGN(Storage storage, ReadId(node));
    known.insert_or_assign(storage.key, std::move(storage));
  }
  uint64_t at = keys.end;
  for (const PickleRef item : keys.Root().items) {
    const auto found = known.find(keys[item].text);
    if (found == known.end()) return Bad("PT-legacy", "lists a storage that no tensor has");
    uint64_t elements = 0;
    if (at > source_.size || 8 > source_.size - at)
      return Bad("PT-truncated", "the file ends before its storages do");
    SLIM_TRY(source_.read(std::as_writable_bytes(std::span(&elements, 1)), at));
    at += 8;
    Storage place = found->second;
    const auto bytes = CheckedMul(elements, DTypeBits(place.dtype) / 8);
    if (elements != place.elements || !bytes || *bytes > source_.size - at)
      return Bad("PT-truncated", "the file ends before its storages do");
    place.offset = at;
    place.bytes = *bytes;
    at += *bytes;
    places_.insert_or_assign(place.key, std::move(place));
  }
  return {};
}

// Three pickles (magic, version, system) before the one with the data.
struct LegacyFile {
  Pickle data;
  Pickle keys;
};

Result<LegacyFile> OpenLegacy(const ByteSource& source) {
  const auto nothing = [](std::string_view) { return false; };
  SLIM_ASSIGN(const Pickle version, ReadPickle(source, sizeof(kLegacyMagic), nothing));
  if (version.Root().kind != Kind::kInteger || version.Root().integer != kLegacyVersion)
    return Bad("PT-legacy", "is of a version of torch's old format that slim does not read");
  SLIM_ASSIGN(const Pickle system, ReadPickle(source, version.end, nothing));
  const PickleNode* little = system.Find(system.Root(), "little_endian");
  if (little == nullptr || little->integer != 1) return Bad("PT-endian", "is not little-endian");
  LegacyFile file;
  SLIM_ASSIGN(file.data, ReadPickle(source, system.end, IsTorchGlobal));
  SLIM_ASSIGN(file.keys, ReadPickle(source, file.data.end, nothing));
  return file;
}

bool IsLegacy(const ByteSource& source, std::span<const std::byte> head) {
  return source.size >= sizeof(kLegacyMagic) &&
         std::ranges::equal(head.first(sizeof(kLegacyMagic)),
                            std::as_bytes(std::span(kLegacyMagic)));
}

// A tensor of a plain pickle: torch.storage._load_from_bytes(b"a legacy file with one storage").
class PickledTensors : public Tensors {
 public:
  using Tensors::Tensors;

 protected:
  Status Locate(Storage& /*storage*/) const override { return {}; }
  Result<Storage> ReadStorage(const PickleNode& node) const override;
};

Result<Storage> PickledTensors::ReadStorage(const PickleNode& node) const {
  const auto bad = [] { return Bad("PT-storage", "has a storage that is none"); };
  if (node.kind != Kind::kCall || pickle_[node.items[0]].text != kFromBytes) return bad();
  const PickleNode& arguments = pickle_[node.items[1]];
  if (arguments.items.size() != 1 || pickle_[arguments.items[0]].kind != Kind::kBytes) return bad();
  const PickleNode& bytes = pickle_[arguments.items[0]];
  const ByteSource inner = source_.Part(bytes.offset, bytes.size);
  std::array<std::byte, sizeof(kLegacyMagic)> head{};
  if (inner.size < head.size()) return bad();
  SLIM_TRY(inner.read(head, 0));
  if (!IsLegacy(inner, head)) return bad();
  SLIM_ASSIGN(const LegacyFile file, OpenLegacy(inner));
  LegacyTensors legacy(inner, file.data);
  SLIM_TRY(legacy.Open(file.keys));
  SLIM_ASSIGN(Storage storage, legacy.StorageOf(file.data.Root()));
  storage.offset += bytes.offset;
  return storage;
}

Status AddTensors(const Pickle& pickle, const Tensors& tensors, TorchFile& file) {
  const PickleNode* dict = &pickle.Root();
  if (tensors.IsTensor(*dict)) {
    SLIM_ASSIGN(TorchTensor only, tensors.Read(*dict));
    file.tensors.push_back(std::move(only));
    return {};
  }
  if (dict->kind != Kind::kDict) return Bad("PT-dict", "holds no dict of tensors");
  if (const PickleNode* inner = pickle.Find(*dict, "state_dict");
      inner != nullptr && inner->kind == Kind::kDict)
    dict = inner;
  std::map<std::pair<uint64_t, uint64_t>, std::string> places;
  for (size_t i = 0; i + 1 < dict->items.size(); i += 2) {
    const PickleNode& key = pickle[dict->items[i]];
    const PickleNode& value = pickle[dict->items[i + 1]];
    if (key.kind != Kind::kText) return Bad("PT-dict", "has a key that is no text");
    if (!tensors.IsTensor(value)) {
      file.left_out.push_back(key.text);
      continue;
    }
    auto tensor = tensors.Read(value);
    if (!tensor.ok()) return std::move(tensor).error().WithTensor(key.text);
    tensor->name = key.text;
    const auto [other, fresh] = places.emplace(std::pair(tensor->offset, tensor->extent), key.text);
    if (!fresh && tensor->extent > 0)
      file.tied.push_back(fmt::format("{} is {}", Quote(key.text), Quote(other->second)));
    file.tensors.push_back(std::move(*tensor));
  }
  if (file.tensors.empty()) return Bad("PT-dict", "holds no tensor by name");
  return {};
}

Result<std::string> SmallEntry(const ByteSource& source, const ZipEntry& entry) {
  std::string text(std::min<uint64_t>(entry.size, 64), '\0');
  SLIM_TRY(source.read(std::as_writable_bytes(std::span(text)), entry.offset));
  return text;
}

Result<TorchFile> ReadZip(const ByteSource& source) {
  SLIM_ASSIGN(const std::vector<ZipEntry> entries, ReadZipEntries(source));
  const auto pickle_entry = std::ranges::find_if(entries, [](const ZipEntry& entry) {
    return entry.name.ends_with("/data.pkl") && std::ranges::count(entry.name, '/') == 1;
  });
  if (pickle_entry == entries.end())
    return Bad("PT-archive", "is a zip archive without data.pkl: torch.save did not write it");
  const std::string top = pickle_entry->name.substr(0, pickle_entry->name.find('/') + 1);
  std::unordered_map<std::string, ZipEntry> data;
  for (const ZipEntry& entry : entries) {
    if (!entry.name.starts_with(top)) continue;
    const std::string name = entry.name.substr(top.size());
    if (name.starts_with("code/") || name == "constants.pkl")
      return Bad("PT-script", "is a TorchScript archive, which holds code");
    if (name == "byteorder") {
      SLIM_ASSIGN(const std::string order, SmallEntry(source, entry));
      if (order != "little") return Bad("PT-endian", "is not little-endian");
    }
    if (name.starts_with("data/")) data.emplace(name.substr(5), entry);
  }
  const ByteSource part = source.Part(pickle_entry->offset, pickle_entry->size);
  SLIM_ASSIGN(const Pickle pickle, ReadPickle(part, 0, IsTorchGlobal));
  TorchFile file;
  SLIM_TRY(AddTensors(pickle, ZipTensors(source, pickle, data), file));
  return file;
}

}  // namespace

std::string_view TorchStorageOf(DType dtype) {
  const auto* found = std::ranges::find(kStorages, dtype, &StorageType::dtype);
  return found == std::end(kStorages) ? "" : found->global;
}

bool IsTorchGlobal(std::string_view global) {
  return DTypeOf(kStorages, global) || DTypeOf(kDTypes, global) || global == kRebuild2 ||
         global == kRebuild3 || global == kParameter;
}

Result<TorchFile> ReadTorchFile(const ByteSource& source) {
  std::vector<std::byte> head(std::min<uint64_t>(source.size, 512));
  SLIM_TRY(source.read(head, 0));
  const std::string_view begin(reinterpret_cast<const char*>(head.data()), head.size());
  if (begin.starts_with("PK\x03\x04")) return ReadZip(source);
  if (!IsLegacy(source, head)) {
    const std::string found = SniffForeignFormat(head);
    return Bad("PT-format", found.empty() ? "is no file of torch.save" : "is " + found);
  }
  SLIM_ASSIGN(const LegacyFile legacy, OpenLegacy(source));
  LegacyTensors tensors(source, legacy.data);
  SLIM_TRY(tensors.Open(legacy.keys));
  TorchFile file;
  SLIM_TRY(AddTensors(legacy.data, tensors, file));
  return file;
}

void GatherStrided(std::span<const std::byte> view, const Shape& shape, const Shape& strides,
                   uint64_t width, uint64_t first, std::span<std::byte> to) {
  if (to.empty()) return;
  const size_t rank = shape.size();
  Shape index(rank, 0);
  uint64_t position = 0;
  for (size_t i = rank; i-- > 0;) {
    index[i] = first % shape[i];
    first /= shape[i];
    position += index[i] * strides[i];
  }
  for (uint64_t done = 0; done < to.size(); done += width) {
    std::memcpy(to.data() + done, view.data() + position * width, width);
    for (size_t i = rank; i-- > 0;) {
      position += strides[i];
      if (++index[i] < shape[i]) break;
      position -= shape[i] * strides[i];
      index[i] = 0;
    }
  }
}

Result<TorchTensor> ReadPickledTensor(const ByteSource& source, const Pickle& pickle,
                                      const PickleNode& node) {
  return PickledTensors(source, pickle).Read(node);
}

}  // namespace slim
