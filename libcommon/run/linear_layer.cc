#include "run/linear_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "base/text.h"
#include "kernels/convert.h"
#include "kernels/int8_scale.h"
#include "kernels/matmul.h"
#include "kernels/packed_matmul.h"
#include "kernels/quantize.h"
#include "kernels/reduce.h"
#include "kernels/transformer.h"
#include "linear/fp8.h"
#include "linear/mx.h"
#include "linear/w8a8.h"

namespace slim {
namespace {

// Beyond this an int32 sum of int8 products may wrap (kernels/matmul.h).
constexpr uint64_t kLargestInt8K = uint64_t{1} << 16;
// Weight rows that the reference dequantizes at a time.
constexpr uint64_t kDequantizedRows = 48;
// Rows of activations that an integer product takes at a time; bounds what it keeps.
constexpr uint64_t kInt8Rows = 512;

Error UnsupportedType(std::string_view module, Scheme scheme) {
  return InputError("RUN-unsupported-type",
                    fmt::format("has the quantization type {}, which slim cannot compute",
                                SchemeLabel(scheme)),
                    "compressed, rotated and attention types only travel (slim-verify, "
                    "slim-convert)")
      .WithTensor(fmt::format("{}.weight", module));
}

float QuantizeTokenInt4(const float* values, uint64_t count, int8_t* codes) {
  const float scale = AbsMax(values, count) / 7.0F;
  if (scale == 0.0F) {
    std::fill_n(codes, count, int8_t{0});
  } else {
    QuantizeRow(values, count, scale, 0.0F, DType::kF32, -8, 7, codes);
  }
  return scale;
}

// Kept by the thread, so that a token allocates nothing.
QuantizedInput& InputOfThread() {
  thread_local QuantizedInput input;
  return input;
}

uint64_t GrainOf(uint64_t columns) {
  return std::max<uint64_t>(1, 8192 / std::max<uint64_t>(columns, 1));
}

}  // namespace

bool HasIntegerProduct(Scheme scheme) {
  switch (scheme) {
    case Scheme::kW8A8:
    case Scheme::kW8A8S:
    case Scheme::kW8A8Mix:
    case Scheme::kW8A8Dynamic:
    case Scheme::kW4A8Dynamic:
    case Scheme::kW4A4Dynamic:
      return true;
    default:
      return false;
  }
}

bool HasFloatWeight(Scheme scheme) {
  return scheme == Scheme::kFloat || scheme == Scheme::kW16A16S;
}

Result<LinearLayer> LinearLayer::Load(const Checkpoint& checkpoint, std::string_view module,
                                      uint64_t n, uint64_t k, Backend backend) {
  // Before anything is read: types that cannot run may store tensors of any form.
  SLIM_ASSIGN(const Scheme scheme, checkpoint.SchemeOf(module));
  if (!CanDequantize(scheme)) return UnsupportedType(module, scheme).WithPath(checkpoint.path());
  SLIM_ASSIGN(LinearRecord record, checkpoint.ReadLinear(module));
  if (record[Role::kWeight].shape != Shape{n, k}) {
    return InputError("LIN-shape",
                      fmt::format("has shape {}, config.json wants {}",
                                  ShapeText(record[Role::kWeight].shape), ShapeText({n, k})))
        .WithTensor(fmt::format("{}.weight", module))
        .WithPath(checkpoint.path());
  }
  auto layer = FromRecord(std::move(record), backend);
  if (!layer.ok()) return std::move(layer).error().WithPath(checkpoint.path());
  return layer;
}

Result<LinearLayer> LinearLayer::FromRecord(LinearRecord record, Backend backend) {
  if (!CanDequantize(record.scheme)) return UnsupportedType(record.name, record.scheme);
  LinearLayer layer;
  layer.record_ = std::move(record);
  const LinearRecord& r = layer.record_;
  if (r.Has(Role::kBias)) layer.bias_ = PartAsFloats(r, Role::kBias);
  if (HasIntegerProduct(r.scheme)) {
    SLIM_TRY(layer.PrepareInteger());
    layer.PackCodes();
  } else {
    layer.PrepareFloat(backend);
  }
  return layer;
}

bool LinearLayer::IsDynamic(Phase phase) const {
  if (record_.scheme == Scheme::kW8A8Mix) return phase == Phase::kPrefill;
  return !HasStaticActivations(record_.scheme);
}

Status LinearLayer::PrepareInteger() {
  const LinearRecord& r = record_;
  if (r.k() > kLargestInt8K) {
    return InputError("RUN-unsupported-shape",
                      fmt::format("module {} has {} inputs, at most {} can be summed in int32",
                                  Quote(r.name), r.k(), kLargestInt8K));
  }
  if (HasStaticActivations(r.scheme)) {
    deq_scale_ = PartAsFloats(r, Role::kDeqScale);
    input_scale_ = PartAsFloats(r, Role::kInputScale)[0];
    input_offset_ = PartAsFloats(r, Role::kInputOffset)[0];
    const auto quant_bias = r[Role::kQuantBias].as<int32_t>();
    quant_bias_.assign(quant_bias.begin(), quant_bias.end());
  }
  if (!IsDynamic(Phase::kPrefill)) return {};
  for (const Role role : {Role::kWeightOffset, Role::kWeightOffsetSecond}) {
    const std::vector<float> offsets = r.Has(role) ? PartAsFloats(r, role) : std::vector<float>();
    if (std::all_of(offsets.begin(), offsets.end(), [](float value) { return value == 0; }))
      continue;
    return InputError("RUN-unsupported-shape",
                      fmt::format("module {} has the type {} with weight offsets, which integer "
                                  "products have no term for",
                                  Quote(r.name), SchemeLabel(r.scheme)));
  }
  weight_scale_ = PartAsFloats(r, Role::kWeightScale);
  if (r.Has(Role::kWeightScaleSecond) || weight_scale_.size() != r.n()) {
    PrepareGroups();
  } else if (r.Has(Role::kScaleBias)) {
    PrepareCorrection();
  }
  return {};
}

// The scales of a group together, [groups][n]: each group is one product.
void LinearLayer::PrepareGroups() {
  const uint64_t rows = n();
  const bool two_levels = record_.Has(Role::kWeightScaleSecond);
  const std::vector<float> inner =
      two_levels ? PartAsFloats(record_, Role::kWeightScaleSecond) : weight_scale_;
  const uint64_t outer_groups = weight_scale_.size() / rows;
  groups_ = inner.size() / rows;
  std::vector<float> scales(inner.size());
  for (uint64_t g = 0; g < groups_; ++g) {
    for (uint64_t i = 0; i < rows; ++i) {
      float scale = inner[i * groups_ + g];
      if (two_levels) scale *= weight_scale_[i * outer_groups + g * outer_groups / groups_];
      scales[g * rows + i] = scale;
    }
  }
  weight_scale_ = std::move(scales);
}

void LinearLayer::PackCodes() {
  Buffer& codes = record_[Role::kWeight].data;
  if (groups_ == 1) {
    packed_.push_back(PackMatrix(DType::kI8, n(), k(), std::exchange(codes, Buffer())));
    return;
  }
  const uint64_t width = k() / groups_;
  for (uint64_t g = 0; g < groups_; ++g)
    packed_.push_back(PackMatrix(DType::kI8, n(), width, codes.data() + g * width, k()));
  codes = Buffer();
}

void LinearLayer::PrepareCorrection() {
  constexpr double kTolerance = 1e-4;
  const uint64_t columns = record_[Role::kScaleBias].elements() / n();
  if (columns == k()) return;  // the dequantized weight itself: no correction
  const std::vector<float> stored = PartAsFloats(record_, Role::kScaleBias);
  const auto codes = std::as_const(record_)[Role::kWeight].as<int8_t>();
  std::vector<float> correction(n());
  for (uint64_t i = 0; i < n(); ++i) {
    int64_t sum = 0;
    int64_t size = 0;
    for (const int8_t code : codes.subspan(i * k(), k())) {
      sum += code;
      size += std::abs(code);
    }
    double found = 0;
    for (uint64_t j = 0; j < columns; ++j) found += stored[i * columns + j];
    const double unit = 8.0 * static_cast<double>(weight_scale_[i]);
    const double difference = found - unit * static_cast<double>(sum);
    const bool rounding = std::fabs(difference) <= kTolerance * unit * static_cast<double>(size);
    correction[i] = rounding ? 0.0F : static_cast<float>(difference);
  }
  const bool any =
      std::any_of(correction.begin(), correction.end(), [](float c) { return c != 0; });
  if (any) correction_ = std::move(correction);
}

void LinearLayer::PrepareFloat(Backend backend) {
  const LinearRecord& r = record_;
  if (r.scheme == Scheme::kWFP8AFP8Dynamic) {
    // Products of the codes first, scales after, as kernels do.
    weight_scale_ = PartAsFloats(r, Role::kWeightScale);
    record_[Role::kWeightScale] = Tensor::FromFloats({n(), 1}, std::vector<float>(n(), 1.0F));
  }
  if (backend != Backend::kFast) return;
  Tensor& weight = record_[Role::kWeight];
  if (HasFloatWeight(r.scheme)) {
    packed_.push_back(PackMatrix(weight.dtype, n(), k(), std::exchange(weight.data, Buffer())));
    return;
  }
  Tensor rows(DType::kF32, {n(), k()});
  const auto values = rows.as<float>();
  for (uint64_t i = 0; i < n(); ++i) DequantizeWeightRow(r, i, values.subspan(i * k(), k()));
  weight.data = Buffer();
  packed_.push_back(PackMatrix(DType::kF32, n(), k(), std::move(rows.data)));
}

uint64_t LinearLayer::bytes() const {
  uint64_t total = quant_bias_.size() * sizeof(int32_t);
  for (const PackedMatrix& matrix : packed_) total += matrix.data.size();
  for (const auto* values : {&bias_, &weight_scale_, &deq_scale_, &correction_})
    total += values->size() * sizeof(float);
  for (const Tensor& part : record_.parts) total += part.data.size();
  return total;
}

void LinearLayer::Forward(const float* x, uint64_t t, float* y, Backend backend, ThreadPool& pool,
                          Phase phase, FloatInputs inputs) const {
  if (!HasIntegerProduct(record_.scheme)) {
    ForwardFloat(x, t, y, backend, inputs, pool);
    if (!bias_.empty()) AddBias(y, t, pool);
  } else if (groups_ > 1) {
    ForwardGroups(x, t, y, pool);
    if (!bias_.empty()) AddBias(y, t, pool);
  } else {
    const LinearLayer* const layer = this;
    ForwardTogether({&layer, 1}, x, t, {&y, 1}, pool, phase);
  }
}

void LinearLayer::QuantizeRows(const float* x, uint64_t rows, bool dynamic, int8_t* codes,
                               float* token_scales) const {
  const uint64_t width = k();
  const bool int4 = record_.scheme == Scheme::kW4A4Dynamic;
  for (uint64_t i = 0; i < rows; ++i) {
    const float* row = x + i * width;
    int8_t* out = codes + i * width;
    if (!dynamic) {
      QuantizeStatic(row, width, input_scale_, input_offset_, out);
    } else {
      token_scales[i] = int4 ? QuantizeTokenInt4(row, width, out) : QuantizeToken(row, width, out);
    }
  }
}

void LinearLayer::QuantizeInput(const float* x, uint64_t t, int8_t* codes, float* token_scales,
                                ThreadPool& pool, Phase phase) const {
  const uint64_t width = k();
  const bool dynamic = IsDynamic(phase);
  pool.ParallelFor(t, GrainOf(width), [&](uint64_t begin, uint64_t end) {
    QuantizeRows(x + begin * width, end - begin, dynamic, codes + begin * width,
                 dynamic ? token_scales + begin : nullptr);
  });
}

void LinearLayer::PackInput(const float* x, uint64_t t, Phase phase, QuantizedInput& input,
                            ThreadPool& pool) const {
  const bool dynamic = IsDynamic(phase);
  input.token_scales.resize(t);
  const auto codes_of = [&](uint64_t row, uint64_t rows, int8_t* codes) {
    QuantizeRows(x + row * k(), rows, dynamic, codes, input.token_scales.data() + row);
  };
  input.codes.Pack(t, k(), codes_of, pool);
}

void LinearLayer::ScaleBlock(const Int8Sums& block, const QuantizedInput& input, bool dynamic,
                             float* y, uint64_t stride) const {
  const uint64_t column = block.column;
  const auto at = [column](const std::vector<float>& values) {
    return values.empty() ? nullptr : values.data() + column;
  };
  const ScaledBlock scaled{block.sums, block.stride, block.rows, block.columns, y, stride};
  if (dynamic) {
    ScaleDynamicSums(scaled, {at(weight_scale_), at(correction_), at(bias_)},
                     input.token_scales.data() + block.row);
  } else {
    // The bias of a static product is inside its quant_bias.
    ScaleStaticSums(scaled, quant_bias_.data() + column, at(deq_scale_));
  }
}

bool LinearLayer::SharesInput(const LinearLayer& other, Phase phase) const {
  const auto one_product = [](const LinearLayer& layer) {
    return HasIntegerProduct(layer.scheme()) && layer.groups_ == 1;
  };
  if (!one_product(*this) || !one_product(other) || k() != other.k()) return false;
  const bool dynamic = IsDynamic(phase);
  if (dynamic != other.IsDynamic(phase)) return false;
  if (!dynamic) return input_scale_ == other.input_scale_ && input_offset_ == other.input_offset_;
  return (scheme() == Scheme::kW4A4Dynamic) == (other.scheme() == Scheme::kW4A4Dynamic);
}

void LinearLayer::ForwardTogether(std::span<const LinearLayer* const> layers, const float* x,
                                  uint64_t t, std::span<float* const> y, ThreadPool& pool,
                                  Phase phase) {
  const LinearLayer& first = *layers[0];
  const bool dynamic = first.IsDynamic(phase);
  QuantizedInput& input = InputOfThread();
  for (uint64_t row = 0; row < t; row += kInt8Rows) {
    first.PackInput(x + row * first.k(), std::min(kInt8Rows, t - row), phase, input, pool);
    for (size_t l = 0; l < layers.size(); ++l) {
      const LinearLayer& layer = *layers[l];
      float* const out = y[l] + row * layer.n();
      MatMulInt8Packed(input.codes, layer.packed_[0], pool, [&](const Int8Sums& block) {
        layer.ScaleBlock(block, input, dynamic, out + block.row * layer.n() + block.column,
                         layer.n());
      });
    }
  }
}

void LinearLayer::ForwardGated(const LinearLayer& gate, const LinearLayer& up, const float* x,
                               uint64_t t, float* y, ThreadPool& pool, Phase phase) {
  const bool dynamic = gate.IsDynamic(phase);
  const uint64_t width = gate.n();
  QuantizedInput& input = InputOfThread();
  for (uint64_t row = 0; row < t; row += kInt8Rows) {
    gate.PackInput(x + row * gate.k(), std::min(kInt8Rows, t - row), phase, input, pool);
    const auto join = [&](const Int8Sums& gates, const Int8Sums& ups) {
      thread_local std::vector<float> gate_values, up_values;
      const uint64_t columns = gates.columns;
      gate_values.resize(gates.rows * columns);
      up_values.resize(gates.rows * columns);
      gate.ScaleBlock(gates, input, dynamic, gate_values.data(), columns);
      up.ScaleBlock(ups, input, dynamic, up_values.data(), columns);
      SiluMulRows(gate_values.data(), up_values.data(), gates.rows, columns,
                  y + (row + gates.row) * width + gates.column, width);
    };
    MatMulInt8PackedPair(input.codes, gate.packed_[0], up.packed_[0], pool, join);
  }
}

void LinearLayer::ForwardGroups(const float* x, uint64_t t, float* y, ThreadPool& pool) const {
  const uint64_t outputs = n();
  const uint64_t width = k() / groups_;
  std::vector<int8_t> codes(t * k());
  std::vector<float> token_scales(t);
  QuantizeInput(x, t, codes.data(), token_scales.data(), pool);
  PackedCodes part;
  std::fill_n(y, t * outputs, 0.0F);
  for (uint64_t g = 0; g < groups_; ++g) {
    const auto codes_of_group = [&](uint64_t row, uint64_t rows, int8_t* to) {
      for (uint64_t i = 0; i < rows; ++i)
        std::copy_n(codes.data() + (row + i) * k() + g * width, width, to + i * width);
    };
    part.Pack(t, width, codes_of_group, pool);
    const float* scales = weight_scale_.data() + g * outputs;
    MatMulInt8Packed(part, packed_[g], pool, [&](const Int8Sums& block) {
      for (uint64_t i = 0; i < block.rows; ++i) {
        const int32_t* sums = block.sums + i * block.stride;
        float* out = y + (block.row + i) * outputs + block.column;
        for (uint64_t j = 0; j < block.columns; ++j)
          out[j] += static_cast<float>(sums[j]) * scales[block.column + j];
      }
    });
  }
  for (uint64_t i = 0; i < t; ++i) {
    for (uint64_t j = 0; j < outputs; ++j) y[i * outputs + j] *= token_scales[i];
  }
}

bool LinearLayer::RoundInput(const float* x, uint64_t t, std::vector<float>& rounded,
                             std::vector<float>& token_scales, ThreadPool& pool) const {
  const Scheme scheme = record_.scheme;
  const bool fp8 = scheme == Scheme::kWFP8AFP8Dynamic;
  const bool mx_fp8 = scheme == Scheme::kW8A8MXFP8 || scheme == Scheme::kW4A8MXFP;
  const bool mx_fp4 = scheme == Scheme::kW4A4MXFP4 || scheme == Scheme::kW4A4MXFP4DualScale;
  if (!fp8 && !mx_fp8 && !mx_fp4) return false;
  const uint64_t width = k();
  rounded.assign(x, x + t * width);
  token_scales.assign(t, 1.0F);
  pool.ParallelFor(t, GrainOf(width), [&](uint64_t begin, uint64_t end) {
    std::vector<uint8_t> bytes(width);
    for (uint64_t i = begin; i < end; ++i) {
      const std::span<float> row(rounded.data() + i * width, width);
      if (fp8) {
        token_scales[i] = QuantizeRowFp8(row, DType::kF32, bytes);
        DequantizeRowFp8(bytes, 1.0F, row);
      } else {
        RoundRowToMx(row, mx_fp8 ? MxElement::kFp8 : MxElement::kFp4);
      }
    }
  });
  return true;
}

void LinearLayer::ForwardFloat(const float* x, uint64_t t, float* y, Backend backend,
                               FloatInputs inputs, ThreadPool& pool) const {
  thread_local std::vector<float> rounded;
  std::vector<float> token_scales;
  const DType dtype = record_[Role::kWeight].dtype;
  const bool as_weight = inputs == FloatInputs::kAsWeight && HasFloatWeight(record_.scheme);
  const bool fast = backend == Backend::kFast && !packed_.empty();
  if (as_weight && fast && dtype == DType::kBF16) {
    return MatMulBf16(x, t, packed_[0], y, pool);
  }
  if (as_weight) {
    rounded.assign(x, x + t * k());
    RoundToDType(dtype, rounded.data(), rounded.size());
    x = rounded.data();
  } else if (RoundInput(x, t, rounded, token_scales, pool)) {
    x = rounded.data();
  }
  if (fast) {
    MatMulPacked(x, t, packed_[0], y, pool);
  } else if (HasFloatWeight(record_.scheme) && packed_.empty()) {
    MatMul(x, t, record_[Role::kWeight].view(), y, pool);
  } else {
    ForwardTiles(x, t, y, pool);
  }
  if (weight_scale_.empty()) return;
  for (uint64_t i = 0; i < t; ++i) {
    for (uint64_t j = 0; j < n(); ++j) y[i * n() + j] *= weight_scale_[j] * token_scales[i];
  }
}

void LinearLayer::ForwardTiles(const float* x, uint64_t t, float* y, ThreadPool& pool) const {
  const uint64_t outputs = n();
  const uint64_t width = k();
  pool.ParallelFor(outputs, kDequantizedRows, [&](uint64_t begin, uint64_t end) {
    const uint64_t rows = end - begin;
    Tensor tile(DType::kF32, {rows, width});
    const auto values = tile.as<float>();
    for (uint64_t i = 0; i < rows; ++i) WeightRow(begin + i, values.data() + i * width);
    std::vector<float> part(t * rows);
    MatMul(x, t, tile.view(), part.data(), pool);
    for (uint64_t i = 0; i < t; ++i)
      std::copy_n(part.data() + i * rows, rows, y + i * outputs + begin);
  });
}

void LinearLayer::AddBias(float* y, uint64_t t, ThreadPool& pool) const {
  const uint64_t outputs = n();
  pool.ParallelFor(t, GrainOf(outputs), [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      for (uint64_t j = 0; j < outputs; ++j) y[i * outputs + j] += bias_[j];
    }
  });
}

void LinearLayer::WeightRow(uint64_t index, float* row) const {
  if (packed_.empty()) return DequantizeWeightRow(record_, index, {row, k()});
  thread_local std::vector<std::byte> stored;
  if (!HasIntegerProduct(record_.scheme)) {
    const DType dtype = packed_[0].dtype;
    stored.resize(k() * (DTypeBits(dtype) / 8));
    UnpackRow(packed_[0], index, stored.data());
    ToFloat(dtype, stored.data(), row, k());
    return;
  }
  stored.resize(k());
  for (uint64_t g = 0; g < groups_; ++g)
    UnpackRow(packed_[g], index, stored.data() + g * (k() / groups_));
  const auto* codes = reinterpret_cast<const int8_t*>(stored.data());
  DequantizeCodeRow(record_, index, {codes, k()}, {row, k()});
}

}  // namespace slim
