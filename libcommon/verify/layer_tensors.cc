#include "verify/layer_tensors.h"

#include <map>

#include "parallel/thread_pool.h"

namespace slim {

std::optional<LabelMeaning> MeaningOf(std::string_view label) {
  if (const auto scheme = ParseSchemeLabel(label)) return LabelMeaning{*scheme, false};
  std::string plain(label);
  for (const std::string_view wrapper : {"_FLATQUANT", "_SVD"}) {
    const size_t at = plain.find(wrapper);
    if (at == std::string::npos) continue;
    plain.erase(at, wrapper.size());
    if (const auto scheme = ParseSchemeLabel(plain)) return LabelMeaning{*scheme, true};
  }
  return std::nullopt;
}

LayerTable::LayerTable(const Checkpoint& checkpoint, ThreadPool& pool) : checkpoint_(checkpoint) {
  pool.ParallelFor(2, 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      if (i == 0) {
        GroupTensors();
      } else {
        ReadLabels();
      }
    }
  });
  LabelLayers();
}

void LayerTable::GroupTensors() {
  const auto& tensors = checkpoint_.tensors();
  by_module_.Reserve(tensors.size() / 2);
  layers_.reserve(tensors.size() / 2);
  for (const TensorEntry& entry : tensors) {
    const TensorNameParts name = SplitTensorName(entry.name);
    const auto next = static_cast<uint32_t>(layers_.size());
    const uint32_t position =
        by_module_.Insert(name.module, next, [&](uint32_t i) { return layers_[i].module; });
    if (position == next) layers_.emplace_back().module = name.module;
    LayerTensors& layer = layers_[position];
    if (const auto role = ParseRole(name.suffix)) {
      layer.parts[static_cast<size_t>(*role)] = &entry;
    } else {
      layer.others.push_back(&entry);
    }
  }
}

void LayerTable::LabelLayers() {
  std::map<std::string_view, std::optional<LabelMeaning>> meanings;
  for (LayerTensors& layer : layers_) {
    if (checkpoint_.description() == nullptr) layer.scheme = Scheme::kFloat;
    const TensorEntry* weight = layer[Role::kWeight];
    if (weight != nullptr) layer.label = LabelOf(*weight);
    if (layer.label == nullptr) continue;
    const auto [found, fresh] = meanings.try_emplace(*layer.label);
    if (fresh) found->second = MeaningOf(*layer.label);
    if (found->second) layer.scheme = found->second->scheme;
    if (layer.scheme == Scheme::kW8A8SC && weight != nullptr && weight->shape.size() == 2)
      layer.scheme = Scheme::kW8A8S;  // not compressed (LIN-sparse-label)
  }
}

void LayerTable::ReadLabels() {
  const auto& tensors = checkpoint_.tensors();
  labels_.resize(tensors.size());
  if (checkpoint_.description() == nullptr) return;
  const auto& entries = checkpoint_.description()->entries();
  const auto keep = [&](size_t i, const TensorEntry* tensor) {
    if (!entries[i].is_tensor) return;
    if (tensor == nullptr) {
      without_tensor_.push_back(&entries[i]);
    } else {
      labels_[static_cast<size_t>(tensor - tensors.data())] = &entries[i].label;
    }
  };
  checkpoint_.FindEach(
      entries.size(), [&](size_t i) { return std::string_view(entries[i].key); }, keep);
}

const LayerTensors* LayerTable::Find(std::string_view module) const {
  const uint32_t found = by_module_.Find(module, [&](uint32_t i) { return layers_[i].module; });
  return found == NameTable::kNone ? nullptr : &layers_[found];
}

const std::string* LayerTable::LabelOf(const TensorEntry& entry) const {
  return labels_[static_cast<size_t>(&entry - checkpoint_.tensors().data())];
}

}  // namespace slim
