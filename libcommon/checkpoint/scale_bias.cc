#include "checkpoint/scale_bias.h"

#include <fmt/format.h>

#include "linear/int4.h"

namespace slim {
namespace {

struct RowScales {
  double channel = 0;          // weight_scale
  std::vector<double> second;  // of each group, or one 1
};

double SumOf(std::span<const int8_t> codes, uint64_t begin, uint64_t end, uint64_t group,
             const RowScales& scales) {
  double total = 0;
  for (uint64_t at = begin; at < end;) {
    const uint64_t stop = std::min(end, (at / group + 1) * group);
    int64_t sum = 0;
    for (const int8_t code : codes.subspan(at, stop - at)) sum += code;
    total += static_cast<double>(sum) * scales.channel * scales.second[at / group];
    at = stop;
  }
  return total;
}

Error WrongScale(const std::string& module, Role role, const Shape& found, uint64_t n) {
  return InputError("LIN-shape",
                    fmt::format("has shape {}, wanted [{}, groups]", ShapeText(found), n))
      .WithTensor(fmt::format("{}.{}", module, RoleSuffix(role)));
}

}  // namespace

Result<Tensor> ScaleBiasOf(const Checkpoint& source, const std::string& module, bool packed) {
  const auto part = [&](Role role) { return fmt::format("{}.{}", module, RoleSuffix(role)); };
  SLIM_ASSIGN(Tensor codes, source.Read(part(Role::kWeight)));
  if (packed) codes = UnpackInt4(codes, Int4Packing::kAlongN);
  const uint64_t n = codes.shape[0];
  const uint64_t k = codes.shape[1];
  SLIM_ASSIGN(const Tensor scale, source.Read(part(Role::kWeightScale)));
  Tensor second;
  if (source.Find(part(Role::kWeightScaleSecond)) != nullptr) {
    SLIM_ASSIGN(second, source.Read(part(Role::kWeightScaleSecond)));
  }
  // One scale a group: the second of a two-stage layer, else weight_scale itself.
  const bool two_stage = !second.empty();
  const Tensor& groups = two_stage ? second : scale;
  const Role role = two_stage ? Role::kWeightScaleSecond : Role::kWeightScale;
  if (groups.shape.size() != 2 || groups.shape[0] != n || groups.shape[1] == 0 ||
      k % groups.shape[1] != 0) {
    return WrongScale(module, role, groups.shape, n);
  }
  if (two_stage && scale.elements() != n)
    return WrongScale(module, Role::kWeightScale, scale.shape, n);
  SLIM_ASSIGN(const ScaleBiasForm form, ScaleBiasFormOf(module, k, false));
  Tensor out(DType::kF32, {n, form.columns});
  const uint64_t columns = groups.shape[1];
  const auto rows = codes.as<int8_t>();
  RowScales scales;
  scales.second.resize(columns);
  for (uint64_t i = 0; i < n; ++i) {
    scales.channel = two_stage ? ElementAsDouble(scale.view(), i) : 1.0;
    for (uint64_t g = 0; g < columns; ++g)
      scales.second[g] = ElementAsDouble(groups.view(), i * columns + g);
    for (uint64_t c = 0; c < form.columns; ++c) {
      const double sum = SumOf(rows.subspan(i * k, k), c * k / form.columns,
                               (c + 1) * k / form.columns, k / columns, scales);
      out.as<float>()[i * form.columns + c] = static_cast<float>(form.factor * sum);
    }
  }
  return out;
}

}  // namespace slim
