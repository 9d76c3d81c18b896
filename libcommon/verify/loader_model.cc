#include "verify/loader_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "model/modules.h"

namespace slim {
namespace {

struct FusedNames {
  std::string_view fused;
  GroupKind kind;
  std::array<std::string_view, 3> members;
};

// consumers.md 4.3 and 5.2.
constexpr std::array<FusedNames, 6> kFused = {{
    {"qkv_proj", GroupKind::kQkv, {"q_proj", "k_proj", "v_proj"}},
    {"gate_up_proj", GroupKind::kGateUp, {"gate_proj", "up_proj", ""}},
    {"gate_up_proj", GroupKind::kGateUp, {"w1", "w3", ""}},
    {"fused_qkv_a_proj", GroupKind::kOther, {"q_a_proj", "kv_a_proj_with_mqa", ""}},
    {"in_proj", GroupKind::kOther, {"in_proj_qkvz", "in_proj_ba", ""}},
    {"qkv", GroupKind::kQkv, {"q", "k", "v"}},
}};

constexpr std::array<std::string_view, 6> kRowNames = {"o_proj", "down_proj", "w2",
                                                       "dense",  "wo",        "out_proj"};

// "model.layers.3.mlp.experts.17.up_proj" -> "model.layers.3.mlp.experts".
std::string_view ExpertsOf(std::string_view module) {
  constexpr std::string_view kExperts = ".experts.";
  const size_t at = module.find(kExperts);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = module.substr(at + kExperts.size());
  if (rest.empty() || rest.front() < '0' || rest.front() > '9') return {};
  return module.substr(0, at + kExperts.size() - 1);
}

ModuleUse UseOf(std::string_view module, const LayerTensors& layer) {
  const std::string_view leaf = SplitTensorName(module).suffix;
  if (leaf.starts_with("embed") || leaf == "wte") return ModuleUse::kEmbedding;
  if (leaf == "lm_head" || leaf == "head" || leaf == "output") return ModuleUse::kHead;
  if (!ExpertsOf(module).empty()) return ModuleUse::kExpert;
  const TensorEntry* weight = layer[Role::kWeight];
  if (weight != nullptr && weight->shape.size() == 1 && !layer.IsQuantized())
    return ModuleUse::kNorm;
  if (std::find(kRowNames.begin(), kRowNames.end(), leaf) != kRowNames.end())
    return ModuleUse::kRow;
  return ModuleUse::kColumn;
}

void AddKnownModules(LoaderModel& model) {
  for (const Module& module : AllModules(*model.config)) {
    LoaderModule added{.name = module.name, .has_bias = module.has_bias};
    const std::string_view leaf = SplitTensorName(added.name).suffix;
    if (module.kind == ModuleKind::kEmbedding) added.use = ModuleUse::kEmbedding;
    if (module.kind == ModuleKind::kNorm) added.use = ModuleUse::kNorm;
    if (module.kind == ModuleKind::kLinear) {
      added.use = leaf == kLmHeadName ? ModuleUse::kHead
                  : std::find(kRowNames.begin(), kRowNames.end(), leaf) != kRowNames.end()
                      ? ModuleUse::kRow
                      : ModuleUse::kColumn;
    }
    added.n = module.weight_shape[0];
    added.k = module.weight_shape.size() > 1 ? module.weight_shape[1] : 0;
    model.modules.push_back(std::move(added));
  }
}

void AddSeenModules(LoaderModel& model, const VerifyContext& context) {
  for (const LayerTensors& layer : context.layers().layers()) {
    const TensorEntry* weight = layer[Role::kWeight];
    const bool headless = weight == nullptr && layer[Role::kWeightScale] == nullptr &&
                          layer[Role::kDeqScale] == nullptr;
    if (headless || layer.module.empty() || layer.IsNormCopy()) continue;
    if (weight != nullptr && weight->shape.size() > 2) continue;  // convolutions
    LoaderModule added{.name = std::string(layer.module), .use = UseOf(layer.module, layer)};
    if (weight != nullptr && !weight->shape.empty()) {
      added.n = weight->shape[0];
      const bool halved =
          weight->dtype == DType::kU8 && layer.scheme && SchemeWeightBits(*layer.scheme) == 4;
      added.k = weight->shape.size() > 1 ? weight->shape[1] * (halved ? 2 : 1) : 0;
    }
    if (layer.scheme && SchemeWeightBits(*layer.scheme) == 4 && !HasInt8Codes(*layer.scheme) &&
        weight != nullptr && weight->dtype == DType::kI8)
      added.n = added.k = 0;  // two codes a byte: along n or k is the loader's business
    model.modules.push_back(std::move(added));
  }
}

// The group that a module opens or joins, by the last part of its name.
const FusedNames* FusedOf(std::string_view leaf) {
  for (const FusedNames& names : kFused) {
    if (std::find(names.members.begin(), names.members.end(), leaf) != names.members.end())
      return &names;
  }
  return nullptr;
}

void AddGroups(LoaderModel& model) {
  std::map<std::string, size_t, std::less<>> by_name;
  for (size_t i = 0; i < model.modules.size(); ++i) {
    const LoaderModule& module = model.modules[i];
    LoaderGroup group{.name = module.name, .members = {i}};
    if (module.use == ModuleUse::kExpert) {
      group.name = ExpertsOf(module.name);
      group.kind = GroupKind::kExperts;
    } else if (module.use == ModuleUse::kColumn) {
      const TensorNameParts name = SplitTensorName(module.name);
      if (const FusedNames* fused = FusedOf(name.suffix); fused != nullptr) {
        group.name = fmt::format("{}.{}", name.module, fused->fused);
        group.kind = fused->kind;
      }
    } else if (module.use != ModuleUse::kRow) {
      continue;
    }
    const auto [found, fresh] = by_name.try_emplace(group.name, model.groups.size());
    if (fresh) {
      model.groups.push_back(std::move(group));
    } else {
      model.groups[found->second].members.push_back(i);
    }
  }
  for (LoaderGroup& group : model.groups) {
    if (group.kind != GroupKind::kExperts && group.members.size() == 1) {
      group.kind = GroupKind::kSingle;
      group.name = model.modules[group.members.front()].name;
    }
  }
}

}  // namespace

const LoaderModule* LoaderModel::Find(std::string_view name) const {
  const uint32_t found = by_name.Find(name, [&](uint32_t i) { return modules[i].name; });
  return found == NameTable::kNone ? nullptr : &modules[found];
}

std::vector<std::string> FusedWith(std::string_view module) {
  const TensorNameParts name = SplitTensorName(module);
  const FusedNames* fused = FusedOf(name.suffix);
  if (fused == nullptr || !ExpertsOf(module).empty()) return {std::string(module)};
  std::vector<std::string> members;
  for (const std::string_view leaf : fused->members) {
    if (!leaf.empty()) members.push_back(fmt::format("{}.{}", name.module, leaf));
  }
  return members;
}

LoaderModel BuildLoaderModel(const VerifyContext& context) {
  LoaderModel model;
  if (const Json* config = context.checkpoint().config(); config != nullptr) {
    Json sizes = *config;
    sizes.Remove("torch_dtype");  // an unknown dtype is another rule's business
    sizes.Remove("dtype");
    if (auto parsed = ParseModelConfig(sizes); parsed.ok()) model.config = std::move(*parsed);
    if (const Json* tied = config->Find("tie_word_embeddings"); tied != nullptr)
      model.tied_head = tied->AsBool().value_or(false);
    if (const Json* layers = config->Find("num_hidden_layers"); layers != nullptr)
      model.num_layers =
          static_cast<uint64_t>(std::max<int64_t>(0, layers->AsInteger().value_or(0)));
  }
  // Of models with experts, a latent or another tower the loaders' trees are not those of slim.
  if (model.config && model.config->architecture > Architecture::kQwen3) model.config.reset();
  // config.json may claim any number of layers; the tensors bound what is worth building.
  if (model.config && model.config->num_layers > context.checkpoint().tensors().size() + 1)
    model.config.reset();
  if (model.config) {
    model.tied_head = model.config->tie_word_embeddings;
    AddKnownModules(model);
  } else {
    AddSeenModules(model, context);
  }
  for (uint32_t i = 0; i < model.modules.size(); ++i)
    model.by_name.Insert(model.modules[i].name, i,
                         [&](uint32_t at) { return model.modules[at].name; });
  AddGroups(model);
  return model;
}

}  // namespace slim
