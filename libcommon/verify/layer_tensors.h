// The tensors of a checkpoint by module, with the labels of the description: the view that rules
// about layers work on. Reads nothing beyond what the open checkpoint holds.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "base/name_table.h"
#include "checkpoint/checkpoint.h"
#include "linear/scheme.h"

namespace slim {

class ThreadPool;

struct LayerTensors {
  std::string_view module;                             // "model.layers.0.self_attn.q_proj"
  std::array<const TensorEntry*, kRoleCount> parts{};  // null where absent
  std::vector<const TensorEntry*> others;              // suffixes that are no Role
  const std::string* label = nullptr;                  // of .weight
  std::optional<Scheme> scheme;  // of the label; FLOAT without a description; empty when unknown

  const TensorEntry* operator[](Role role) const { return parts[static_cast<size_t>(role)]; }
  // A type other than FLOAT whose tensors rules know.
  bool IsQuantized() const { return scheme && *scheme != Scheme::kFloat; }
  // "….input_layernorm.module": the copy that traditional writers put beside a smoothed norm.
  bool IsNormCopy() const { return module.ends_with(".module"); }
};

class LayerTable {
 public:
  // `checkpoint` must outlive the table, which does not depend on the number of threads.
  LayerTable(const Checkpoint& checkpoint, ThreadPool& pool);

  const std::vector<LayerTensors>& layers() const { return layers_; }  // by first tensor
  const LayerTensors* Find(std::string_view module) const;
  // The description's label of a tensor, or null; by its position in Checkpoint::tensors().
  const std::string* LabelOf(const TensorEntry& entry) const;
  // Entries of the description that no tensor has.
  const std::vector<const QuantDescription::Entry*>& without_tensor() const {
    return without_tensor_;
  }

 private:
  void ReadLabels();
  void GroupTensors();
  void LabelLayers();

  const Checkpoint& checkpoint_;
  std::vector<const std::string*> labels_;  // parallel to Checkpoint::tensors()
  std::vector<LayerTensors> layers_;
  NameTable by_module_;
  std::vector<const QuantDescription::Entry*> without_tensor_;
};

// The type of a label, wrappers taken off: "W4A4_FLATQUANT_DYNAMIC" is a type of its own,
// "W8A8_SVD" is W8A8 with extra tensors (facts: formats.md 4.2). Empty when unknown.
struct LabelMeaning {
  Scheme scheme = Scheme::kFloat;
  bool wrapped = false;  // FlatQuant or SVD around the type: more tensors than the type has
};
std::optional<LabelMeaning> MeaningOf(std::string_view label);

}  // namespace slim
