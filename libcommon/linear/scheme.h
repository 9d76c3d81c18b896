// The quantization types (schemes) and the tensor roles of a linear layer, as tables. Arithmetic is
// in one pair of files a scheme; names of files and orders of tensors belong to the dialects.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace slim {

enum class Scheme : uint8_t {
#define SLIM_SCHEME(enumerator, label, name, bits, codes) enumerator,
#include "linear/scheme.def"
#undef SLIM_SCHEME
};

inline constexpr size_t kSchemeCount = 0
#define SLIM_SCHEME(enumerator, label, name, bits, codes) +1
#include "linear/scheme.def"
#undef SLIM_SCHEME
    ;

std::string_view SchemeLabel(Scheme scheme);  // "W8A8_DYNAMIC"
std::string_view SchemeName(Scheme scheme);   // "w8a8_dynamic"
uint32_t SchemeWeightBits(Scheme scheme);
bool HasInt8Codes(Scheme scheme);
std::optional<Scheme> ParseSchemeLabel(std::string_view label);
// By lower-case name, as on the command line and in file names.
std::optional<Scheme> ParseSchemeName(std::string_view name);

enum class Role : uint8_t {
#define SLIM_ROLE(enumerator, suffix) enumerator,
#include "linear/role.def"
#undef SLIM_ROLE
};
inline constexpr size_t kRoleCount = 0
#define SLIM_ROLE(enumerator, suffix) +1
#include "linear/role.def"
#undef SLIM_ROLE
    ;

std::string_view RoleSuffix(Role role);  // "input_scale"
std::optional<Role> ParseRole(std::string_view suffix);

// "model.layers.0.mlp.up_proj.weight" -> {"model.layers.0.mlp.up_proj", "weight"}; an undotted name
// has no module.
struct TensorNameParts {
  std::string_view module;
  std::string_view suffix;
};
TensorNameParts SplitTensorName(std::string_view name);

}  // namespace slim
