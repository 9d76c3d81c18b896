#include "quant/working_block.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <limits>
#include <mutex>

#include "kernels/convert.h"
#include "kernels/matmul.h"
#include "kernels/reduce.h"
#include "model/modules.h"

namespace slim {
namespace {

constexpr uint64_t kRowsPerTask = 16;
constexpr uint64_t kRowsPerMaximum = 256;

uint64_t RowBytes(const Tensor& weight) { return weight.shape[1] * (DTypeBits(weight.dtype) / 8); }

void LoadRow(const Tensor& weight, uint64_t row, std::span<float> values) {
  ToFloat(weight.dtype, weight.data.data() + row * RowBytes(weight), values.data(), values.size());
}

std::vector<float> BiasOf(const LinearRecord& record) { return PartAsFloats(record, Role::kBias); }

Tensor VectorTensor(DType dtype, std::span<const float> values) {
  Tensor tensor(dtype, {values.size()});
  FromFloat(dtype, values.data(), tensor.data.data(), values.size());
  return tensor;
}

}  // namespace

Result<WorkingBlock> WorkingBlock::Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                        uint64_t layer, ComputeMode compute, ExpertStorage experts,
                                        ThreadPool& pool) {
  SLIM_ASSIGN(DecoderBlock block,
              DecoderBlock::Load(checkpoint, config, layer, Backend::kReference, experts));
  WorkingBlock working(checkpoint, compute, pool, std::make_unique<DecoderBlock>(std::move(block)));
  if (experts == ExpertStorage::kResident) return working;
  for (const Module& module : BlockModules(config, layer)) {
    if (!module.IsLinear() || working.linears_.contains(module.name)) continue;
    working.streamed_[module.name] = {module.weight_shape[0], module.weight_shape[1], {}};
  }
  return working;
}

WorkingBlock::WorkingBlock(const Checkpoint& checkpoint, ComputeMode compute, ThreadPool& pool,
                           std::unique_ptr<DecoderBlock> block)
    : checkpoint_(&checkpoint), compute_(compute), pool_(&pool), block_(std::move(block)) {
  const BlockParts parts = block_->Parts();
  for (LinearLayer* linear : parts.linears) linears_.emplace(linear->name(), linear);
  for (Norm* norm : parts.norms) norms_.emplace(norm->name, norm);
}

LinearLayer& WorkingBlock::LayerOf(std::string_view linear) {
  const auto place = linears_.find(linear);
  assert(place != linears_.end());
  return *place->second;
}

Norm& WorkingBlock::NormAt(std::string_view name) {
  const auto place = norms_.find(name);
  assert(place != norms_.end());
  return *place->second;
}

WorkingBlock::StreamedLinear* WorkingBlock::Streamed(std::string_view linear) {
  const auto place = streamed_.find(linear);
  return place == streamed_.end() ? nullptr : &place->second;
}

LinearLayer& WorkingBlock::ReadStreamed(std::string_view linear, const StreamedLinear& streamed) {
  if (current_ && current_->name() == linear) return *current_;
  current_.reset();
  auto read = LinearLayer::Load(*checkpoint_, linear, streamed.n, streamed.k, Backend::kReference);
  if (!read.ok()) {
    if (status_.ok()) status_ = std::move(read).error();
    LinearRecord zero;
    zero.name = linear;
    zero[Role::kWeight] = Tensor(DType::kF32, {streamed.n, streamed.k});
    read = LinearLayer::FromRecord(std::move(zero), Backend::kReference);
  }
  current_.emplace(std::move(read).value());
  for (const Scaling& change : streamed.changes)
    Scale(*current_, change.of_columns, change.factors);
  return *current_;
}

const LinearRecord& WorkingBlock::Linear(std::string_view name) {
  if (const StreamedLinear* streamed = Streamed(name))
    return ReadStreamed(name, *streamed).record();
  return LayerOf(name).record();
}

const Norm& WorkingBlock::NormOf(std::string_view name) { return NormAt(name); }

DType WorkingBlock::StoredDType(const std::string& tensor) const {
  const TensorEntry* entry = checkpoint_->Find(tensor);
  return entry == nullptr ? DType::kF32 : entry->dtype;
}

void WorkingBlock::WidenColumnMax(std::string_view linear, bool with_sign,
                                  std::span<float> largest) {
  const Tensor& weight = Linear(linear)[Role::kWeight];
  const uint64_t k = weight.shape[1];
  std::mutex widening;
  pool_->ParallelFor(weight.shape[0], kRowsPerMaximum, [&](uint64_t begin, uint64_t end) {
    std::vector<float> row(k);
    std::vector<float> part(k, -std::numeric_limits<float>::infinity());
    const auto widen = [](std::span<const float> values, std::span<float> to) {
      for (size_t i = 0; i < values.size(); ++i) to[i] = std::max(to[i], values[i]);
    };
    for (uint64_t i = begin; i < end; ++i) {
      LoadRow(weight, i, row);
      if (with_sign) {
        widen(row, part);
      } else {
        UpdateColumnAbsMax(row.data(), 1, k, part.data());
      }
    }
    const std::lock_guard lock(widening);
    widen(part, largest);
  });
}

void WorkingBlock::AddColumnSquares(std::string_view linear, std::span<float> squares) {
  const Tensor& weight = Linear(linear)[Role::kWeight];
  std::vector<float> row(weight.shape[1]);
  for (uint64_t i = 0; i < weight.shape[0]; ++i) {
    LoadRow(weight, i, row);
    for (size_t k = 0; k < row.size(); ++k) squares[k] += row[k] * row[k];
  }
}

void WorkingBlock::Replace(LinearLayer& layer, Role role, Tensor part) {
  LinearRecord record = std::move(layer).TakeRecord();
  record[role] = std::move(part);
  changed_.emplace(record.name);
  layer = LinearLayer::FromRecord(std::move(record), Backend::kReference).value();
}

template <typename ForRow>
void WorkingBlock::ChangeRows(LinearLayer& layer, const ForRow& change) {
  LinearRecord record = std::move(layer).TakeRecord();
  Tensor& from = record[Role::kWeight];
  const DType working = Working(from.dtype);
  // In place where the dtype stays.
  Tensor wider = working == from.dtype ? Tensor() : Tensor(working, from.shape);
  Tensor& weight = wider.empty() ? from : wider;
  const uint64_t k = from.shape[1];
  pool_->ParallelFor(from.shape[0], kRowsPerTask, [&](uint64_t begin, uint64_t end) {
    std::vector<float> row(k);
    for (uint64_t i = begin; i < end; ++i) {
      LoadRow(from, i, row);
      change(i, std::span<float>(row));
      FromFloat(weight.dtype, row.data(), weight.data.data() + i * RowBytes(weight), k);
    }
  });
  if (!wider.empty()) from = std::move(wider);
  changed_.emplace(record.name);
  layer = LinearLayer::FromRecord(std::move(record), Backend::kReference).value();
}

void WorkingBlock::Scale(LinearLayer& layer, bool of_columns, std::span<const float> factors) {
  if (of_columns) {
    ChangeRows(layer, [&](uint64_t, std::span<float> row) {
      for (size_t k = 0; k < row.size(); ++k) row[k] *= factors[k];
    });
    return;
  }
  ChangeRows(layer, [&](uint64_t i, std::span<float> row) {
    for (float& value : row) value *= factors[i];
  });
  const LinearRecord& record = layer.record();
  if (!record.Has(Role::kBias)) return;
  std::vector<float> bias = BiasOf(record);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] *= factors[i];
  Replace(layer, Role::kBias, VectorTensor(Working(record[Role::kBias].dtype), bias));
}

void WorkingBlock::ScaleColumns(std::string_view linear, std::span<const float> scale) {
  StreamedLinear* streamed = Streamed(linear);
  if (streamed == nullptr) return Scale(LayerOf(linear), true, scale);
  streamed->changes.push_back({true, {scale.begin(), scale.end()}});
  changed_.emplace(linear);
  current_.reset();
}

void WorkingBlock::ScaleRows(std::string_view linear, std::span<const float> factor) {
  StreamedLinear* streamed = Streamed(linear);
  if (streamed == nullptr) return Scale(LayerOf(linear), false, factor);
  streamed->changes.push_back({false, {factor.begin(), factor.end()}});
  changed_.emplace(linear);
  current_.reset();
}

void WorkingBlock::AddShiftToBias(std::string_view linear, std::span<const float> shift) {
  const LinearRecord& record = Linear(linear);
  const Tensor& weight = record[Role::kWeight];
  const DType dtype = record.Has(Role::kBias) ? record[Role::kBias].dtype : weight.dtype;
  std::vector<float> bias(weight.shape[0]);
  if (record.Has(Role::kBias)) bias = BiasOf(record);
  std::vector<float> product(weight.shape[0]);
  MatMul(shift.data(), 1, weight.view(), product.data(), *pool_);
  for (size_t i = 0; i < bias.size(); ++i) bias[i] += Rounded(product[i], Working(dtype));
  SetBias(linear, VectorTensor(Working(dtype), bias));
}

void WorkingBlock::SetNorm(std::string_view name, std::vector<float> weight,
                           std::vector<float> bias) {
  Norm& norm = NormAt(name);
  norm.weight = std::move(weight);
  norm.bias = std::move(bias);
  changed_.emplace(name);
}

void WorkingBlock::SetWeight(std::string_view linear, Tensor weight) {
  Replace(LayerOf(linear), Role::kWeight, std::move(weight));
}

void WorkingBlock::SetBias(std::string_view linear, Tensor bias) {
  Replace(LayerOf(linear), Role::kBias, std::move(bias));
}

}  // namespace slim
