#include "checkpoint/shard_index.h"

#include <fmt/format.h>

#include <unordered_set>

#include "base/name_table.h"
#include "base/text.h"
#include "json/json.h"
#include "json/scanner.h"
#include "os/path_guard.h"

namespace slim {
namespace {

constexpr int kMaxDepth = 8;
constexpr size_t kUsualEntryBytes = 128;  // of text: tensor, file, white space

Status ParseWeightMap(JsonScanner& scanner, std::string_view ending, ShardIndex& index) {
  SLIM_TRY(scanner.BeginObject());
  while (true) {
    std::string_view tensor;
    SLIM_ASSIGN(const bool more, scanner.NextKey(tensor));
    if (!more) return {};
    SLIM_ASSIGN(const std::string_view file, scanner.String());
    // Consecutive tensors mostly share a file: check a name once.
    if (index.weight_map.empty() || index.weight_map.back().second != file) {
      if (auto status = CheckPlainFileName(file, ending); !status.ok()) {
        return std::move(status).error().WithHint("the index names no file of this directory");
      }
    }
    index.weight_map.emplace_back(tensor, file);
  }
}

Status ParseMetadata(JsonScanner& scanner, ShardIndex& index) {
  if (scanner.NextKind() != "object") return scanner.SkipValue(kMaxDepth);
  SLIM_TRY(scanner.BeginObject());
  while (true) {
    std::string_view key;
    SLIM_ASSIGN(const bool more, scanner.NextKey(key));
    if (!more) return {};
    if (key == "total_size" && scanner.NextKind() == "number") {
      const JsonScanner before = scanner;
      if (auto total = scanner.Unsigned(); total.ok()) {
        index.total_size = *total;
        continue;
      }
      scanner = before;  // some writers store a float: worth no more than a skip
    }
    SLIM_TRY(scanner.SkipValue(kMaxDepth));
  }
}

}  // namespace

std::vector<std::string> ShardIndex::Files() const {
  std::vector<std::string> files;
  std::unordered_set<std::string_view> seen;
  for (const auto& [tensor, file] : weight_map) {
    // Tensors of one file stand together.
    if (!files.empty() && files.back() == file) continue;
    if (seen.insert(file).second) files.push_back(file);
  }
  return files;
}

Result<ShardIndex> ParseShardIndex(std::string_view json, std::string_view ending) {
  JsonScanner scanner(json);
  SLIM_TRY(scanner.Start());
  SLIM_TRY(scanner.BeginObject());
  ShardIndex index;
  bool has_map = false;
  while (true) {
    std::string_view key;
    SLIM_ASSIGN(const bool more, scanner.NextKey(key));
    if (!more) break;
    if (key == "weight_map") {
      if (has_map) return scanner.Fail("IX-duplicate-key", "weight_map occurs twice");
      has_map = true;
      index.weight_map.reserve(json.size() / kUsualEntryBytes);
      SLIM_TRY(ParseWeightMap(scanner, ending, index));
    } else if (key == "metadata") {
      SLIM_TRY(ParseMetadata(scanner, index));
    } else {
      SLIM_TRY(scanner.SkipValue(kMaxDepth));
    }
  }
  SLIM_TRY(scanner.End());
  if (!has_map) return InputError("IX-no-weight-map", "the index has no weight_map");
  NameTable names;
  names.Reserve(index.weight_map.size());
  const auto name_at = [&](uint32_t i) { return std::string_view(index.weight_map[i].first); };
  for (uint32_t i = 0; i < index.weight_map.size(); ++i) {
    if (names.Insert(name_at(i), i, name_at) == i) continue;
    return InputError("IX-duplicate-key", "occurs twice in the index").WithTensor(name_at(i));
  }
  return index;
}

std::string WriteShardIndex(const ShardIndex& index) {
  std::string out = "{\n  \"metadata\": {\n    \"total_size\": ";
  out += std::to_string(index.total_size.value_or(0));
  out += "\n  },\n  \"weight_map\": {";
  for (size_t i = 0; i < index.weight_map.size(); ++i) {
    out += i == 0 ? "\n    " : ",\n    ";
    AppendJsonString(out, index.weight_map[i].first);
    out += ": ";
    AppendJsonString(out, index.weight_map[i].second);
  }
  out += index.weight_map.empty() ? "}\n}" : "\n  }\n}";
  return out;
}

}  // namespace slim
