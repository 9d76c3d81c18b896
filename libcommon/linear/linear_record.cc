#include "linear/linear_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "base/bytes.h"
#include "base/text.h"
#include "dtype/scalar_convert.h"
#include "kernels/convert.h"
#include "kernels/quantize.h"
#include "linear/fp8.h"
#include "linear/int4.h"
#include "linear/mx.h"

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

bool IsFp4(Scheme scheme) {
  return scheme == Scheme::kW4A8MXFP || scheme == Scheme::kW4A4MXFP4 ||
         scheme == Scheme::kW4A4MXFP4DualScale;
}

// Columns of weight_scale; 1 where it is absent or a vector.
uint64_t ScaleColumns(const LinearRecord& record) {
  const Shape& shape = record[Role::kWeightScale].shape;
  return shape.size() == 2 ? shape[1] : 1;
}

Status CheckWeight(const LinearRecord& record, std::initializer_list<DType> dtypes) {
  SLIM_TRY(Require(record, Role::kWeight));
  const Tensor& weight = record[Role::kWeight];
  if (weight.shape.size() != 2) {
    return InputError("LIN-shape",
                      fmt::format("has shape {}, wanted [n, k]", ShapeText(weight.shape)))
        .WithTensor(PartName(record, Role::kWeight));
  }
  return RequireDType(record, Role::kWeight, dtypes);
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

// [n, 1] or [n, groups] (for one scale a row [n], too), the offset like the scale.
Status CheckScales(const LinearRecord& record, Role scale_role, Role offset_role) {
  const Tensor& scale = record[scale_role];
  const bool matrix = scale.shape.size() == 2 && scale.shape[0] == record.n() &&
                      scale.shape[1] > 0 && record.k() % scale.shape[1] == 0;
  if (!matrix && scale.shape != Shape{record.n()})
    SLIM_TRY(RequireShape(record, scale_role, {record.n(), 1}));
  SLIM_TRY(RequireDType(record, scale_role, kFloats));
  SLIM_TRY(RequireShape(record, offset_role, scale.shape));
  return RequireDType(record, offset_role, kFloats);
}

Status CheckWeightScales(const LinearRecord& record) {
  SLIM_TRY(Require(record, Role::kWeightScale));
  SLIM_TRY(CheckScales(record, Role::kWeightScale, Role::kWeightOffset));
  if (record.Has(Role::kWeightScaleSecond))
    SLIM_TRY(CheckScales(record, Role::kWeightScaleSecond, Role::kWeightOffsetSecond));
  if (!record.Has(Role::kScaleBias)) return {};
  const Shape& shape = record[Role::kScaleBias].shape;
  if (shape.size() != 2 || shape[0] != record.n())
    SLIM_TRY(RequireShape(record, Role::kScaleBias, {record.n(), 1}));
  return RequireDType(record, Role::kScaleBias, kFloats);
}

Status CheckMx(const LinearRecord& record) {
  SLIM_TRY(Require(record, Role::kWeightScale));
  SLIM_TRY(RequireShape(record, Role::kWeightScale, {record.n(), MxBlocks(record.k())}));
  SLIM_TRY(RequireDType(record, Role::kWeightScale, {DType::kU8, DType::kF8E8M0}));
  if (record.scheme != Scheme::kW4A4MXFP4DualScale) return {};
  SLIM_TRY(Require(record, Role::kWeightDualScale));
  const Shape& shape = record[Role::kWeightDualScale].shape;
  const bool blocks = (shape.size() == 2 || (shape.size() == 3 && shape[2] == 1)) &&
                      shape[0] == record.n() && shape[1] > 0 && record.k() % shape[1] == 0;
  if (!blocks) SLIM_TRY(RequireShape(record, Role::kWeightDualScale, {record.n(), 1, 1}));
  return RequireDType(record, Role::kWeightDualScale, kFloats);
}

Status CheckParts(const LinearRecord& record) {
  switch (record.scheme) {
    case Scheme::kFloat:
    case Scheme::kW16A16S:
      return CheckWeight(record, kFloats);
    case Scheme::kW8A8:
    case Scheme::kW8A8S:
      SLIM_TRY(CheckWeight(record, {DType::kI8}));
      SLIM_TRY(CheckStatic(record));
      return record.Has(Role::kWeightScale) ? CheckWeightScales(record) : Status();
    case Scheme::kW8A8Mix:
      SLIM_TRY(CheckWeight(record, {DType::kI8}));
      SLIM_TRY(CheckStatic(record));
      return CheckWeightScales(record);
    case Scheme::kW8A8Dynamic:
    case Scheme::kW8A16:
    case Scheme::kW4A16:
    case Scheme::kW4A8Dynamic:
    case Scheme::kW4A4Dynamic:
      SLIM_TRY(CheckWeight(record, {DType::kI8}));
      return CheckWeightScales(record);
    case Scheme::kWFP8AFP8Dynamic:
      SLIM_TRY(CheckWeight(record, {DType::kF8E4M3}));
      SLIM_TRY(CheckWeightScales(record));
      return RequireShape(record, Role::kWeightScale, {record.n(), 1});
    case Scheme::kW8A8MXFP8:
      SLIM_TRY(CheckWeight(record, {DType::kF8E4M3}));
      return CheckMx(record);
    case Scheme::kW4A8MXFP:
    case Scheme::kW4A4MXFP4:
    case Scheme::kW4A4MXFP4DualScale:
      SLIM_TRY(CheckWeight(record, {DType::kU8}));
      return CheckMx(record);
    default:
      return {};
  }
}

// Codes of any int8 or int4 type: (q − offset) · scale, group by group, one level or two.
void DequantizeCodes(const LinearRecord& record, uint64_t n_index, const int8_t* codes,
                     std::span<float> row) {
  const auto element = [&](Role role, uint64_t index) {
    return static_cast<float>(ElementAsDouble(record[role].view(), index));
  };
  const bool two_levels = record.Has(Role::kWeightScaleSecond);
  const Role scale = two_levels ? Role::kWeightScaleSecond : Role::kWeightScale;
  const Role offset = two_levels ? Role::kWeightOffsetSecond : Role::kWeightOffset;
  const uint64_t groups = record[scale].elements() / record.n();
  assert(groups > 0);  // CheckRecord has seen to it
  const uint64_t group_size = row.size() / groups;
  for (uint64_t g = 0; g < groups; ++g) {
    const uint64_t index = n_index * groups + g;
    DequantizeRow(codes + g * group_size, group_size, element(scale, index),
                  record.Has(offset) ? element(offset, index) : 0.0F, row.data() + g * group_size);
  }
  if (!two_levels) return;
  const uint64_t outer_groups = record[Role::kWeightScale].elements() / record.n();
  const uint64_t width = row.size() / outer_groups;
  for (uint64_t i = 0; i < row.size(); ++i)
    row[i] *= element(Role::kWeightScale, n_index * outer_groups + i / width);
}

void DequantizeMx(const LinearRecord& record, uint64_t n_index, std::span<float> row) {
  const uint64_t blocks = MxBlocks(row.size());
  const MxElement type =
      record[Role::kWeight].dtype == DType::kF8E4M3 ? MxElement::kFp8 : MxElement::kFp4;
  DequantizeRowMx(record[Role::kWeight].as<uint8_t>().subspan(n_index * row.size(), row.size()),
                  type, record[Role::kWeightScale].as<uint8_t>().subspan(n_index * blocks, blocks),
                  row);
  if (record.scheme != Scheme::kW4A4MXFP4DualScale) return;
  const uint64_t columns = record[Role::kWeightDualScale].elements() / record.n();
  assert(columns > 0);  // CheckRecord has seen to it
  const uint64_t width = row.size() / columns;
  for (uint64_t i = 0; i < row.size(); ++i) {
    row[i] *= static_cast<float>(
        ElementAsDouble(record[Role::kWeightDualScale].view(), n_index * columns + i / width));
  }
}

}  // namespace

Status CheckRecord(const LinearRecord& record) {
  if (!CanDequantize(record.scheme)) return {};
  SLIM_TRY(CheckParts(record));
  SLIM_TRY(RequireShape(record, Role::kBias, {record.n()}));
  return RequireDType(record, Role::kBias, kFloats);
}

bool CanDequantize(Scheme scheme) {
  switch (scheme) {
    case Scheme::kFloat:
    case Scheme::kW8A8:
    case Scheme::kW8A8Dynamic:
    case Scheme::kW8A8Mix:
    case Scheme::kW8A16:
    case Scheme::kW8A8S:
    case Scheme::kW16A16S:
    case Scheme::kW4A16:
    case Scheme::kW4A8Dynamic:
    case Scheme::kW4A4Dynamic:
    case Scheme::kWFP8AFP8Dynamic:
    case Scheme::kW8A8MXFP8:
    case Scheme::kW4A8MXFP:
    case Scheme::kW4A4MXFP4:
    case Scheme::kW4A4MXFP4DualScale:
      return true;
    default:
      return false;
  }
}

Status UnpackWeight(LinearRecord& record, bool packs_int4) {
  if (!record.Has(Role::kWeight)) return {};
  Tensor& weight = record[Role::kWeight];
  const bool fp4 = IsFp4(record.scheme);
  const bool int4 = record.scheme == Scheme::kW4A8Dynamic || record.scheme == Scheme::kW4A16;
  if (!fp4 && !(int4 && packs_int4)) return {};
  SLIM_TRY(CheckWeight(record, {fp4 ? DType::kU8 : DType::kI8}));
  if (fp4) {
    weight = UnpackFp4(weight);
    return {};
  }
  weight = UnpackInt4(weight, Int4PackingOf(record.scheme, ScaleColumns(record), packs_int4));
  return {};
}

Status PackWeight(LinearRecord& record, bool packs_int4) {
  Tensor& weight = record[Role::kWeight];
  const Int4Packing packing = Int4PackingOf(record.scheme, ScaleColumns(record), packs_int4);
  if (!IsFp4(record.scheme) && packing == Int4Packing::kNone) return {};
  auto packed = IsFp4(record.scheme) ? PackFp4(weight) : PackInt4(weight, packing);
  if (!packed.ok()) return std::move(packed).error().WithTensor(PartName(record, Role::kWeight));
  weight = std::move(packed).value();
  return {};
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
  switch (record.scheme) {
    case Scheme::kFloat:
    case Scheme::kW16A16S:
      ToFloat(weight.dtype, weight.data.data() + n_index * k * (DTypeBits(weight.dtype) / 8),
              row.data(), k);
      return;
    case Scheme::kWFP8AFP8Dynamic: {
      const double scale = ElementAsDouble(record[Role::kWeightScale].view(), n_index);
      DequantizeRowFp8(weight.as<uint8_t>().subspan(n_index * k, k), static_cast<float>(scale),
                       row);
      return;
    }
    case Scheme::kW8A8MXFP8:
    case Scheme::kW4A8MXFP:
    case Scheme::kW4A4MXFP4:
    case Scheme::kW4A4MXFP4DualScale:
      return DequantizeMx(record, n_index, row);
    default:
      break;
  }
  DequantizeCodeRow(record, n_index,
                    {reinterpret_cast<const int8_t*>(weight.data.data()) + n_index * k, k}, row);
}

void DequantizeCodeRow(const LinearRecord& record, uint64_t n_index, std::span<const int8_t> codes,
                       std::span<float> row) {
  if (record.Has(Role::kWeightScale)) return DequantizeCodes(record, n_index, codes.data(), row);
  const Tensor& deq = record[Role::kDeqScale];
  const float deq_scale = deq.dtype == DType::kI64
                              ? DeqBitsToFloat(deq.as<int64_t>()[n_index])
                              : static_cast<float>(ElementAsDouble(deq.view(), n_index));
  const auto input_scale = static_cast<float>(ElementAsDouble(record[Role::kInputScale].view(), 0));
  DequantizeRow(codes.data(), codes.size(), deq_scale / input_scale, 0.0F, row.data());
}

Status NegateFloats(Tensor& tensor) {
  if (tensor.empty()) return {};
  const uint64_t width = DTypeBits(tensor.dtype) / 8;
  if (tensor.dtype != DType::kF32 && tensor.dtype != DType::kF16 && tensor.dtype != DType::kBF16) {
    return InputError("LIN-dtype",
                      fmt::format("is {}, wanted F32, F16 or BF16", DTypeName(tensor.dtype)));
  }
  const std::span<std::byte> bytes = tensor.data.bytes();
  for (size_t at = 0; at < bytes.size(); at += width) {
    const auto value = bytes.subspan(at, width);
    const bool zero = std::ranges::all_of(value, [](std::byte b) { return b == std::byte{0}; });
    if (!zero) value.back() ^= std::byte{0x80};
  }
  return {};
}

}  // namespace slim
