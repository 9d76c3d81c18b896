#include "checkpoint/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/name_table.h"
#include "base/text.h"
#include "checkpoint/sniff.h"
#include "json/json.h"
#include "json/scanner.h"

namespace slim {
namespace {

constexpr std::string_view kMetadataKey = "__metadata__";
constexpr size_t kShortEntryBytes = 96;  // of text: name, dtype, shape, offsets

class HeaderParser {
 public:
  HeaderParser(std::string_view json, uint64_t file_size)
      : scanner_(json), json_(json), file_size_(file_size) {}

  Result<SafetensorsHeader> Parse() {
    SLIM_TRY(CheckText());
    SLIM_TRY(scanner_.BeginObject());
    header_.tensors.reserve(json_.size() / kShortEntryBytes);
    while (true) {
      std::string_view key;
      SLIM_ASSIGN(const bool more, scanner_.NextKey(key));
      if (!more) break;
      if (key == kMetadataKey) {
        SLIM_TRY(ParseMetadata());
      } else {
        SLIM_TRY(ParseTensor(key));
      }
    }
    SLIM_TRY(scanner_.End());
    SLIM_TRY(CheckNames());
    header_.data_start = 8 + json_.size();
    SLIM_TRY(CheckCoverage());
    return std::move(header_);
  }

 private:
  Status CheckText() {
    if (json_.empty()) return scanner_.Fail("ST-empty-header", "the header is empty");
    SLIM_TRY(scanner_.Start());
    if (json_.starts_with("\xEF\xBB\xBF"))
      return scanner_.Fail("ST-not-an-object", "the header begins with a byte order mark");
    if (scanner_.NextKind() != "object") {
      return scanner_.Fail(
          "ST-not-an-object",
          fmt::format("the header begins with {}, expected an object", scanner_.NextKind()));
    }
    return {};
  }

  Status ParseMetadata() {
    if (has_metadata_) return scanner_.Fail("ST-duplicate-metadata", "__metadata__ occurs twice");
    has_metadata_ = true;
    SLIM_TRY(scanner_.BeginObject());
    while (true) {
      std::string_view key;
      SLIM_ASSIGN(const bool more, scanner_.NextKey(key));
      if (!more) break;
      SLIM_ASSIGN(const std::string_view value, scanner_.String());
      header_.metadata.emplace_back(key, value);
    }
    std::vector<std::string_view> keys;
    for (const auto& [key, value] : header_.metadata) keys.push_back(key);
    std::sort(keys.begin(), keys.end());
    const auto twin = std::adjacent_find(keys.begin(), keys.end());
    if (twin == keys.end()) return {};
    return scanner_.Fail("ST-duplicate-metadata-key",
                         fmt::format("__metadata__ key {} occurs twice", Quote(*twin)));
  }

  Status ParseTensor(std::string_view name) {
    const auto named = [&](Error error) { return std::move(error).WithTensor(name); };
    HeaderTensor tensor;
    tensor.name = name;
    bool dtype = false;
    bool shape = false;
    bool offsets = false;
    if (auto status = scanner_.BeginObject(); !status.ok()) return named(std::move(status).error());
    while (true) {
      std::string_view key;
      auto more = scanner_.NextKey(key);
      if (!more.ok()) return named(std::move(more).error());
      if (!*more) break;
      bool* seen = key == "dtype"          ? &dtype
                   : key == "shape"        ? &shape
                   : key == "data_offsets" ? &offsets
                                           : nullptr;
      if (seen == nullptr)
        return named(
            scanner_.Fail("ST-unknown-field", fmt::format("unknown field {}", Quote(key))));
      if (*seen)
        return named(
            scanner_.Fail("ST-duplicate-field", fmt::format("field {} occurs twice", Quote(key))));
      *seen = true;
      Status status = key == "dtype"   ? ParseDTypeField(tensor)
                      : key == "shape" ? ParseShape(tensor)
                                       : ParseOffsets(tensor);
      if (!status.ok()) return named(std::move(status).error());
    }
    const std::string_view missing = !dtype     ? "dtype"
                                     : !shape   ? "shape"
                                     : !offsets ? "data_offsets"
                                                : "";
    if (!missing.empty())
      return named(
          scanner_.Fail("ST-missing-field", fmt::format("field '{}' is missing", missing)));
    if (auto status = CheckSize(tensor); !status.ok()) return named(std::move(status).error());
    header_.tensors.push_back(std::move(tensor));
    return {};
  }

  Status ParseDTypeField(HeaderTensor& tensor) {
    SLIM_ASSIGN(const std::string_view name, scanner_.String());
    const auto dtype = ParseDType(name);
    if (!dtype) {
      Error error = scanner_.Fail("ST-unknown-dtype", fmt::format("unknown dtype {}", Quote(name)));
      return std::move(error).WithHint("known: " + Join(DTypeNames(), " "));
    }
    tensor.dtype = *dtype;
    return {};
  }

  Status ParseShape(HeaderTensor& tensor) {
    SLIM_TRY(scanner_.BeginArray());
    tensor.shape.reserve(2);
    while (true) {
      SLIM_ASSIGN(const bool more, scanner_.NextElement());
      if (!more) return {};
      SLIM_ASSIGN(const uint64_t dimension, scanner_.Unsigned());
      if (tensor.shape.size() == kMaxRank)
        return scanner_.Fail("ST-rank", fmt::format("more than {} dimensions", kMaxRank));
      tensor.shape.push_back(dimension);
    }
  }

  Status ParseOffsets(HeaderTensor& tensor) {
    uint64_t values[2] = {};
    SLIM_TRY(scanner_.BeginArray());
    for (size_t count = 0;; ++count) {
      SLIM_ASSIGN(const bool more, scanner_.NextElement());
      if (!more && count == 2) break;
      if (more == (count == 2))
        return scanner_.Fail("ST-offset-count", "data_offsets does not have two entries");
      SLIM_ASSIGN(values[count], scanner_.Unsigned());
    }
    tensor.begin = values[0];
    tensor.end = values[1];
    if (tensor.end < tensor.begin) {
      return scanner_.Fail("ST-reversed-offsets", fmt::format("data_offsets [{}, {}] run backwards",
                                                              tensor.begin, tensor.end));
    }
    return {};
  }

  Status CheckSize(const HeaderTensor& tensor) {
    SLIM_ASSIGN(const uint64_t bytes, ByteSize(tensor.dtype, tensor.shape));
    if (tensor.end - tensor.begin == bytes) return {};
    return scanner_.Fail(
        "ST-size-mismatch",
        fmt::format("data_offsets span {} bytes, {}{} needs {}", tensor.end - tensor.begin,
                    DTypeName(tensor.dtype), ShapeText(tensor.shape), bytes));
  }

  Status CheckNames() {
    const auto name_at = [&](uint32_t i) { return std::string_view(header_.tensors[i].name); };
    const uint32_t repeated = FirstRepeated(header_.tensors.size(), name_at);
    if (repeated == NameTable::kNone) return {};
    return InputError("ST-duplicate-tensor", "occurs twice in the header")
        .WithTensor(name_at(repeated));
  }

  // Contiguous from 0 to the end of the file, every byte exactly once.
  Status CheckCoverage() {
    auto& tensors = header_.tensors;
    const auto before = [](const HeaderTensor& a, const HeaderTensor& b) {
      return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    };
    // Writers keep the order.
    if (!std::is_sorted(tensors.begin(), tensors.end(), before))
      std::sort(tensors.begin(), tensors.end(), before);
    uint64_t position = 0;
    const HeaderTensor* previous = nullptr;
    for (const HeaderTensor& tensor : tensors) {
      if (tensor.begin != position) {
        const std::string neighbour =
            previous == nullptr ? "the header" : "tensor " + Quote(previous->name);
        return InputError("ST-hole-or-overlap", fmt::format("begins at {}, but {} ends at {}",
                                                            tensor.begin, neighbour, position))
            .WithTensor(tensor.name);
      }
      position = tensor.end;
      previous = &tensor;
      const uint32_t width = std::max(DTypeBits(tensor.dtype) / 8, 1U);
      if ((header_.data_start + tensor.begin) % width != 0) header_.aligned = false;
    }
    if (header_.data_start % 8 != 0) header_.aligned = false;
    const auto wanted = CheckedAdd(header_.data_start, position);
    if (!wanted || *wanted > file_size_) {
      return InputError(
          "ST-truncated",
          fmt::format(
              "the header describes {} bytes of data, the file has {} (truncated download?)",
              position, file_size_ - header_.data_start));
    }
    if (*wanted < file_size_) {
      return InputError("ST-trailing-bytes",
                        fmt::format("{} bytes after the last tensor", file_size_ - *wanted));
    }
    return {};
  }

  JsonScanner scanner_;
  std::string_view json_;
  uint64_t file_size_;
  SafetensorsHeader header_;
  bool has_metadata_ = false;
};

Error NotSafetensors(const File& file, std::span<const std::byte> head, std::string_view rule,
                     std::string message) {
  const std::string foreign = SniffForeignFormat(head);
  if (foreign.empty())
    return InputError(std::string(rule), std::move(message)).WithPath(file.path());
  return InputError("ST-foreign-format", fmt::format("is {}, expected safetensors", foreign))
      .WithPath(file.path());
}

}  // namespace

Result<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json, uint64_t file_size) {
  return HeaderParser(json, file_size).Parse();
}

Result<SafetensorsHeader> ReadSafetensorsHeader(const File& file) {
  std::byte head[256] = {};
  const std::span<std::byte> part(head, std::min<uint64_t>(file.size(), sizeof(head)));
  SLIM_TRY(file.ReadExactAt(part, 0));
  if (file.size() < 8) {
    return NotSafetensors(
        file, part, "ST-too-short",
        fmt::format("the file has {} bytes, a header needs at least 8", file.size()));
  }
  const auto length = LoadLe<uint64_t>(head);
  if (length > kMaxHeaderBytes) {
    return NotSafetensors(
        file, part, "ST-header-too-large",
        fmt::format("the header claims {} bytes, the limit is {}", length, kMaxHeaderBytes));
  }
  if (length > file.size() - 8) {
    return NotSafetensors(
        file, part, "ST-header-past-end",
        fmt::format("the header claims {} bytes, the file has {} after it (truncated download?)",
                    length, file.size() - 8));
  }
  std::string json(length, '\0');
  SLIM_TRY(file.ReadExactAt(std::as_writable_bytes(std::span(json)), 8));
  auto header = ParseSafetensorsHeader(json, file.size());
  if (!header.ok()) {
    Error error = std::move(header).error();
    if (error.offset) *error.offset += 8;
    return std::move(error).WithPath(file.path());
  }
  return header;
}

Result<SafetensorsLayout> LayOutSafetensors(
    const std::vector<TensorSpec>& specs,
    const std::vector<std::pair<std::string, std::string>>& metadata) {
  std::vector<uint32_t> order(specs.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    if (specs[a].dtype != specs[b].dtype) return specs[a].dtype > specs[b].dtype;
    return specs[a].name < specs[b].name;
  });
  std::vector<std::string_view> names;
  names.reserve(specs.size());
  for (const TensorSpec& spec : specs) names.push_back(spec.name);
  std::sort(names.begin(), names.end());
  if (const auto twin = std::adjacent_find(names.begin(), names.end()); twin != names.end()) {
    return InputError("ST-duplicate-tensor", "would be written twice").WithTensor(*twin);
  }
  SafetensorsLayout layout;
  layout.offsets.resize(specs.size());
  std::string json = "{";
  const auto comma = [&] {
    if (json.size() > 1) json += ',';
  };
  if (!metadata.empty()) {
    Json object = Json::Object();
    for (const auto& [key, value] : metadata) object.Set(key, value);
    json += "\"__metadata__\":" + DumpJson(object, {.ensure_ascii = false, .spaces = false});
  }
  uint64_t position = 0;
  for (const uint32_t index : order) {
    const TensorSpec& spec = specs[index];
    SLIM_ASSIGN(const uint64_t bytes, ByteSize(spec.dtype, spec.shape));
    const auto end = CheckedAdd(position, bytes);
    if (!end)
      return InputError("ST-size-overflow", "the file would not fit in 64 bits")
          .WithTensor(spec.name);
    comma();
    AppendJsonString(json, spec.name, false);
    json += fmt::format(":{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                        DTypeName(spec.dtype), fmt::join(spec.shape, ","), position, *end);
    layout.offsets[index] = position;
    position = *end;
  }
  json += '}';
  json.append((8 - json.size() % 8) % 8, ' ');
  if (json.size() > kMaxHeaderBytes) {
    return InputError("ST-header-too-large",
                      fmt::format("the header would have {} bytes, readers refuse more than {}",
                                  json.size(), kMaxHeaderBytes));
  }
  layout.header.resize(8);
  StoreLe<uint64_t>(layout.header.data(), json.size());
  layout.header += json;
  for (uint64_t& offset : layout.offsets) offset += layout.header.size();
  layout.file_size = layout.header.size() + position;
  return layout;
}

}  // namespace slim
