// The conversions there are, as tables: which dialect leads to which, with what loss, and which
// quantization types take an edge. What slim-convert --list prints is what the planner obeys.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/dialects/dialect.h"
#include "linear/scheme.h"

namespace slim {

// What happens to the numbers. Exact: back and forth gives the same bytes. Near: values are rounded
// to another dtype; the codes stay. Requantized: codes are computed anew.
enum class LossClass : uint8_t { kExact, kNear, kRequantized };
std::string_view LossClassName(LossClass loss);  // "exact"

struct Edge {
  Dialect from;
  Dialect to;
  LossClass loss;         // unless --dtype rounds
  std::string_view what;  // what changes and what does not pass, one line
  // By layers: the types that take the edge. Empty: those with the same tensors on both sides.
  std::span<const Scheme> schemes = {};
};

// By `from`, then `to`, in the order of Dialects(); the cells there are.
std::span<const Edge> Edges();
// Null where there is none.
const Edge* FindEdge(Dialect from, Dialect to);
// CV-no-edge, naming what leads there through another dialect, or what there is from here.
Error NoEdge(Dialect from, Dialect to);
// NoEdge() where there is none; foreign dialects become hf by --dequantize only.
Status CheckEdge(Dialect from, Dialect to, bool dequantize);

std::string_view DialectName(Dialect dialect);  // "ascendv1-v0"
std::string_view DialectSummary(Dialect dialect);
std::vector<Dialect> AllDialects();

// Whether a layer of this type has a form in both dialects.
bool SchemeTravels(Scheme scheme, Dialect from, Dialect to);
// Labels that take the edge, in the order of the scheme table.
std::vector<std::string> SchemesOf(Dialect from, Dialect to);
// Whether a tensor of this suffix belongs to a layer of the type; types whose tensors slim does not
// look into have any.
bool SchemeHasSuffix(Scheme scheme, std::string_view suffix);

}  // namespace slim
