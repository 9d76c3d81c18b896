// The model as loaders build it: modules with their sizes where config.json's architecture is known
// here, else as the tensors show them, and the groups that loaders fuse into one parameter. Knows
// no loader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/name_table.h"
#include "model/model_config.h"
#include "verify/context.h"

namespace slim {

enum class ModuleUse : uint8_t { kEmbedding, kHead, kNorm, kColumn, kRow, kExpert };

struct LoaderModule {
  std::string name;
  ModuleUse use = ModuleUse::kColumn;
  uint64_t n = 0;  // rows, for a norm its size; 0: unknown
  uint64_t k = 0;
  std::optional<bool> has_bias = {};  // of the architecture
};

enum class GroupKind : uint8_t { kSingle, kQkv, kGateUp, kOther, kExperts };

// Linears that become one parameter; a linear by itself is a group of one.
struct LoaderGroup {
  std::string name;  // "model.layers.0.self_attn.qkv_proj"
  GroupKind kind = GroupKind::kSingle;
  std::vector<size_t> members;  // of LoaderModel::modules; of experts: expert by expert
};

struct LoaderModel {
  std::optional<ModelConfig> config;  // empty: the architecture is not known here
  bool tied_head = false;
  uint64_t num_layers = 0;  // of config.json; 0: unknown
  std::vector<LoaderModule> modules;
  std::vector<LoaderGroup> groups;  // of linears and experts only

  const LoaderModule* Find(std::string_view name) const;
  bool known() const { return config.has_value(); }

  NameTable by_name;
};

// The modules that loaders fuse with this one, itself among them, by the last part of its name; the
// module alone where nothing is fused with it.
std::vector<std::string> FusedWith(std::string_view module);

LoaderModel BuildLoaderModel(const VerifyContext& context);

}  // namespace slim
