#include "verify/layer_tensors.h"

#include <map>

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

LayerTable::LayerTable(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {
  const auto& tensors = checkpoint.tensors();
  ReadLabels();
  by_module_.Reserve(tensors.size() / 2);
  layers_.reserve(tensors.size() / 2);
  for (const TensorEntry& entry : tensors) {
    const TensorNameParts name = SplitTensorName(entry.name);
    const auto next = static_cast<uint32_t>(layers_.size());
    const uint32_t position =
        by_module_.Insert(name.module, next, [&](uint32_t i) { return layers_[i].module; });
    if (position == next) layers_.emplace_back().module = name.module;
    LayerTensors& layer = layers_[position];
    const auto role = ParseRole(name.suffix);
    if (!role) {
      layer.others.push_back(&entry);
      continue;
    }
    layer.parts[static_cast<size_t>(*role)] = &entry;
    if (*role == Role::kWeight) layer.label = LabelOf(entry);
  }
  std::map<std::string_view, std::optional<LabelMeaning>> meanings;
  for (LayerTensors& layer : layers_) {
    if (checkpoint.description() == nullptr) layer.scheme = Scheme::kFloat;
    if (layer.label == nullptr) continue;
    const auto [found, fresh] = meanings.try_emplace(*layer.label);
    if (fresh) found->second = MeaningOf(*layer.label);
    if (found->second) layer.scheme = found->second->scheme;
    const TensorEntry* weight = layer[Role::kWeight];
    if (layer.scheme == Scheme::kW8A8SC && weight != nullptr && weight->shape.size() == 2)
      layer.scheme = Scheme::kW8A8S;  // not compressed (LIN-sparse-label)
  }
}

void LayerTable::ReadLabels() {
  const auto& tensors = checkpoint_.tensors();
  labels_.resize(tensors.size());
  if (checkpoint_.description() == nullptr) return;
  for (const QuantDescription::Entry& entry : checkpoint_.description()->entries()) {
    if (!entry.is_tensor) continue;
    const TensorEntry* tensor = checkpoint_.Find(entry.key);
    if (tensor == nullptr) {
      without_tensor_.push_back(&entry);
    } else {
      labels_[static_cast<size_t>(tensor - tensors.data())] = &entry.label;
    }
  }
}

const LayerTensors* LayerTable::Find(std::string_view module) const {
  const uint32_t found = by_module_.Find(module, [&](uint32_t i) { return layers_[i].module; });
  return found == NameTable::kNone ? nullptr : &layers_[found];
}

const std::string* LayerTable::LabelOf(const TensorEntry& entry) const {
  return labels_[static_cast<size_t>(&entry - checkpoint_.tensors().data())];
}

}  // namespace slim
