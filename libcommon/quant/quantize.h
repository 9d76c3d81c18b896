// The pipeline of slim-quant: calibrate, smooth, quantize and write, block by block; verify what
// was written; one rename.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "os/output.h"
#include "quant/measurement.h"
#include "quant/plan.h"

namespace slim {

struct QuantSummary {
  std::string output;
  Scheme type = Scheme::kFloat;  // QuantPlan::type
  std::string calibration;       // name of the file; empty for data-free types
  uint64_t calibration_samples = 0;
  uint64_t calibration_tokens = 0;
  uint64_t quantized_linears = 0;
  uint64_t float_linears = 0;
  uint64_t bytes_before = 0;
  uint64_t bytes_after = 0;
  // With QuantOptions::measure: of every linear of the plan, in its order.
  std::vector<LinearMeasurement> measurements;
  std::vector<std::string> left_files;  // files beside the model that were not copied
};

// Follows `plan`, which PlanQuantization made from the same source and options. Leaves the complete
// checkpoint at `target` or nothing. Errors besides those of reading and writing: QU-…, CALIB-….
Result<QuantSummary> Quantize(const Checkpoint& source, const QuantPlan& plan,
                              const QuantOptions& options, const std::string& target,
                              const OutputOptions& output, Listener& listener);

}  // namespace slim
