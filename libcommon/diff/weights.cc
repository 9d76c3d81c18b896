#include "diff/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/layer_reader.h"
#include "checkpoint/layer_rows.h"
#include "diff/frames.h"
#include "kernels/reduce.h"
#include "os/interrupt.h"

namespace slim {
namespace {

constexpr uint64_t kRowGrain = 32;

struct OpenSide {
  std::unique_ptr<Checkpoint> checkpoint;
  std::unique_ptr<LayerReader> reader;
};

Result<OpenSide> OpenSideAt(const std::string& path) {
  SLIM_ASSIGN(Checkpoint checkpoint, Checkpoint::OpenForeign(path));
  OpenSide side;
  side.checkpoint = std::make_unique<Checkpoint>(std::move(checkpoint));
  SLIM_ASSIGN(side.reader, OpenLayers(*side.checkpoint));
  return side;
}

// The weight of a float layer that stands as a plain tensor, or of a linear.
std::string ModuleOf(const LogicalLayer& layer) {
  if (layer.is_linear) return layer.name;
  return std::string(SplitTensorName(layer.name).module);
}

bool IsWeight(const LogicalLayer& layer) {
  if (layer.is_linear) return layer.Has(Role::kWeight) && CanDequantize(layer.scheme);
  return SplitTensorName(layer.name).suffix == "weight" && layer.shape().size() == 2;
}

// [n, k] in float32.
Result<std::vector<float>> Floats(const LayerReader& reader, const LogicalLayer& layer,
                                  const LinearRecord& record, ThreadPool& pool) {
  const uint64_t n = layer.n();
  const uint64_t k = layer.k();
  std::vector<float> values(n * k);
  pool.ParallelFor(n, kRowGrain, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i)
      DequantizeLayerRow(layer, record, i, {values.data() + i * k, k});
  });
  if (AllFinite(values.data(), values.size())) return values;
  return InputError("DIFF-not-finite", "has a NaN or an infinity",
                    "see 'slim-verify --deep' for broken weights and scales")
      .WithTensor(ModuleOf(layer) + ".weight")
      .WithPath(reader.source().path());
}

bool Deviates(std::vector<double> factors) {
  const auto middle = factors.begin() + static_cast<ptrdiff_t>(factors.size() / 2);
  std::nth_element(factors.begin(), middle, factors.end(),
                   [](double a, double b) { return std::fabs(a - 1) < std::fabs(b - 1); });
  return std::fabs(*middle - 1) >= kFitTolerance;
}

// Factors that turn a into b, column by column or row by row.
std::vector<double> Fit(const std::vector<float>& a, const std::vector<float>& b, uint64_t n,
                        uint64_t k, bool columns) {
  std::vector<double> product(columns ? k : n), square(columns ? k : n);
  for (uint64_t i = 0; i < n; ++i) {
    for (uint64_t j = 0; j < k; ++j) {
      const double value = a[i * k + j];
      const uint64_t at = columns ? j : i;
      product[at] += value * b[i * k + j];
      square[at] += value * value;
    }
  }
  for (size_t i = 0; i < product.size(); ++i)
    product[i] = square[i] > 0 && product[i] > 0 ? product[i] / square[i] : 1.0;
  return product;
}

// Scales `wanted` as `found` was; true when there was anything to undo.
bool UndoSmoothing(std::vector<float>& wanted, const std::vector<float>& found, uint64_t n,
                   uint64_t k) {
  bool undone = false;
  for (const bool columns : {true, false}) {
    const std::vector<double> factors = Fit(wanted, found, n, k, columns);
    if (!Deviates(factors)) continue;
    undone = true;
    for (uint64_t i = 0; i < n; ++i) {
      for (uint64_t j = 0; j < k; ++j)
        wanted[i * k + j] = static_cast<float>(wanted[i * k + j] * factors[columns ? j : i]);
    }
  }
  return undone;
}

int LargestCode(Scheme scheme) { return SchemeWeightBits(scheme) == 4 ? 7 : 127; }

void CountCodes(const LinearRecord& record, WeightErrors& errors) {
  const Tensor& weight = record[Role::kWeight];
  if (weight.dtype != DType::kI8) return;
  const int largest = LargestCode(record.scheme);
  uint64_t saturated = 0;
  uint64_t zeros = 0;
  for (const int8_t code : weight.as<int8_t>()) {
    saturated += code >= largest || code <= -largest;
    zeros += code == 0;
  }
  const auto count = static_cast<double>(weight.elements());
  errors.saturated = static_cast<double>(saturated) / count;
  errors.zeros = static_cast<double>(zeros) / count;
}

Result<LinearRecord> ReadAll(const LayerReader& reader, const LogicalLayer& layer) {
  auto record = reader.Read(layer, LayerReader::Parts::kAll);
  if (record.ok()) return record;
  Error error = std::move(record).error();
  return error.path.empty() ? std::move(error).WithPath(reader.source().path()) : error;
}

Result<WeightErrors> CompareLayer(const LayerReader& first, const LogicalLayer& wanted,
                                  const LayerReader& second, const LogicalLayer& found,
                                  ThreadPool& pool) {
  if (wanted.shape() != found.shape()) {
    return InputError("LIN-shape",
                      fmt::format("has shape {}, in {} it is {}", ShapeText(found.shape()),
                                  Escape(first.source().path()), ShapeText(wanted.shape())))
        .WithTensor(found.name + ".weight")
        .WithPath(second.source().path());
  }
  WeightErrors errors;
  errors.name = found.name;
  errors.type = found.scheme;
  errors.n = found.n();
  errors.k = found.k();
  SLIM_ASSIGN(const LinearRecord first_record, ReadAll(first, wanted));
  SLIM_ASSIGN(const LinearRecord second_record, ReadAll(second, found));
  SLIM_ASSIGN(std::vector<float> a, Floats(first, wanted, first_record, pool));
  SLIM_ASSIGN(const std::vector<float> b, Floats(second, found, second_record, pool));
  errors.smoothed = UndoSmoothing(a, b, errors.n, errors.k);
  errors.errors = CompareRows(a.data(), b.data(), errors.n, errors.k, {}, pool).Figures();
  CountCodes(second_record, errors);
  return errors;
}

}  // namespace

Result<WeightReport> CompareWeights(const std::string& first_path, const std::string& second_path,
                                    ThreadPool& pool, Listener& listener) {
  SLIM_ASSIGN(const OpenSide first, OpenSideAt(first_path));
  SLIM_ASSIGN(const OpenSide second, OpenSideAt(second_path));
  WeightReport report;
  report.first = first.checkpoint->path();
  report.second = second.checkpoint->path();
  report.first_dialect = first.checkpoint->traits().name;
  report.second_dialect = second.checkpoint->traits().name;
  std::map<std::string, const LogicalLayer*> weights;
  for (const LogicalLayer& layer : first.reader->layers()) {
    if (IsWeight(layer)) weights[ModuleOf(layer)] = &layer;
  }
  const std::vector<LogicalLayer>& layers = second.reader->layers();
  for (size_t i = 0; i < layers.size(); ++i) {
    SLIM_TRY(CheckInterrupt());
    listener.Progress("weights", i + 1, layers.size());
    if (!layers[i].is_quantized() || !IsWeight(layers[i])) continue;
    const auto wanted = weights.find(layers[i].name);
    if (wanted == weights.end()) {
      report.unmatched.push_back(layers[i].name);
      continue;
    }
    SLIM_ASSIGN(WeightErrors errors,
                CompareLayer(*first.reader, *wanted->second, *second.reader, layers[i], pool));
    report.tensors.push_back(std::move(errors));
  }
  if (!report.tensors.empty()) return report;
  return InputError("DIFF-weights",
                    fmt::format("has no quantized layer that {} has, too: there is nothing to "
                                "compare",
                                Escape(report.first)),
                    "give the float checkpoint first and the quantized one second")
      .WithPath(report.second);
}

}  // namespace slim
