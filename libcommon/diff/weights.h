// The quantized weights of one checkpoint against the same weights of another, without running
// either: what rounding did to each tensor. One layer at a time, whatever dialects the two have.
//
// Smoothing scales columns (and rows, where what follows was smoothed); that changes no function
// and is no error. A least-squares factor a column, then a row, is fitted and divided out where
// half of them are further than 5 % from 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "diff/row_errors.h"
#include "linear/scheme.h"
#include "parallel/thread_pool.h"

namespace slim {

struct WeightErrors {
  std::string name;  // of the module
  Scheme type = Scheme::kFloat;
  uint64_t n = 0;
  uint64_t k = 0;
  ErrorFigures errors;
  // Shares of codes at an end of their range, and that are zero; of integer codes only.
  std::optional<double> saturated;
  std::optional<double> zeros;
  bool smoothed = false;  // columns or rows were scaled
};

struct WeightReport {
  std::string first;  // path
  std::string second;
  std::string first_dialect;
  std::string second_dialect;
  std::vector<WeightErrors> tensors;   // in the order of the second checkpoint
  std::vector<std::string> unmatched;  // quantized layers that the first does not have
};

// Errors: those of opening and reading; DIFF-weights when no quantized layer of the second has its
// like in the first; LIN-shape when shapes differ; DIFF-not-finite when a weight has a NaN or an
// infinity.
Result<WeightReport> CompareWeights(const std::string& first, const std::string& second,
                                    ThreadPool& pool, Listener& listener);

}  // namespace slim
