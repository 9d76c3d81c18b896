// What a run saw of each linear on its way to codes, for its report: a handful of numbers a linear,
// taken while the weights and activations were there anyway. Decides nothing, changes no byte.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "linear/int8.h"
#include "linear/linear_record.h"
#include "parallel/thread_pool.h"
#include "quant/observer.h"

namespace slim {

struct Spread {
  double min = 0;
  double median = 0;
  double max = 0;
};

// Of the activations that enter a linear.
struct InputMeasurement {
  double min = 0;
  double max = 0;
  Spread channels;  // largest |x| of each channel
};

// What is empty was not measured: the linear stays float, has no such part, or an earlier run that
// made no report had written it.
struct LinearMeasurement {
  std::string name;
  std::optional<double> weight_sqnr_db;     // of the weight after smoothing
  std::optional<double> weight_saturation;  // share of the codes at the ends of their range
  std::optional<double> weight_zeros;       // share of the codes that are 0
  std::optional<Spread> weight_scale;
  std::optional<InputMeasurement> input_before;  // smoothing
  std::optional<InputMeasurement> input_after;
  std::optional<Spread> smoothing;         // what each input channel was divided by
  std::optional<QuantizationRange> input;  // the static one
  std::optional<double> input_saturation;  // share of the calibration values outside it
  std::optional<Spread> cache_scale;       // of k_proj and v_proj with an int8 cache
};

// Of positive finite values; all 0 without any.
Spread SpreadOf(std::vector<float> values);
InputMeasurement MeasureInput(const ChannelRange& range);

// The numbers of the weight. `weight`: [n, k], what `record`, as QuantizeLinear gives it for
// `packs_int4`, was made of. Sums are taken in the order of the rows.
Status MeasureWeight(const TensorView& weight, const LinearRecord& record, bool packs_int4,
                     ThreadPool& pool, LinearMeasurement& measured);

// Without the members that were not measured. Numbers read back as they were.
Json MeasurementJson(const LinearMeasurement& measured);
// Empty for what MeasurementJson has not written.
std::optional<LinearMeasurement> ParseMeasurement(std::string_view text);

}  // namespace slim
