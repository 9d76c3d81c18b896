#include "linear/scheme.h"

#include <iterator>

namespace slim {
namespace {

struct SchemeRow {
  std::string_view label;
  std::string_view name;
  uint32_t bits;
  bool codes;
};

constexpr SchemeRow kSchemes[] = {
#define SLIM_SCHEME(enumerator, label, name, bits, codes) {label, name, bits, codes},
#include "linear/scheme.def"
#undef SLIM_SCHEME
};

constexpr std::string_view kRoles[] = {
#define SLIM_ROLE(enumerator, suffix) suffix,
#include "linear/role.def"
#undef SLIM_ROLE
};

const SchemeRow& Row(Scheme scheme) { return kSchemes[static_cast<size_t>(scheme)]; }

}  // namespace

std::string_view SchemeLabel(Scheme scheme) { return Row(scheme).label; }
std::string_view SchemeName(Scheme scheme) { return Row(scheme).name; }
uint32_t SchemeWeightBits(Scheme scheme) { return Row(scheme).bits; }
bool HasInt8Codes(Scheme scheme) { return Row(scheme).codes; }

std::optional<Scheme> ParseSchemeLabel(std::string_view label) {
  for (size_t i = 0; i < std::size(kSchemes); ++i) {
    if (kSchemes[i].label == label) return static_cast<Scheme>(i);
  }
  return std::nullopt;
}

std::optional<Scheme> ParseSchemeName(std::string_view name) {
  for (size_t i = 0; i < std::size(kSchemes); ++i) {
    if (kSchemes[i].name == name) return static_cast<Scheme>(i);
  }
  return std::nullopt;
}

std::string_view RoleSuffix(Role role) { return kRoles[static_cast<size_t>(role)]; }

std::optional<Role> ParseRole(std::string_view suffix) {
  for (size_t i = 0; i < std::size(kRoles); ++i) {
    if (kRoles[i] == suffix) return static_cast<Role>(i);
  }
  return std::nullopt;
}

TensorNameParts SplitTensorName(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return {{}, name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

}  // namespace slim
