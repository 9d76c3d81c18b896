// Rules about what loaders fuse (q/k/v, gate/up) and about the copies of norms that traditional
// writers keep.
#include <fmt/format.h>

#include <cmath>

#include "base/text.h"
#include "model/fused_linears.h"
#include "verify/context.h"

namespace slim {
namespace {

using Group = std::vector<const LayerTensors*>;

// The members of the group that `first` opens; empty unless its name is the first of a group.
Group GroupOf(const LayerTable& layers, const LayerTensors& first) {
  const TensorNameParts name = SplitTensorName(first.module);
  const auto names = FusedLinears(name.suffix);
  if (names.empty() || name.suffix != names.front()) return {};
  Group group = {&first};
  for (const std::string_view other : names.subspan(1)) {
    const LayerTensors* member = name.module.empty()
                                     ? layers.Find(other)
                                     : layers.Find(fmt::format("{}.{}", name.module, other));
    if (member != nullptr && (*member)[Role::kWeight] != nullptr) group.push_back(member);
  }
  return group;
}

void CheckTypes(VerifyContext& context, const Group& group) {
  for (const LayerTensors* member : group) {
    if (member->label == nullptr || group.front()->label == nullptr) continue;  // DE-missing-entry
    if (*member->label == *group.front()->label) continue;
    context.Report("FUSE-mixed-types",
                   {.tensor = (*member)[Role::kWeight]->name,
                    .found = *member->label,
                    .wanted = *group.front()->label,
                    .message = fmt::format("is {}, {} beside it is {}", *member->label,
                                           Quote((*group.front())[Role::kWeight]->name),
                                           *group.front()->label)});
  }
}

// As torch.allclose with its defaults, which MindIE uses.
bool AllClose(double a, double b) { return std::abs(a - b) <= 1e-8 + 1e-5 * std::abs(b); }

// The single value of a tensor of one element; empty when it is none or cannot be read.
std::optional<double> ReadOne(const VerifyContext& context, const TensorEntry* entry) {
  if (entry == nullptr || ElementCount(entry->shape) != 1U || entry->size > 8) return {};
  const auto tensor = context.checkpoint().Read(*entry);
  if (!tensor.ok()) {
    context.NoteFailure(tensor.error());
    return {};
  }
  return ElementAsDouble(tensor->view(), 0);
}

void CheckInputs(VerifyContext& context, const Group& group) {
  for (const Role role : {Role::kInputScale, Role::kInputOffset}) {
    const auto wanted = ReadOne(context, (*group.front())[role]);
    if (!wanted) continue;
    for (const LayerTensors* member : group) {
      if (member == group.front()) continue;
      const auto found = ReadOne(context, (*member)[role]);
      if (!found || AllClose(*found, *wanted)) continue;
      context.Report("FUSE-input-scale",
                     {.tensor = (*member)[role]->name,
                      .found = fmt::format("{}", *found),
                      .wanted = fmt::format("{}", *wanted),
                      .message = fmt::format("is {}, {} is {}", *found,
                                             Quote((*group.front())[role]->name), *wanted)});
    }
  }
}

// "….input_layernorm.module.weight" copies "….input_layernorm.weight" (formats.md 5.1).
std::string StoredAs(const TensorEntry& entry) {
  return fmt::format("{} {}", DTypeName(entry.dtype), ShapeText(entry.shape));
}

void CheckNormCopy(VerifyContext& context, const LayerTensors& copy) {
  const std::string_view module = copy.module.substr(0, copy.module.rfind('.'));
  const LayerTensors* norm = context.layers().Find(module);
  for (const Role role : {Role::kWeight, Role::kBias}) {
    const TensorEntry* entry = copy[role];
    if (entry == nullptr) continue;
    context.Report("NORM-copy-foreign",
                   {.tensor = entry->name,
                    .message = fmt::format("is a copy of a norm, which {} does not have",
                                           context.checkpoint().traits().name)});
    const TensorEntry* original = norm == nullptr ? nullptr : (*norm)[role];
    if (original == nullptr && context.incomplete()) continue;
    const std::string found = StoredAs(*entry);
    const std::string wanted = original == nullptr ? "" : StoredAs(*original);
    if (found == wanted) continue;
    context.Report(
        "NORM-copy-orphan",
        {.tensor = entry->name,
         .found = found,
         .wanted = wanted,
         .message = original == nullptr
                        ? fmt::format("copies {}.{}, which is not there", module, RoleSuffix(role))
                        : fmt::format("is {}, {} is {}", found, Quote(original->name), wanted)});
  }
}

}  // namespace

void CheckFusedGroups(VerifyContext& context) {
  if (!context.HasPlainTensors() || context.description() == nullptr) return;
  for (const LayerTensors& layer : context.layers().layers()) {
    if (layer.IsNormCopy()) CheckNormCopy(context, layer);
    if (layer[Role::kWeight] == nullptr) continue;
    const Group group = GroupOf(context.layers(), layer);
    if (group.size() < 2) continue;
    CheckTypes(context, group);
    CheckInputs(context, group);
  }
}

}  // namespace slim
