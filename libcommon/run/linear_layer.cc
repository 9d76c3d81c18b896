#include "run/linear_layer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "kernels/fast_matmul.h"
#include "kernels/matmul.h"
#include "kernels/quantize.h"

namespace slim {
namespace {

// Beyond this an int32 sum of int8 products may wrap (kernels/matmul.h).
constexpr uint64_t kLargestInt8K = uint64_t{1} << 16;
// Weight rows that the reference dequantizes at a time.
constexpr uint64_t kDequantizedRows = 48;

bool CanRun(Scheme scheme) {
  return scheme == Scheme::kFloat || scheme == Scheme::kW8A8 || scheme == Scheme::kW8A8Dynamic ||
         scheme == Scheme::kW8A16;
}

Error UnsupportedType(const LinearRecord& record) {
  return InputError("RUN-unsupported-type",
                    fmt::format("module {} has the quantization type {}, which slim cannot compute",
                                Quote(record.name), SchemeLabel(record.scheme)),
                    "types that run: FLOAT, W8A8, W8A8_DYNAMIC, W8A16");
}

void FloatProduct(const float* x, uint64_t t, const TensorView& w, float* y, Backend backend,
                  ThreadPool& pool) {
  if (backend == Backend::kFast) {
    FastMatMul(x, t, w, y, pool);
  } else {
    MatMul(x, t, w, y, pool);
  }
}

uint64_t GrainOf(uint64_t columns) {
  return std::max<uint64_t>(1, 8192 / std::max<uint64_t>(columns, 1));
}

}  // namespace

Result<LinearLayer> LinearLayer::Load(const Checkpoint& checkpoint, std::string_view module,
                                      uint64_t n, uint64_t k, Backend backend) {
  // Before anything is read: types that cannot run may store tensors of any form.
  SLIM_ASSIGN(const Scheme scheme, checkpoint.SchemeOf(module));
  if (!CanRun(scheme)) {
    LinearRecord named;
    named.name = module;
    named.scheme = scheme;
    return UnsupportedType(named).WithPath(checkpoint.path());
  }
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
  if (!CanRun(record.scheme)) return UnsupportedType(record);
  LinearLayer layer;
  layer.record_ = std::move(record);
  const LinearRecord& r = layer.record_;
  const bool integer = r.scheme == Scheme::kW8A8 || r.scheme == Scheme::kW8A8Dynamic;
  if (integer && r.k() > kLargestInt8K) {
    return InputError("RUN-unsupported-shape",
                      fmt::format("module {} has {} inputs, at most {} can be summed in int32",
                                  Quote(r.name), r.k(), kLargestInt8K));
  }
  if (r.scheme == Scheme::kW8A8Dynamic && r[Role::kWeightScale].elements() != r.n()) {
    return InputError("RUN-unsupported-shape",
                      fmt::format("module {} is W8A8_DYNAMIC with weight_scale {}, wanted one "
                                  "scale an output",
                                  Quote(r.name), ShapeText(r[Role::kWeightScale].shape)));
  }
  // The bias of a static layer is inside its quant_bias.
  if (r.Has(Role::kBias) && r.scheme != Scheme::kW8A8) layer.bias_ = PartAsFloats(r, Role::kBias);
  if (r.scheme == Scheme::kW8A8) {
    layer.output_scale_ = PartAsFloats(r, Role::kDeqScale);
    layer.input_scale_ = PartAsFloats(r, Role::kInputScale)[0];
    layer.input_offset_ = PartAsFloats(r, Role::kInputOffset)[0];
    const auto quant_bias = r[Role::kQuantBias].as<int32_t>();
    layer.quant_bias_.assign(quant_bias.begin(), quant_bias.end());
  } else if (r.scheme == Scheme::kW8A8Dynamic) {
    layer.output_scale_ = PartAsFloats(r, Role::kWeightScale);
  } else if (r.scheme == Scheme::kW8A16 && backend == Backend::kFast) {
    layer.dequantized_ = Tensor(DType::kF32, {r.n(), r.k()});
    const auto values = layer.dequantized_.as<float>();
    for (uint64_t i = 0; i < r.n(); ++i)
      DequantizeWeightRow(r, i, values.subspan(i * r.k(), r.k()));
    layer.record_[Role::kWeight].data = Buffer();
  }
  return layer;
}

uint64_t LinearLayer::bytes() const {
  uint64_t total = dequantized_.data.size() + bias_.size() * sizeof(float) +
                   output_scale_.size() * sizeof(float) + quant_bias_.size() * sizeof(int32_t);
  for (const Tensor& part : record_.parts) total += part.data.size();
  return total;
}

void LinearLayer::Forward(const float* x, uint64_t t, float* y, Backend backend,
                          ThreadPool& pool) const {
  switch (record_.scheme) {
    case Scheme::kW8A8:
    case Scheme::kW8A8Dynamic:
      ForwardInt8(x, t, y, pool);
      break;
    case Scheme::kW8A16:
      ForwardWeightOnly(x, t, y, backend, pool);
      break;
    default:
      FloatProduct(x, t, record_[Role::kWeight].view(), y, backend, pool);
  }
  if (!bias_.empty()) AddBias(y, t, pool);
}

void LinearLayer::QuantizeInput(const float* x, uint64_t t, int8_t* codes, float* token_scales,
                                ThreadPool& pool) const {
  const uint64_t width = k();
  const bool dynamic = record_.scheme == Scheme::kW8A8Dynamic;
  pool.ParallelFor(t, GrainOf(width), [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      if (dynamic) {
        token_scales[i] = QuantizeToken(x + i * width, width, codes + i * width);
      } else {
        QuantizeStatic(x + i * width, width, input_scale_, input_offset_, codes + i * width);
      }
    }
  });
}

void LinearLayer::ForwardInt8(const float* x, uint64_t t, float* y, ThreadPool& pool) const {
  const uint64_t outputs = n();
  std::vector<int8_t> codes(t * k());
  std::vector<float> token_scales(t);
  std::vector<int32_t> sums(t * outputs);
  QuantizeInput(x, t, codes.data(), token_scales.data(), pool);
  MatMulInt8(codes.data(), t, record_[Role::kWeight].as<int8_t>().data(), outputs, k(), sums.data(),
             pool);
  const bool dynamic = record_.scheme == Scheme::kW8A8Dynamic;
  pool.ParallelFor(t, GrainOf(outputs), [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      const int32_t* sum = sums.data() + i * outputs;
      float* out = y + i * outputs;
      if (dynamic) {
        for (uint64_t j = 0; j < outputs; ++j)
          out[j] = static_cast<float>(sum[j]) * output_scale_[j] * token_scales[i];
      } else {
        // The sum with quant_bias may leave int32.
        for (uint64_t j = 0; j < outputs; ++j)
          out[j] = static_cast<float>(int64_t{sum[j]} + quant_bias_[j]) * output_scale_[j];
      }
    }
  });
}

void LinearLayer::ForwardWeightOnly(const float* x, uint64_t t, float* y, Backend backend,
                                    ThreadPool& pool) const {
  if (!dequantized_.empty()) return FloatProduct(x, t, dequantized_.view(), y, backend, pool);
  const uint64_t outputs = n();
  const uint64_t width = k();
  pool.ParallelFor(outputs, kDequantizedRows, [&](uint64_t begin, uint64_t end) {
    const uint64_t rows = end - begin;
    Tensor tile(DType::kF32, {rows, width});
    const auto values = tile.as<float>();
    for (uint64_t i = 0; i < rows; ++i)
      DequantizeWeightRow(record_, begin + i, values.subspan(i * width, width));
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
  if (!dequantized_.empty()) {
    std::copy_n(dequantized_.as<float>().data() + index * k(), k(), row);
    return;
  }
  DequantizeWeightRow(record_, index, {row, k()});
}

}  // namespace slim
