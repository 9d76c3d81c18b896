// The quant description (`quant_model_description*.json`): a flat object from tensor name to
// quantization label, with global entries among them. Keeps order, because dialects differ by it.
// Knows no dialect.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/name_table.h"
#include "base/result.h"
#include "json/json.h"

namespace slim {

class QuantDescription {
 public:
  struct Entry {
    std::string key;
    std::string label;                  // of a tensor entry
    std::shared_ptr<const Json> value;  // of a global entry; there are 90 000 entries without one
    bool is_tensor = false;
  };

  // Rules DE-…. Two entries with one key are refused.
  static Result<QuantDescription> Parse(std::string_view json);

  const std::vector<Entry>& entries() const { return entries_; }
  // The label of a tensor, or null.
  const std::string* Label(std::string_view tensor) const;
  // A global such as "model_quant_type", or null.
  const Json* Global(std::string_view key) const;
  // W8A16 layers mean (q + weight_offset) · weight_scale, as vllm-ascend computes, and not the
  // difference: slim-convert --for vllm-ascend writes such checkpoints and says so by this key.
  bool AddsWeightOffset() const;
  // The globals come before the first tensor entry (traditional writers) or after the last
  // (one-click).
  bool GlobalsFirst() const;

  // Without effect where the key is there already.
  void AddTensor(std::string key, std::string label);
  void AddGlobal(std::string key, Json value);

  // Entries in order; two or four spaces a level, no final newline (facts: formats.md 2.2).
  std::string Write(int indent) const;

 private:
  const Entry* Find(std::string_view key) const;
  // The new entry; null where its key is there already.
  Entry* Add(std::string key);

  std::vector<Entry> entries_;
  NameTable by_key_;
};

inline constexpr std::string_view kOffsetAddedKey = "weight_offset_added";

// The keys that describe the checkpoint and not a tensor (facts: formats.md 3.1): "version",
// "model_quant_type", …, also with a prefix as omni models have it ("thinker.version"),
// "<module>.quant_type" and every value that is no string.
bool IsGlobalKey(std::string_view key);

}  // namespace slim
