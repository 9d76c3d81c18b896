#include "convert/edges.h"

#include <algorithm>

namespace slim {
namespace {

constexpr std::string_view kSame = "order, sharding and headers as the writer has them";
constexpr std::string_view kToFloat = "float checkpoints only: hf has no quantized layers";
constexpr std::string_view kFromFloat = "every tensor is labelled FLOAT";
constexpr std::string_view kAddsCopies =
    "names; 'quantize' in config.json; norms with a bias get their .module copies";
constexpr std::string_view kDropsCopies =
    "names; .module copies of norms are dropped when equal, refused when not";
constexpr std::string_view kNames = "names and order";

constexpr Edge kEdges[] = {
    {Dialect::kHf, Dialect::kHf, LossClass::kExact, kSame},
    {Dialect::kHf, Dialect::kAscendV1, LossClass::kExact, kFromFloat},
    {Dialect::kHf, Dialect::kAscendV1V0, LossClass::kExact, kFromFloat},
    {Dialect::kHf, Dialect::kMindIE, LossClass::kExact, kFromFloat},
    {Dialect::kAscendV1, Dialect::kHf, LossClass::kExact, kToFloat},
    {Dialect::kAscendV1, Dialect::kAscendV1, LossClass::kExact, kSame},
    {Dialect::kAscendV1, Dialect::kAscendV1V0, LossClass::kExact, kNames},
    {Dialect::kAscendV1, Dialect::kMindIE, LossClass::kExact, kAddsCopies},
    {Dialect::kAscendV1V0, Dialect::kHf, LossClass::kExact, kToFloat},
    {Dialect::kAscendV1V0, Dialect::kAscendV1, LossClass::kExact, kNames},
    {Dialect::kAscendV1V0, Dialect::kAscendV1V0, LossClass::kExact, kSame},
    {Dialect::kAscendV1V0, Dialect::kMindIE, LossClass::kExact, kAddsCopies},
    {Dialect::kMindIE, Dialect::kHf, LossClass::kExact, kToFloat},
    {Dialect::kMindIE, Dialect::kAscendV1, LossClass::kExact, kDropsCopies},
    {Dialect::kMindIE, Dialect::kAscendV1V0, LossClass::kExact, kDropsCopies},
    {Dialect::kMindIE, Dialect::kMindIE, LossClass::kExact, kSame},
};

constexpr unsigned Bit(Dialect dialect) { return 1U << static_cast<unsigned>(dialect); }
constexpr unsigned kQuantized =
    Bit(Dialect::kAscendV1) | Bit(Dialect::kAscendV1V0) | Bit(Dialect::kMindIE);

// Dialects in which a type has one and the same form. Not here: types that one writer packs and
// another does not (W4A16, W4A8_DYNAMIC), and those that no writer of the other dialect has: W8A8S
// in ascendv1, W8A8_MIX in mindie, whose writer relabels it W8A8 (facts: formats.md 5.1 and 13.4).
struct SchemeRow {
  Scheme scheme;
  unsigned dialects;
  bool is_static;  // has activation tensors
};
constexpr SchemeRow kSchemes[] = {
    {Scheme::kFloat, Bit(Dialect::kHf) | kQuantized, false},
    {Scheme::kW8A8, kQuantized, true},
    {Scheme::kW8A8Dynamic, kQuantized, false},
    {Scheme::kW8A8Mix, Bit(Dialect::kAscendV1) | Bit(Dialect::kAscendV1V0), true},
    {Scheme::kW8A16, kQuantized, false},
    {Scheme::kW8A8S, Bit(Dialect::kAscendV1V0) | Bit(Dialect::kMindIE), true},
};

const SchemeRow* RowOf(Scheme scheme) {
  const auto* row = std::find_if(std::begin(kSchemes), std::end(kSchemes),
                                 [&](const SchemeRow& r) { return r.scheme == scheme; });
  return row == std::end(kSchemes) ? nullptr : row;
}

}  // namespace

std::string_view LossClassName(LossClass loss) {
  switch (loss) {
    case LossClass::kExact:
      return "exact";
    case LossClass::kNear:
      return "near";
    case LossClass::kRequantized:
      return "requantized";
  }
  return "exact";
}

std::span<const Edge> Edges() { return kEdges; }

const Edge& EdgeOf(Dialect from, Dialect to) {
  return *std::find_if(std::begin(kEdges), std::end(kEdges),
                       [&](const Edge& edge) { return edge.from == from && edge.to == to; });
}

std::string_view DialectName(Dialect dialect) { return TraitsOf(dialect).name; }
std::string_view DialectSummary(Dialect dialect) { return TraitsOf(dialect).summary; }

std::vector<Dialect> AllDialects() {
  std::vector<Dialect> all;
  for (const DialectTraits& traits : Dialects()) all.push_back(traits.dialect);
  return all;
}

bool SchemeTravels(Scheme scheme, Dialect from, Dialect to) {
  const SchemeRow* row = RowOf(scheme);
  return row != nullptr && (row->dialects & Bit(from)) != 0 && (row->dialects & Bit(to)) != 0;
}

std::vector<std::string> SchemesOf(Dialect from, Dialect to) {
  std::vector<std::string> labels;
  for (const SchemeRow& row : kSchemes) {
    if (SchemeTravels(row.scheme, from, to)) labels.emplace_back(SchemeLabel(row.scheme));
  }
  return labels;
}

bool SchemeHasRole(Scheme scheme, Role role) {
  const SchemeRow* row = RowOf(scheme);
  if (row == nullptr) return false;
  switch (role) {
    case Role::kInputScale:
    case Role::kInputOffset:
    case Role::kQuantBias:
    case Role::kDeqScale:
      return row->is_static;
    default:
      return true;
  }
}

}  // namespace slim
