#include "linear/linear_record.h"

#include <fmt/format.h>

#include <cassert>

#include "base/bytes.h"
#include "base/text.h"
#include "dtype/scalar_convert.h"
#include "kernels/convert.h"
#include "kernels/quantize.h"

namespace slim {
namespace {

std::string PartName(const LinearRecord& record, Role role) {
  return fmt::format("{}.{}", record.name, RoleSuffix(role));
}

Status Require(const LinearRecord& record, Role role) {
  if (record.Has(role)) return {};
  return InputError("LIN-missing-part",
                    fmt::format("is missing, {} needs it", SchemeLabel(record.scheme)))
      .WithTensor(PartName(record, role));
}

Status RequireShape(const LinearRecord& record, Role role, const Shape& wanted) {
  if (!record.Has(role)) return {};
  const Tensor& part = record[role];
  if (part.shape == wanted) return {};
  return InputError("LIN-shape", fmt::format("has shape {}, wanted {}", ShapeText(part.shape),
                                             ShapeText(wanted)))
      .WithTensor(PartName(record, role));
}

Status RequireDType(const LinearRecord& record, Role role, std::initializer_list<DType> wanted) {
  if (!record.Has(role)) return {};
  std::vector<std::string> names;
  for (const DType dtype : wanted) {
    if (record[role].dtype == dtype) return {};
    names.emplace_back(DTypeName(dtype));
  }
  return InputError("LIN-dtype", fmt::format("has dtype {}, wanted {}",
                                             DTypeName(record[role].dtype), Join(names, " or ")))
      .WithTensor(PartName(record, role));
}

constexpr std::initializer_list<DType> kFloats = {DType::kF32, DType::kF16, DType::kBF16};

Status CheckWeight(const LinearRecord& record) {
  SLIM_TRY(Require(record, Role::kWeight));
  const Tensor& weight = record[Role::kWeight];
  if (weight.shape.size() != 2) {
    return InputError("LIN-shape",
                      fmt::format("has shape {}, wanted [n, k]", ShapeText(weight.shape)))
        .WithTensor(PartName(record, Role::kWeight));
  }
  if (record.scheme == Scheme::kFloat) return RequireDType(record, Role::kWeight, kFloats);
  return RequireDType(record, Role::kWeight, {DType::kI8});
}

Status CheckStatic(const LinearRecord& record) {
  for (const Role role :
       {Role::kInputScale, Role::kInputOffset, Role::kDeqScale, Role::kQuantBias}) {
    SLIM_TRY(Require(record, role));
  }
  for (const Role role : {Role::kInputScale, Role::kInputOffset}) {
    if (record[role].elements() != 1) SLIM_TRY(RequireShape(record, role, {1}));
  }
  SLIM_TRY(RequireDType(record, Role::kInputScale, kFloats));
  SLIM_TRY(RequireDType(record, Role::kInputOffset,
                        {DType::kF32, DType::kF16, DType::kBF16, DType::kI8}));
  SLIM_TRY(RequireShape(record, Role::kDeqScale, {record.n()}));
  SLIM_TRY(RequireDType(record, Role::kDeqScale, {DType::kF32, DType::kI64}));
  SLIM_TRY(RequireShape(record, Role::kQuantBias, {record.n()}));
  return RequireDType(record, Role::kQuantBias, {DType::kI32});
}

Status CheckWeightScales(const LinearRecord& record) {
  SLIM_TRY(Require(record, Role::kWeightScale));
  const Tensor& scale = record[Role::kWeightScale];
  const bool matrix = scale.shape.size() == 2 && scale.shape[0] == record.n() &&
                      scale.shape[1] > 0 && record.k() % scale.shape[1] == 0;
  if (!matrix && scale.shape != Shape{record.n()})
    SLIM_TRY(RequireShape(record, Role::kWeightScale, {record.n(), 1}));
  SLIM_TRY(RequireDType(record, Role::kWeightScale, kFloats));
  SLIM_TRY(RequireShape(record, Role::kWeightOffset, scale.shape));
  return RequireDType(record, Role::kWeightOffset, kFloats);
}

}  // namespace

Status CheckRecord(const LinearRecord& record) {
  switch (record.scheme) {
    case Scheme::kFloat:
      SLIM_TRY(CheckWeight(record));
      break;
    case Scheme::kW8A8:
      SLIM_TRY(CheckWeight(record));
      SLIM_TRY(CheckStatic(record));
      break;
    case Scheme::kW8A8Dynamic:
    case Scheme::kW8A16:
      SLIM_TRY(CheckWeight(record));
      SLIM_TRY(CheckWeightScales(record));
      break;
    default:
      return {};
  }
  SLIM_TRY(RequireShape(record, Role::kBias, {record.n()}));
  return RequireDType(record, Role::kBias, kFloats);
}

std::vector<float> PartAsFloats(const LinearRecord& record, Role role) {
  const Tensor& part = record[role];
  std::vector<float> values(part.elements());
  for (uint64_t i = 0; i < values.size(); ++i) {
    if (part.dtype == DType::kI64) {
      values[i] = DeqBitsToFloat(LoadLe<int64_t>(part.data.data() + i * 8));
    } else {
      values[i] = static_cast<float>(ElementAsDouble(part.view(), i));
    }
  }
  return values;
}

void DequantizeWeightRow(const LinearRecord& record, uint64_t n_index, std::span<float> row) {
  const Tensor& weight = record[Role::kWeight];
  const uint64_t k = row.size();
  if (record.scheme == Scheme::kFloat) {
    ToFloat(weight.dtype, weight.data.data() + n_index * k * (DTypeBits(weight.dtype) / 8),
            row.data(), k);
    return;
  }
  const auto* codes = reinterpret_cast<const int8_t*>(weight.data.data()) + n_index * k;
  const auto element = [&](Role role, uint64_t index) {
    return static_cast<float>(ElementAsDouble(record[role].view(), index));
  };
  if (!record.Has(Role::kWeightScale)) {
    const Tensor& deq = record[Role::kDeqScale];
    const float deq_scale = deq.dtype == DType::kI64 ? DeqBitsToFloat(deq.as<int64_t>()[n_index])
                                                     : element(Role::kDeqScale, n_index);
    DequantizeRow(codes, k, deq_scale / element(Role::kInputScale, 0), 0.0F, row.data());
    return;
  }
  const uint64_t groups = record[Role::kWeightScale].elements() / record.n();
  assert(groups > 0);  // CheckRecord has seen to it
  const uint64_t group_size = k / groups;
  for (uint64_t g = 0; g < groups; ++g) {
    const uint64_t index = n_index * groups + g;
    const float offset =
        record.Has(Role::kWeightOffset) ? element(Role::kWeightOffset, index) : 0.0F;
    DequantizeRow(codes + g * group_size, group_size, element(Role::kWeightScale, index), offset,
                  row.data() + g * group_size);
  }
}

}  // namespace slim
