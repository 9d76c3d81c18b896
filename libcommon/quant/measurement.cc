#include "quant/measurement.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "convert/layer_target.h"
#include "kernels/convert.h"

namespace slim {
namespace {

constexpr uint64_t kRowsPerTask = 16;

struct RowError {
  double signal = 0;
  double noise = 0;
};

Json SpreadJson(const Spread& spread) {
  Json json = Json::Object();
  json.Set("min", Json::Real(spread.min)).Set("median", Json::Real(spread.median));
  return json.Set("max", Json::Real(spread.max));
}

Json InputJson(const InputMeasurement& input) {
  Json json = Json::Object();
  json.Set("min", Json::Real(input.min)).Set("max", Json::Real(input.max));
  return json.Set("channels", SpreadJson(input.channels));
}

std::optional<double> NumberAt(const Json& json, std::string_view key) {
  const Json* value = json.Find(key);
  if (value == nullptr) return std::nullopt;
  // A weight without any error.
  if (value->AsString() == "inf") return std::numeric_limits<double>::infinity();
  return value->AsDouble();
}

std::optional<Spread> SpreadAt(const Json& json, std::string_view key) {
  const Json* value = json.Find(key);
  if (value == nullptr) return std::nullopt;
  return Spread{NumberAt(*value, "min").value_or(0), NumberAt(*value, "median").value_or(0),
                NumberAt(*value, "max").value_or(0)};
}

std::optional<InputMeasurement> InputAt(const Json& json, std::string_view key) {
  const Json* value = json.Find(key);
  if (value == nullptr) return std::nullopt;
  return InputMeasurement{NumberAt(*value, "min").value_or(0), NumberAt(*value, "max").value_or(0),
                          SpreadAt(*value, "channels").value_or(Spread{})};
}

void CountCodes(const LinearRecord& record, LinearMeasurement& measured) {
  const Tensor& weight = record[Role::kWeight];
  if (weight.dtype != DType::kI8) return;
  const auto codes = weight.as<const int8_t>();
  const auto bits = static_cast<uint32_t>(SchemeWeightBits(record.scheme));
  const int low = LowestCode(bits);
  const int high = HighestCode(bits);
  uint64_t at_ends = 0;
  uint64_t zeros = 0;
  for (const int8_t code : codes) {
    // The lower end of a symmetric range is one above the lowest code.
    at_ends += code <= low + 1 || code >= high ? 1 : 0;
    zeros += code == 0 ? 1 : 0;
  }
  const auto count = static_cast<double>(codes.size());
  measured.weight_saturation = static_cast<double>(at_ends) / count;
  measured.weight_zeros = static_cast<double>(zeros) / count;
}

// A static layer without weight_scale holds it as deq_scale / input_scale; the MX types have
// exponents instead.
void MeasureScale(const LinearRecord& record, LinearMeasurement& measured) {
  const bool own = record.Has(Role::kWeightScale);
  if (own && record[Role::kWeightScale].dtype == DType::kU8) return;
  if (own) {
    measured.weight_scale = SpreadOf(PartAsFloats(record, Role::kWeightScale));
  } else if (record.Has(Role::kDeqScale) && record.Has(Role::kInputScale)) {
    std::vector<float> scale = PartAsFloats(record, Role::kDeqScale);
    for (float& value : scale) value /= PartAsFloats(record, Role::kInputScale).front();
    measured.weight_scale = SpreadOf(std::move(scale));
  }
}

}  // namespace

Spread SpreadOf(std::vector<float> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  return {static_cast<double>(values.front()), static_cast<double>(values[values.size() / 2]),
          static_cast<double>(values.back())};
}

InputMeasurement MeasureInput(const ChannelRange& range) {
  InputMeasurement input;
  input.min = static_cast<double>(*std::min_element(range.min.begin(), range.min.end()));
  input.max = static_cast<double>(*std::max_element(range.max.begin(), range.max.end()));
  input.channels = SpreadOf(range.AbsMax());
  return input;
}

Status MeasureWeight(const TensorView& weight, const LinearRecord& record, bool packs_int4,
                     ThreadPool& pool, LinearMeasurement& measured) {
  LinearRecord logical;
  logical.name = record.name;
  logical.scheme = record.scheme;
  for (size_t i = 0; i < kRoleCount; ++i) {
    if (!record.parts[i].empty()) logical.parts[i] = Tensor::Copy(record.parts[i].view());
  }
  SLIM_TRY(UnpackWeight(logical, packs_int4));
  CountCodes(logical, measured);
  MeasureScale(logical, measured);
  if (!CanDequantize(record.scheme)) return {};
  const uint64_t n = weight.shape[0];
  const uint64_t k = weight.shape[1];
  const uint64_t row_bytes = k * (DTypeBits(weight.dtype) / 8);
  std::vector<RowError> errors(n);
  pool.ParallelFor(n, kRowsPerTask, [&](uint64_t begin, uint64_t end) {
    std::vector<float> wanted(k);
    std::vector<float> got(k);
    for (uint64_t i = begin; i < end; ++i) {
      ToFloat(weight.dtype, weight.bytes.data() + i * row_bytes, wanted.data(), k);
      DequantizeWeightRow(logical, i, got);
      for (uint64_t j = 0; j < k; ++j) {
        const double value = static_cast<double>(wanted[j]);
        const double error = value - static_cast<double>(got[j]);
        errors[i].signal += value * value;
        errors[i].noise += error * error;
      }
    }
  });
  LayerLoss loss;
  for (const RowError& error : errors) {
    loss.signal += error.signal;
    loss.noise += error.noise;
  }
  measured.weight_sqnr_db = loss.SqnrDb();
  return {};
}

Json MeasurementJson(const LinearMeasurement& measured) {
  Json json = Json::Object();
  json.Set("name", measured.name);
  const auto number = [&](const char* key, const std::optional<double>& value) {
    if (value) json.Set(key, Json::Real(*value));
  };
  const auto spread = [&](const char* key, const std::optional<Spread>& value) {
    if (value) json.Set(key, SpreadJson(*value));
  };
  number("weight_sqnr_db", measured.weight_sqnr_db);
  number("weight_saturation", measured.weight_saturation);
  number("weight_zeros", measured.weight_zeros);
  spread("weight_scale", measured.weight_scale);
  if (measured.input_before) json.Set("input_before", InputJson(*measured.input_before));
  if (measured.input_after) json.Set("input_after", InputJson(*measured.input_after));
  spread("smoothing", measured.smoothing);
  if (measured.input) {
    json.Set("input_scale", Json::Real(static_cast<double>(measured.input->scale)));
    json.Set("input_offset", Json::Real(static_cast<double>(measured.input->offset)));
  }
  number("input_saturation", measured.input_saturation);
  spread("cache_scale", measured.cache_scale);
  return json;
}

std::optional<LinearMeasurement> ParseMeasurement(std::string_view text) {
  const auto json = ParseJson(text);
  if (!json.ok()) return std::nullopt;
  const Json* name = json->Find("name");
  if (name == nullptr || !name->is_string()) return std::nullopt;
  LinearMeasurement measured;
  measured.name = name->text();
  measured.weight_sqnr_db = NumberAt(*json, "weight_sqnr_db");
  measured.weight_saturation = NumberAt(*json, "weight_saturation");
  measured.weight_zeros = NumberAt(*json, "weight_zeros");
  measured.weight_scale = SpreadAt(*json, "weight_scale");
  measured.input_before = InputAt(*json, "input_before");
  measured.input_after = InputAt(*json, "input_after");
  measured.smoothing = SpreadAt(*json, "smoothing");
  const auto scale = NumberAt(*json, "input_scale");
  const auto offset = NumberAt(*json, "input_offset");
  if (scale && offset)
    measured.input = QuantizationRange{static_cast<float>(*scale), static_cast<float>(*offset)};
  measured.input_saturation = NumberAt(*json, "input_saturation");
  measured.cache_scale = SpreadAt(*json, "cache_scale");
  return measured;
}

}  // namespace slim
