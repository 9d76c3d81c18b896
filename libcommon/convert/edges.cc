#include "convert/edges.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace slim {
namespace {

constexpr std::string_view kSame = "order, sharding and headers as the writer has them";
constexpr std::string_view kToFloat = "float checkpoints only: hf has no quantized layers";
constexpr std::string_view kFromFloat = "every tensor is labelled FLOAT";
constexpr std::string_view kAddsCopies =
    "names; 'quantize' in config.json; norms with a bias get their .module copies; int4 is "
    "unpacked; W8A8_MIX is labelled W8A8";
constexpr std::string_view kDropsCopies =
    "names; .module copies of norms are dropped when equal, refused when not; int4 is packed; "
    "W8A8_MIX is labelled by quantization_config.pdmix";
constexpr std::string_view kToParts =
    "--tp N: split for N ranks, q/k/v and gate/up fused, sparse weights compressed; float16 only, "
    "scales become F16";
constexpr std::string_view kFromParts = "ranks joined, layers taken apart, weights unpacked";
constexpr std::string_view kNames = "names and order";

constexpr std::string_view kDequantized = "with --dequantize: codes times scales, rounded once";
constexpr std::string_view kCodes = "codes and scales as they are, scales widened to F32";
constexpr std::string_view kRequantized =
    "FP8 blocks are quantized anew to W8A8_DYNAMIC; the receipt has the SQNR of each weight";
constexpr std::string_view kToCt =
    "int-quantized; static layers get the weight_scale that their deq_scale implies";
constexpr std::string_view kToGguf =
    "one model.gguf: float tensors as they are, vectors widened to F32";
constexpr std::string_view kCodesToGguf =
    "int8 codes as Q8_0, each block with its row's scale rounded to F16";
constexpr std::string_view kFromGguf =
    "llama.cpp's names and row order undone, vectors in the model's dtype where they fit; Q8_0 "
    "with "
    "--dequantize";
constexpr std::string_view kGgufCodes =
    "Q8_0 as W8A16, one scale a row where the blocks agree, else groups of 32, which no loader "
    "reads; embeddings are dequantized";
constexpr std::string_view kFromTorch = "tensors as they are, views and tied ones as copies";
constexpr std::string_view kToNpy =
    "one file a kind of tensor; the type goes into 'quantize' of config.json; no layer may have a "
    "bias beside its weight";
constexpr std::string_view kFromNpy =
    "types by what each layer has and by 'quantize' in config.json";
constexpr std::string_view kToGptq = "8 bits, version 1; scales are rounded to F16";

constexpr Scheme kCtSchemes[] = {Scheme::kFloat, Scheme::kW8A8,  Scheme::kW8A8Dynamic,
                                 Scheme::kW8A16, Scheme::kW4A16, Scheme::kWFP8AFP8Dynamic};
constexpr std::string_view kFromGoldenStick =
    "codes and scales as they are; quant_bias computed anew, with the float bias folded in";
constexpr std::string_view kToGoldenStick =
    "codes and scales as they are; a bias leaves quant_bias, where its rounding may be lost";
constexpr Scheme kGoldenStick[] = {Scheme::kFloat, Scheme::kW8A8, Scheme::kW8A8Dynamic,
                                   Scheme::kW8A16, Scheme::kW4A16};
constexpr Scheme kNpyTypes[] = {Scheme::kFloat, Scheme::kW8A8, Scheme::kW8A8Dynamic,
                                Scheme::kW8A16};
constexpr Scheme kGgufRead[] = {Scheme::kFloat, Scheme::kW8A16};
constexpr Scheme kFloatsOnly[] = {Scheme::kFloat};
constexpr Scheme kGgufWritten[] = {Scheme::kFloat, Scheme::kW8A8, Scheme::kW8A8Dynamic,
                                   Scheme::kW8A16};
constexpr Scheme kWeightOnly[] = {Scheme::kFloat, Scheme::kW8A16, Scheme::kW4A16};
constexpr Scheme kInt4Only[] = {Scheme::kFloat, Scheme::kW4A16};
constexpr Scheme kFp8Only[] = {Scheme::kFloat, Scheme::kWFP8AFP8Dynamic};
constexpr Scheme kInt8Activations[] = {Scheme::kFloat, Scheme::kW8A8, Scheme::kW8A8Dynamic};
constexpr Scheme kGptqWritten[] = {Scheme::kFloat, Scheme::kW8A8Dynamic, Scheme::kW8A16};

constexpr Edge kEdges[] = {
    {Dialect::kHf, Dialect::kHf, LossClass::kExact, kSame},
    {Dialect::kHf, Dialect::kAscendV1, LossClass::kExact, kFromFloat},
    {Dialect::kHf, Dialect::kAscendV1V0, LossClass::kExact, kFromFloat},
    {Dialect::kHf, Dialect::kMindIE, LossClass::kExact, kFromFloat},
    {Dialect::kHf, Dialect::kGguf, LossClass::kExact, kToGguf, kFloatsOnly},
    {Dialect::kAscendV1, Dialect::kHf, LossClass::kExact, kToFloat},
    {Dialect::kAscendV1, Dialect::kAscendV1, LossClass::kExact, kSame},
    {Dialect::kAscendV1, Dialect::kAscendV1V0, LossClass::kExact, kNames},
    {Dialect::kAscendV1, Dialect::kMindIE, LossClass::kExact, kAddsCopies},
    {Dialect::kAscendV1, Dialect::kMindIEParts, LossClass::kExact, kToParts},
    {Dialect::kAscendV1, Dialect::kCompressedTensors, LossClass::kNear, kToCt, kInt8Activations},
    {Dialect::kAscendV1, Dialect::kGptq, LossClass::kNear, kToGptq, kGptqWritten},
    {Dialect::kAscendV1, Dialect::kGoldenStick, LossClass::kNear, kToGoldenStick, kGoldenStick},
    {Dialect::kAscendV1, Dialect::kGguf, LossClass::kNear, kCodesToGguf, kGgufWritten},
    {Dialect::kAscendV1, Dialect::kNpy, LossClass::kExact, kToNpy, kNpyTypes},
    {Dialect::kAscendV1V0, Dialect::kHf, LossClass::kExact, kToFloat},
    {Dialect::kAscendV1V0, Dialect::kAscendV1, LossClass::kExact, kNames},
    {Dialect::kAscendV1V0, Dialect::kAscendV1V0, LossClass::kExact, kSame},
    {Dialect::kAscendV1V0, Dialect::kMindIE, LossClass::kExact, kAddsCopies},
    {Dialect::kAscendV1V0, Dialect::kMindIEParts, LossClass::kExact, kToParts},
    {Dialect::kAscendV1V0, Dialect::kCompressedTensors, LossClass::kNear, kToCt, kInt8Activations},
    {Dialect::kAscendV1V0, Dialect::kGptq, LossClass::kNear, kToGptq, kGptqWritten},
    {Dialect::kAscendV1V0, Dialect::kGoldenStick, LossClass::kNear, kToGoldenStick, kGoldenStick},
    {Dialect::kAscendV1V0, Dialect::kGguf, LossClass::kNear, kCodesToGguf, kGgufWritten},
    {Dialect::kAscendV1V0, Dialect::kNpy, LossClass::kExact, kToNpy, kNpyTypes},
    {Dialect::kMindIE, Dialect::kHf, LossClass::kExact, kToFloat},
    {Dialect::kMindIE, Dialect::kAscendV1, LossClass::kExact, kDropsCopies},
    {Dialect::kMindIE, Dialect::kAscendV1V0, LossClass::kExact, kDropsCopies},
    {Dialect::kMindIE, Dialect::kMindIE, LossClass::kExact, kSame},
    {Dialect::kMindIE, Dialect::kMindIEParts, LossClass::kExact, kToParts},
    {Dialect::kMindIE, Dialect::kCompressedTensors, LossClass::kNear, kToCt, kInt8Activations},
    {Dialect::kMindIE, Dialect::kGptq, LossClass::kNear, kToGptq, kGptqWritten},
    {Dialect::kMindIE, Dialect::kGoldenStick, LossClass::kNear, kToGoldenStick, kGoldenStick},
    {Dialect::kMindIE, Dialect::kGguf, LossClass::kNear, kCodesToGguf, kGgufWritten},
    {Dialect::kMindIE, Dialect::kNpy, LossClass::kExact, kToNpy, kNpyTypes},
    {Dialect::kMindIEParts, Dialect::kAscendV1, LossClass::kExact, kFromParts},
    {Dialect::kMindIEParts, Dialect::kAscendV1V0, LossClass::kExact, kFromParts},
    {Dialect::kMindIEParts, Dialect::kMindIE, LossClass::kExact, kFromParts},
    {Dialect::kCompressedTensors, Dialect::kHf, LossClass::kNear, kDequantized, kCtSchemes},
    {Dialect::kCompressedTensors, Dialect::kAscendV1, LossClass::kExact, kCodes, kCtSchemes},
    {Dialect::kGptq, Dialect::kHf, LossClass::kNear, kDequantized, kWeightOnly},
    {Dialect::kGptq, Dialect::kAscendV1, LossClass::kExact, kCodes, kWeightOnly},
    {Dialect::kAwq, Dialect::kHf, LossClass::kNear, kDequantized, kInt4Only},
    {Dialect::kAwq, Dialect::kAscendV1, LossClass::kExact, kCodes, kInt4Only},
    {Dialect::kFp8Block, Dialect::kHf, LossClass::kNear, kDequantized, kFp8Only},
    {Dialect::kFp8Block, Dialect::kAscendV1, LossClass::kRequantized, kRequantized, kFp8Only},
    {Dialect::kGoldenStick, Dialect::kHf, LossClass::kNear, kDequantized, kGoldenStick},
    {Dialect::kGoldenStick, Dialect::kAscendV1, LossClass::kExact, kFromGoldenStick, kGoldenStick},
    {Dialect::kGguf, Dialect::kHf, LossClass::kExact, kFromGguf, kGgufRead},
    {Dialect::kGguf, Dialect::kAscendV1, LossClass::kNear, kGgufCodes, kGgufRead},
    {Dialect::kTorchBin, Dialect::kHf, LossClass::kExact, kFromTorch, kFloatsOnly},
    {Dialect::kTorchBin, Dialect::kAscendV1, LossClass::kExact, kFromTorch, kFloatsOnly},
    {Dialect::kNpy, Dialect::kHf, LossClass::kNear, kDequantized, kNpyTypes},
    {Dialect::kNpy, Dialect::kAscendV1, LossClass::kExact, kFromNpy, kNpyTypes},
};

constexpr unsigned Bit(Dialect dialect) { return 1U << static_cast<unsigned>(dialect); }
constexpr unsigned kParts = Bit(Dialect::kMindIEParts);
constexpr unsigned kQuantized =
    Bit(Dialect::kAscendV1) | Bit(Dialect::kAscendV1V0) | Bit(Dialect::kMindIE);

// Tensors of a layer beside weight and bias.
enum class Parts : uint8_t { kAny, kWeightScales, kInt4, kStatic, kCache };

// Dialects in which a type has a form. All of MindIE's and AscendV1's forms of one type hold the
// same numbers: dialect_forms.h.
struct SchemeRow {
  Scheme scheme;
  unsigned dialects;
  Parts parts;
};
constexpr SchemeRow kSchemes[] = {
    {Scheme::kFloat, Bit(Dialect::kHf) | kQuantized | kParts, Parts::kAny},
    {Scheme::kW8A8, kQuantized, Parts::kStatic},
    {Scheme::kW8A8Dynamic, kQuantized, Parts::kWeightScales},
    {Scheme::kW8A8Mix, kQuantized, Parts::kStatic},
    {Scheme::kW8A16, kQuantized, Parts::kWeightScales},
    {Scheme::kW8A8S, kQuantized | kParts, Parts::kStatic},
    {Scheme::kW4A16, kQuantized, Parts::kWeightScales},
    {Scheme::kW4A8Dynamic, kQuantized, Parts::kInt4},
    {Scheme::kC8, kQuantized, Parts::kCache},
    // The same tensors everywhere: they travel without being looked into.
    {Scheme::kW16A16S, kQuantized | kParts, Parts::kAny},
    {Scheme::kW4A4Dynamic, kQuantized, Parts::kAny},
    {Scheme::kW4A4FlatQuantDynamic, kQuantized, Parts::kAny},
    {Scheme::kNF4, kQuantized, Parts::kAny},
    {Scheme::kW8A8Timestep, kQuantized, Parts::kAny},
    {Scheme::kWFP8AFP8Dynamic, kQuantized, Parts::kAny},
    {Scheme::kW8A8MXFP8, kQuantized, Parts::kAny},
    {Scheme::kW4A8MXFP, kQuantized, Parts::kAny},
    {Scheme::kW4A4MXFP4, kQuantized, Parts::kAny},
    {Scheme::kW4A4MXFP4DualScale, kQuantized, Parts::kAny},
    {Scheme::kFAQuant, kQuantized, Parts::kAny},
    {Scheme::kFAKQuant, kQuantized, Parts::kAny},
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

const Edge* FindEdge(Dialect from, Dialect to) {
  const auto* edge = std::find_if(std::begin(kEdges), std::end(kEdges),
                                  [&](const Edge& e) { return e.from == from && e.to == to; });
  return edge == std::end(kEdges) ? nullptr : edge;
}

Error NoEdge(Dialect from, Dialect to) {
  std::vector<std::string> targets;
  std::string hint;
  for (const Edge& first : kEdges) {
    if (first.from != from || first.to == from || first.to == Dialect::kHf) continue;
    targets.emplace_back(DialectName(first.to));
    if (first.loss == LossClass::kRequantized || FindEdge(first.to, to) == nullptr) continue;
    if (hint.empty()) {
      hint = fmt::format("nearest: {} to {}, then {} to {}", DialectName(from),
                         DialectName(first.to), DialectName(first.to), DialectName(to));
    }
  }
  if (hint.empty() && !targets.empty())
    hint = fmt::format("from {} there are {}", DialectName(from), Join(targets, ", "));
  return InputError(
      "CV-no-edge",
      fmt::format("no conversion leads from {} to {}", DialectName(from), DialectName(to)), hint);
}

Status CheckEdge(Dialect from, Dialect to, bool dequantize) {
  if (FindEdge(from, to) == nullptr) return NoEdge(from, to);
  const DialectTraits& source = TraitsOf(from);
  if (dequantize || to != Dialect::kHf || !source.is_foreign || source.may_be_float) return {};
  return InputError("CV-no-edge",
                    fmt::format("{} becomes hf with --dequantize only", DialectName(from)));
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
  const Edge* edge = FindEdge(from, to);
  if (edge == nullptr) return labels;
  for (const Scheme scheme : edge->schemes) labels.emplace_back(SchemeLabel(scheme));
  if (!labels.empty()) return labels;
  for (const SchemeRow& row : kSchemes) {
    if (SchemeTravels(row.scheme, from, to)) labels.emplace_back(SchemeLabel(row.scheme));
  }
  return labels;
}

bool SchemeHasSuffix(Scheme scheme, std::string_view suffix) {
  const SchemeRow* row = RowOf(scheme);
  if (row == nullptr) return false;
  if (row->parts == Parts::kAny) return true;
  if (row->parts == Parts::kCache) return suffix == "kv_cache_scale" || suffix == "kv_cache_offset";
  const auto role = ParseRole(suffix);
  if (!role) return false;
  switch (*role) {
    case Role::kWeight:
    case Role::kBias:
    case Role::kWeightScale:
    case Role::kWeightOffset:
      return true;
    case Role::kInputScale:
    case Role::kInputOffset:
    case Role::kQuantBias:
    case Role::kDeqScale:
      return row->parts == Parts::kStatic;
    case Role::kWeightScaleSecond:
    case Role::kWeightOffsetSecond:
    case Role::kScaleBias:
      return row->parts == Parts::kInt4;
    default:
      return false;
  }
}

}  // namespace slim
