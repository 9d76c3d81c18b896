#include "checkpoint/quant_description.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "json/scanner.h"

namespace slim {
namespace {

constexpr int kMaxDepth = 16;
constexpr size_t kShortEntryBytes = 64;  // of text: name, label, white space

constexpr std::array<std::string_view, 14> kGlobalKeys = {
    "version",       "model_quant_type",   "metadata",      "group_size",        "optional",
    "kv_cache_type", "kv_quant_type",      "fa_quant_type", "reduce_quant_type", "is_rot_used",
    "is_nzcasted",   "indexer_quant_type", "quantize",      "AtlasGMMPermute"};

std::string_view KeyOf(const QuantDescription::Entry& entry) { return entry.key; }

}  // namespace

bool IsGlobalKey(std::string_view key) {
  const size_t dot = key.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? key : key.substr(dot + 1);
  if (last == "quant_type") return true;
  if (std::find(kGlobalKeys.begin(), kGlobalKeys.end(), last) == kGlobalKeys.end()) return false;
  // "thinker.version" is a global with a model prefix; "model.layers.0.metadata" would be a tensor.
  return dot == std::string_view::npos || key.find('.') == dot;
}

Result<QuantDescription> QuantDescription::Parse(std::string_view json) {
  JsonScanner scanner(json);
  SLIM_TRY(scanner.Start());
  SLIM_TRY(scanner.BeginObject());
  QuantDescription description;
  description.entries_.reserve(json.size() / kShortEntryBytes);
  description.by_key_.Reserve(json.size() / kShortEntryBytes);
  while (true) {
    std::string_view key;
    SLIM_ASSIGN(const bool more, scanner.NextKey(key));
    if (!more) break;
    Entry* entry = description.Add(std::string(key));
    if (entry == nullptr)
      return scanner.Fail("DE-duplicate-key", "occurs twice in the description").WithTensor(key);
    if (scanner.NextKind() == "string" && !IsGlobalKey(key)) {
      SLIM_ASSIGN(entry->label, scanner.String());
      entry->is_tensor = true;
      continue;
    }
    const uint64_t begin = scanner.offset();
    SLIM_TRY(scanner.SkipValue(kMaxDepth));
    SLIM_ASSIGN(Json value, ParseJson(json.substr(begin, scanner.offset() - begin)));
    entry->value = std::make_shared<const Json>(std::move(value));
  }
  SLIM_TRY(scanner.End());
  return description;
}

const QuantDescription::Entry* QuantDescription::Find(std::string_view key) const {
  const uint32_t found = by_key_.Find(key, [&](uint32_t i) { return KeyOf(entries_[i]); });
  return found == NameTable::kNone ? nullptr : &entries_[found];
}

const std::string* QuantDescription::Label(std::string_view tensor) const {
  const Entry* entry = Find(tensor);
  return entry == nullptr || !entry->is_tensor ? nullptr : &entry->label;
}

const Json* QuantDescription::Global(std::string_view key) const {
  const Entry* entry = Find(key);
  return entry == nullptr || entry->is_tensor ? nullptr : entry->value.get();
}

bool QuantDescription::AddsWeightOffset() const {
  const Json* added = Global(kOffsetAddedKey);
  return added != nullptr && added->AsBool() == true;
}

bool QuantDescription::GlobalsFirst() const {
  return !entries_.empty() && !entries_.front().is_tensor;
}

QuantDescription::Entry* QuantDescription::Add(std::string key) {
  const auto position = static_cast<uint32_t>(entries_.size());
  entries_.push_back({std::move(key), "", nullptr, false});
  const uint32_t twin =
      by_key_.Insert(entries_.back().key, position, [&](uint32_t i) { return KeyOf(entries_[i]); });
  if (twin == position) return &entries_.back();
  entries_.pop_back();
  return nullptr;
}

void QuantDescription::AddTensor(std::string key, std::string label) {
  Entry* entry = Add(std::move(key));
  if (entry == nullptr) return;
  entry->label = std::move(label);
  entry->is_tensor = true;
}

void QuantDescription::AddGlobal(std::string key, Json value) {
  Entry* entry = Add(std::move(key));
  if (entry != nullptr) entry->value = std::make_shared<const Json>(std::move(value));
}

std::string QuantDescription::Write(int indent) const {
  std::string out = "{";
  const std::string margin(static_cast<size_t>(indent), ' ');
  for (size_t i = 0; i < entries_.size(); ++i) {
    out += i == 0 ? "\n" : ",\n";
    out += margin;
    AppendJsonString(out, entries_[i].key);
    out += ": ";
    if (entries_[i].is_tensor) {
      AppendJsonString(out, entries_[i].label);
      continue;
    }
    for (const char c : DumpJson(*entries_[i].value, {.indent = indent})) {
      out += c;
      if (c == '\n') out += margin;
    }
  }
  out += entries_.empty() ? "}" : "\n}";
  return out;
}

}  // namespace slim
