#include "checkpoint/shard_index.h"

#include <fmt/format.h>

#include <functional>

#include "base/name_table.h"
#include "base/text.h"
#include "json/json.h"
#include "json/scanner.h"
#include "os/path_guard.h"

namespace slim {
namespace {

constexpr int kMaxDepth = 8;
constexpr size_t kShortEntryBytes = 96;  // of text: tensor, file, white space

}  // namespace

class ShardIndexParser {
 public:
  ShardIndexParser(std::string json, std::string_view ending)
      : ending_(ending),
        text_(std::make_unique<const std::string>(std::move(json))),
        scanner_(*text_) {}

  Result<ShardIndex> Parse() {
    SLIM_TRY(scanner_.Start());
    SLIM_TRY(scanner_.BeginObject());
    bool has_map = false;
    while (true) {
      std::string_view key;
      SLIM_ASSIGN(const bool more, scanner_.NextKey(key));
      if (!more) break;
      if (key == "weight_map") {
        if (has_map) return scanner_.Fail("IX-duplicate-key", "weight_map occurs twice");
        has_map = true;
        SLIM_TRY(ParseWeightMap());
      } else if (key == "metadata") {
        SLIM_TRY(ParseMetadata());
      } else {
        SLIM_TRY(scanner_.SkipValue(kMaxDepth));
      }
    }
    SLIM_TRY(scanner_.End());
    if (!has_map) return InputError("IX-no-weight-map", "the index has no weight_map");
    SLIM_TRY(CheckNames());
    index_.text_ = std::move(text_);
    return std::move(index_);
  }

 private:
  Status ParseWeightMap() {
    index_.weight_map_.reserve(text_->size() / kShortEntryBytes);
    SLIM_TRY(scanner_.BeginObject());
    while (true) {
      std::string_view tensor;
      SLIM_ASSIGN(const bool more, scanner_.NextKey(tensor));
      if (!more) return {};
      SLIM_ASSIGN(const std::string_view file, scanner_.String());
      // Consecutive tensors mostly share a file: check a name once.
      if (index_.files_.empty() || index_.FileOf(index_.weight_map_.back()) != file) {
        if (auto status = CheckPlainFileName(file, ending_); !status.ok())
          return std::move(status).error().WithHint("the index names no file of this directory");
      }
      if (IsInText(tensor)) {
        index_.AddKept(tensor, file);
      } else {
        index_.Add(std::string(tensor), file);
      }
    }
  }

  // A name with escapes has a place of its own in the scanner.
  bool IsInText(std::string_view name) const {
    const std::less_equal<const char*> not_after;
    return not_after(text_->data(), name.data()) &&
           not_after(name.data() + name.size(), text_->data() + text_->size());
  }

  Status ParseMetadata() {
    if (scanner_.NextKind() != "object") return scanner_.SkipValue(kMaxDepth);
    SLIM_TRY(scanner_.BeginObject());
    while (true) {
      std::string_view key;
      SLIM_ASSIGN(const bool more, scanner_.NextKey(key));
      if (!more) return {};
      if (key == "total_size" && scanner_.NextKind() == "number") {
        const JsonScanner before = scanner_;
        if (auto total = scanner_.Unsigned(); total.ok()) {
          index_.total_size = *total;
          continue;
        }
        scanner_ = before;  // some writers store a float: worth no more than a skip
      }
      SLIM_TRY(scanner_.SkipValue(kMaxDepth));
    }
  }

  Status CheckNames() const {
    const auto name_at = [&](uint32_t i) { return index_.weight_map_[i].tensor; };
    const uint32_t repeated = FirstRepeated(index_.weight_map_.size(), name_at);
    if (repeated == NameTable::kNone) return {};
    return InputError("IX-duplicate-key", "occurs twice in the index")
        .WithTensor(name_at(repeated));
  }

  std::string_view ending_;
  std::unique_ptr<const std::string> text_;
  JsonScanner scanner_;
  ShardIndex index_;
};

void ShardIndex::Add(std::string tensor, std::string_view file) {
  AddKept(names_.emplace_back(std::move(tensor)), file);
}

void ShardIndex::AddKept(std::string_view tensor, std::string_view file) {
  // Tensors of one file stand together.
  if (!weight_map_.empty() && FileOf(weight_map_.back()) == file) {
    weight_map_.push_back({tensor, weight_map_.back().file});
    return;
  }
  const auto next = static_cast<uint32_t>(files_.size());
  const uint32_t position =
      by_file_.Insert(file, next, [&](uint32_t i) { return std::string_view(files_[i]); });
  if (position == next) files_.emplace_back(file);
  weight_map_.push_back({tensor, position});
}

Result<ShardIndex> ParseShardIndex(std::string json, std::string_view ending) {
  return ShardIndexParser(std::move(json), ending).Parse();
}

std::string WriteShardIndex(const ShardIndex& index) {
  std::string out = "{\n  \"metadata\": {\n    \"total_size\": ";
  out += std::to_string(index.total_size.value_or(0));
  out += "\n  },\n  \"weight_map\": {";
  for (const ShardIndex::Place& place : index.weight_map()) {
    out += out.back() == '{' ? "\n    " : ",\n    ";
    AppendJsonString(out, place.tensor);
    out += ": ";
    AppendJsonString(out, index.FileOf(place));
  }
  out += index.weight_map().empty() ? "}\n}" : "\n  }\n}";
  return out;
}

}  // namespace slim
