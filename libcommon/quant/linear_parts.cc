#include "quant/linear_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "base/text.h"
#include "linear/int4.h"
#include "linear/mx.h"
#include "linear/w8a8.h"
#include "quant/plan.h"

namespace slim {
namespace {

bool IsMx(Scheme scheme) {
  return scheme == Scheme::kW8A8MXFP8 || scheme == Scheme::kW4A8MXFP ||
         scheme == Scheme::kW4A4MXFP4;
}

bool IsMxFp4(Scheme scheme) { return IsMx(scheme) && scheme != Scheme::kW8A8MXFP8; }

// Types whose weight may have an offset; where activations are codes, kernels have no term for it.
bool HasWeightOffset(Scheme scheme) { return scheme == Scheme::kW8A16 || scheme == Scheme::kW4A16; }

bool HasGroups(Scheme scheme) {
  return HasWeightOffset(scheme) || scheme == Scheme::kW8A8Dynamic ||
         scheme == Scheme::kW4A4Dynamic;
}

uint64_t ScaleColumns(const LinearPlan& linear) {
  return linear.weight.granularity == Granularity::kPerGroup ? linear.k / linear.weight.group_size
                                                             : 1;
}

Error Refuse(const LinearPlan& linear, std::string rule, std::string message, std::string hint) {
  Error error = UsageError(std::move(message), std::move(hint));
  error.rule = std::move(rule);
  error.tensor = linear.name;
  return error;
}

Status CheckGroups(const LinearPlan& linear) {
  if (linear.weight.granularity != Granularity::kPerGroup) return {};
  if (!HasGroups(linear.scheme)) {
    return Refuse(
        linear, "QU-group-size",
        fmt::format("{} has one scale an output and no groups", SchemeName(linear.scheme)),
        "groups: w8a16, w4a16, w8a8_dynamic, w4a4_dynamic");
  }
  if (linear.weight.group_size > 0 && linear.k % linear.weight.group_size == 0) return {};
  return Refuse(linear, "QU-group-size",
                fmt::format("group size {} does not divide its {} inputs", linear.weight.group_size,
                            linear.k),
                "choose a divisor, or keep the layer in float with --disable-names");
}

Status CheckPacking(const LinearPlan& linear, bool packs) {
  if (IsMxFp4(linear.scheme) && linear.k % 2 != 0) {
    return InputError("LIN-odd",
                      fmt::format("has k = {}, packing two columns a byte needs an even number of "
                                  "inputs",
                                  linear.k),
                      "keep the layer in float with --disable-names")
        .WithTensor(linear.name);
  }
  const Int4Packing packing = Int4PackingOf(linear.scheme, ScaleColumns(linear), packs);
  auto shape = PackedInt4Shape(linear.n, linear.k, packing);
  if (!shape.ok()) return std::move(shape).error().WithTensor(linear.name);
  if (linear.scheme != Scheme::kW4A8Dynamic || !packs) return {};
  auto form = ScaleBiasFormOf(linear.name, linear.k, true);
  if (!form.ok()) return std::move(form).error().WithTensor(linear.name);
  return {};
}

}  // namespace

bool LayoutCarries(Dialect layout, Scheme scheme) {
  if (layout == Dialect::kAscendV1) return true;
  return !IsMx(scheme) && scheme != Scheme::kWFP8AFP8Dynamic && scheme != Scheme::kW4A4Dynamic &&
         scheme != Scheme::kW16A16S;
}

Scheme LabelOf(Scheme scheme, Dialect layout) {
  return layout == Dialect::kMindIE && scheme == Scheme::kW8A8Mix ? Scheme::kW8A8 : scheme;
}

Scheme ModelType(std::span<const LinearPlan> linears, Dialect layout, bool as_msmodelslim) {
  constexpr Scheme kRising[] = {
      Scheme::kFloat,           Scheme::kW16A16S,   Scheme::kW8A16,
      Scheme::kW8A8Dynamic,     Scheme::kW8A8Mix,   Scheme::kW8A8,
      Scheme::kWFP8AFP8Dynamic, Scheme::kW8A8MXFP8, Scheme::kW4A8MXFP,
      Scheme::kW4A4Dynamic,     Scheme::kW4A4MXFP4, Scheme::kW4A4MXFP4DualScale};
  if (as_msmodelslim && layout == Dialect::kAscendV1) {
    const Scheme* highest = std::begin(kRising);
    for (const LinearPlan& linear : linears) {
      const Scheme* rank = std::find(std::begin(kRising), std::end(kRising), linear.scheme);
      if (rank != std::end(kRising)) highest = std::max(highest, rank);
    }
    return *highest;
  }
  std::map<Scheme, size_t> counts;
  for (const LinearPlan& linear : linears) {
    if (linear.scheme != Scheme::kFloat) ++counts[linear.scheme];
  }
  Scheme type = Scheme::kFloat;
  for (const LinearPlan& linear : linears) {
    if (linear.scheme == Scheme::kFloat) continue;
    if (type == Scheme::kFloat || counts[linear.scheme] > counts[type]) type = linear.scheme;
  }
  return LabelOf(type, layout);
}

bool CorrectsBias(const LinearPlan& linear) {
  const bool quantized = linear.scheme != Scheme::kFloat && linear.weight.bias_correction;
  return quantized && (linear.has_bias || HasStaticActivations(linear.scheme));
}

int64_t GroupSizeOf(const LinearPlan& linear) {
  if (IsMx(linear.scheme)) return static_cast<int64_t>(kMxBlock);
  if (linear.weight.granularity != Granularity::kPerGroup) return 0;
  return static_cast<int64_t>(linear.weight.group_size);
}

Status CheckLinearPlan(const LinearPlan& linear, Dialect layout) {
  if (!LayoutCarries(layout, linear.scheme)) {
    std::vector<std::string> able;
    for (const DialectTraits& traits : Dialects()) {
      if (traits.has_description && LayoutCarries(traits.dialect, linear.scheme))
        able.emplace_back(traits.name);
    }
    return Refuse(
        linear, "QU-layout",
        fmt::format("layout {} cannot carry {}", TraitsOf(layout).name, SchemeName(linear.scheme)),
        fmt::format("--layout {} can", Join(able, " or ")));
  }
  if (!linear.weight.symmetric && !HasWeightOffset(linear.scheme)) {
    return Refuse(linear, "QU-asymmetric",
                  fmt::format("weights of {} are symmetric: its kernels have no offset",
                              SchemeName(linear.scheme)),
                  "asymmetric weights: w8a16, w4a16");
  }
  SLIM_TRY(CheckGroups(linear));
  return CheckPacking(linear, TraitsOf(layout).packs_int4);
}

std::vector<std::pair<Role, TensorSpec>> QuantizedParts(const LinearPlan& linear,
                                                        const Recipe& recipe, DType model_dtype) {
  const bool one_click = recipe.layout == Dialect::kAscendV1;
  const DType bias_dtype = recipe.dtype.value_or(linear.bias_dtype);
  const bool packs = TraitsOf(recipe.layout).packs_int4;
  const uint64_t n = linear.n;
  const uint64_t k = linear.k;
  std::vector<std::pair<Role, TensorSpec>> parts;
  const auto add = [&](Role role, DType dtype, Shape shape) {
    parts.emplace_back(role, TensorSpec{fmt::format("{}.{}", linear.name, RoleSuffix(role)), dtype,
                                        std::move(shape)});
  };
  const Scheme scheme = linear.scheme;
  if (scheme == Scheme::kW16A16S) {
    add(Role::kWeight, recipe.dtype.value_or(linear.weight_dtype), {n, k});
    if (linear.has_bias) add(Role::kBias, bias_dtype, {n});
    return parts;
  }
  if (IsMx(scheme)) {
    const bool fp4 = IsMxFp4(scheme);
    add(Role::kWeight, fp4 ? DType::kU8 : DType::kF8E4M3, {n, fp4 ? k / 2 : k});
    add(Role::kWeightScale, DType::kU8, {n, MxBlocks(k)});
  } else {
    const Int4Packing packing = Int4PackingOf(scheme, ScaleColumns(linear), packs);
    add(Role::kWeight, scheme == Scheme::kWFP8AFP8Dynamic ? DType::kF8E4M3 : DType::kI8,
        PackedInt4Shape(n, k, packing).value());
  }
  if (HasStaticActivations(scheme)) {
    const DType activation_dtype = one_click ? DType::kF32 : model_dtype;
    add(Role::kInputScale, activation_dtype, {1});
    add(Role::kInputOffset, activation_dtype, {1});
    add(Role::kQuantBias, DType::kI32, {n});
    add(Role::kDeqScale, model_dtype == DType::kBF16 ? DType::kF32 : DType::kI64, {n});
  }
  if (!IsMx(scheme) && scheme != Scheme::kW8A8 && scheme != Scheme::kW8A8S) {
    add(Role::kWeightScale, DType::kF32, {n, ScaleColumns(linear)});
    add(Role::kWeightOffset, DType::kF32, {n, ScaleColumns(linear)});
  }
  if (scheme == Scheme::kW4A8Dynamic && packs) {
    const bool as_written = recipe.compute == ComputeMode::kModel;
    add(Role::kScaleBias, DType::kF32,
        {n, ScaleBiasFormOf(linear.name, k, as_written).value().columns});
  }
  if (linear.has_bias) add(Role::kBias, one_click ? DType::kF32 : bias_dtype, {n});
  return parts;
}

}  // namespace slim
