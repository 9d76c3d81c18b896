// --deep on layers of other ecosystems: what only their own packing can have.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "checkpoint/dialects/module_layers.h"
#include "verify/layer_values.h"

namespace slim {
namespace {

// Zero points of a symmetric quantization: the reader gives them as signed offsets.
Status CheckZeroPoints(VerifyContext& context, const LogicalLayer& layer) {
  const Json* config = QuantizationConfig(context.checkpoint());
  const Json* symmetric = config == nullptr ? nullptr : config->Find("sym");
  if (symmetric == nullptr || !symmetric->AsBool().value_or(false)) return {};
  SLIM_ASSIGN(const LinearRecord record,
              context.foreign()->Read(layer, LayerReader::Parts::kAllButWeight));
  const Tensor& offsets = record[Role::kWeightOffset];
  uint64_t count = 0;
  double first = 0;
  for (uint64_t i = 0; i < offsets.elements(); ++i) {
    const double offset = ElementAsDouble(offsets.view(), i);
    if (offset != 0 && count++ == 0) first = offset;
  }
  if (count == 0) return {};
  context.Report("GQ-zero-points",
                 {.tensor = fmt::format("{}.qzeros", layer.name),
                  .found = fmt::format("{}", first),
                  .wanted = "0",
                  .message = fmt::format("{} of {} zero points are beside the middle code, the "
                                         "first by {}; quantization_config says sym",
                                         count, offsets.elements(), first)});
  return {};
}

// weight_zero_point [⌈n / fields⌉, groups]: the last row of words has unused bits.
Status CheckZeroPadding(VerifyContext& context, const LogicalLayer& layer, uint64_t bits) {
  const TensorEntry* zero =
      context.checkpoint().Find(fmt::format("{}.weight_zero_point", layer.name));
  const uint64_t used = layer.n() % (32 / bits) * bits;
  if (zero == nullptr || used == 0) return {};
  SLIM_ASSIGN(const Tensor words, context.checkpoint().Read(*zero));
  const auto last = words.as<uint32_t>().last(layer.groups());
  const auto count = std::ranges::count_if(last, [&](uint32_t word) { return word >> used != 0; });
  if (count == 0) return {};
  context.Report("VAL-int4-padding",
                 {.tensor = zero->name,
                  .found = fmt::format("{} words", count),
                  .message = fmt::format("{} of {} groups have something behind their last zero "
                                         "point",
                                         count, last.size())});
  return {};
}

// weight_packed [n, ⌈k / fields⌉]: the last word of a row has unused bits.
Status CheckPadding(VerifyContext& context, const LogicalLayer& layer) {
  const TensorEntry& packed = *layer.sources.front();
  if (!packed.name.ends_with(".weight_packed")) return {};
  const uint64_t bits = SchemeWeightBits(layer.scheme) == 4 ? 4 : 8;
  SLIM_TRY(CheckZeroPadding(context, layer, bits));
  const uint64_t used = layer.k() % (32 / bits) * bits;
  if (used == 0) return {};
  const uint64_t words = packed.shape[1];
  uint64_t count = 0;
  for (uint64_t row = 0; row < layer.n(); ++row) {
    uint32_t word = 0;
    SLIM_TRY(context.checkpoint().ReadPart(packed, std::as_writable_bytes(std::span(&word, 1)),
                                           ((row + 1) * words - 1) * sizeof word));
    count += word >> used != 0 ? 1U : 0U;
  }
  if (count == 0) return {};
  context.Report("VAL-int4-padding",
                 {.tensor = packed.name,
                  .found = fmt::format("{} rows", count),
                  .message = fmt::format("{} of {} rows have something behind their last code",
                                         count, layer.n())});
  return {};
}

// A vector that should hold one number, a time for each column.
Status CheckVector(VerifyContext& context, const LogicalLayer& layer, Role role) {
  const std::string name = fmt::format("{}.{}", layer.name, RoleSuffix(role));
  const TensorEntry* entry = context.checkpoint().Find(name);
  if (!layer.Has(role) || entry == nullptr) return {};
  SLIM_ASSIGN(const Tensor tensor, context.checkpoint().Read(*entry));
  for (uint64_t j = 1; j < tensor.elements(); ++j) {
    const double first = ElementAsDouble(tensor.view(), 0);
    const double value = ElementAsDouble(tensor.view(), j);
    if (value == first) continue;
    context.Report(
        "GS-input-vector",
        {.tensor = entry->name,
         .found = fmt::format("{}", value),
         .wanted = fmt::format("{}", first),
         .message = fmt::format("is {} in column 0 and {} in column {}", first, value, j)});
    return {};
  }
  return {};
}

}  // namespace

Status CheckForeignValues(VerifyContext& context, const LogicalLayer& layer) {
  switch (context.checkpoint().dialect()) {
    case Dialect::kGptq:
    case Dialect::kAwq:
      return CheckZeroPoints(context, layer);
    case Dialect::kCompressedTensors:
      return CheckPadding(context, layer);
    case Dialect::kGoldenStick:
      SLIM_TRY(CheckVector(context, layer, Role::kInputScale));
      return CheckVector(context, layer, Role::kInputOffset);
    default:
      return {};
  }
}

}  // namespace slim
