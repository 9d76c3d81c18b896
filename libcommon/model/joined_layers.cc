// JoinedParts as layers that can be computed.
#include <fmt/format.h>

#include <map>
#include <mutex>
#include <utility>

#include "model/joined_parts.h"

namespace slim {
namespace {

class JoinedLayers : public LayerReader {
 public:
  explicit JoinedLayers(std::unique_ptr<JoinedParts> parts)
      : LayerReader(parts->parts().front()), joined_(std::move(parts)) {}

  Status Open();
  Result<LinearRecord> Read(const LogicalLayer& layer, Parts parts) const override;

 private:
  struct Place {
    const JoinedGroup* group = nullptr;
    size_t member = 0;
  };
  Status AddLinear(const JoinedTensor& weight);
  Result<Tensor> Take(const std::string& tensor) const;

  std::unique_ptr<JoinedParts> joined_;
  std::map<std::string, Place> places_;  // by tensor
  // What was made last of one module: its members are read one after the other.
  mutable std::mutex mutex_;
  mutable const PartModule* held_ = nullptr;
  mutable std::map<const JoinedGroup*, std::vector<Tensor>> held_tensors_;
};

Status JoinedLayers::Open() {
  for (const JoinedGroup& group : joined_->groups()) {
    for (size_t m = 0; m < group.tensors.size(); ++m)
      places_.emplace(group.tensors[m].name, Place{&group, m});
  }
  for (const JoinedGroup& group : joined_->groups()) {
    for (const JoinedTensor& tensor : group.tensors) {
      const auto [module, suffix] = SplitTensorName(tensor.name);
      const auto weight = places_.find(fmt::format("{}.weight", module));
      const bool quantized = weight != places_.end() && group.module->is_linear &&
                             weight->second.group->tensors[weight->second.member].label != "FLOAT";
      if (quantized && group.is_weight) SLIM_TRY(AddLinear(tensor));
      if (quantized) continue;
      LogicalLayer layer = PlainLayer(*tensor.source);
      layer.name = tensor.name;
      layer.part(Role::kWeight) = PartSpec{tensor.dtype, tensor.shape};
      // An embedding, whose rows are read one at a time, is taken from part 0 as it lies there.
      const bool lookup = group.module->axis == SplitAxis::kWhole && tensor.shape.size() == 2;
      if (!lookup) layer.note = "joined";
      layers_.push_back(std::move(layer));
    }
  }
  return {};
}

Status JoinedLayers::AddLinear(const JoinedTensor& weight) {
  LogicalLayer layer;
  layer.name = SplitTensorName(weight.name).module;
  layer.is_linear = true;
  const auto scheme = ParseSchemeLabel(weight.label);
  if (!scheme) {
    return InputError("CK-unknown-label", fmt::format("has the unknown label {}", weight.label))
        .WithTensor(weight.source->name)
        .WithPath(source_.path());
  }
  layer.scheme = *scheme;
  layer.note = "joined";
  for (size_t r = 0; r < kRoleCount; ++r) {
    const auto place = places_.find(fmt::format("{}.{}", layer.name, RoleSuffix(Role(r))));
    if (place == places_.end()) continue;
    const JoinedTensor& part = place->second.group->tensors[place->second.member];
    layer.parts[r] = PartSpec{part.dtype, part.shape};
    layer.sources.push_back(part.source);
  }
  layers_.push_back(std::move(layer));
  return {};
}

Result<Tensor> JoinedLayers::Take(const std::string& tensor) const {
  const Place place = places_.at(tensor);
  const std::lock_guard lock(mutex_);
  if (held_ != place.group->module) held_tensors_.clear();
  held_ = place.group->module;
  auto held = held_tensors_.find(place.group);
  if (held == held_tensors_.end() || held->second[place.member].empty()) {
    SLIM_ASSIGN(std::vector<Tensor> made, joined_->Make(*place.group));
    held = held_tensors_.insert_or_assign(place.group, std::move(made)).first;
  }
  return std::exchange(held->second[place.member], Tensor());
}

Result<LinearRecord> JoinedLayers::Read(const LogicalLayer& layer, Parts parts) const {
  LinearRecord record;
  record.name = layer.name;
  record.scheme = layer.scheme;
  for (size_t r = 0; r < kRoleCount; ++r) {
    const auto role = static_cast<Role>(r);
    if (!layer.parts[r] || (role == Role::kWeight && parts == Parts::kAllButWeight)) continue;
    const std::string name =
        layer.is_linear ? fmt::format("{}.{}", layer.name, RoleSuffix(role)) : layer.name;
    SLIM_ASSIGN(record.parts[r], Take(name));
  }
  return record;
}

}  // namespace

Result<std::unique_ptr<LayerReader>> ReadJoinedLayers(std::unique_ptr<JoinedParts> parts) {
  auto reader = std::make_unique<JoinedLayers>(std::move(parts));
  SLIM_TRY(reader->Open());
  return std::unique_ptr<LayerReader>(std::move(reader));
}

}  // namespace slim
