// Which layers lose most by quantization: every linear ranked by the shape of its inputs, or every
// decoder block by what int8 does to its output, over one float pass of the calibration text.
// Formulas are msModelSlim's (facts: algorithms.md 8.4); where it says nothing, double precision.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace slim {

// kKurtosis: excess kurtosis; kQuantile: step of 8 bits over the interquartile range; kStd: largest
// |x| over the standard deviation around the channels' centres; kMse: of a block's output, with
// int8 weights per channel and int8 inputs.
enum class AnalysisMetric : uint8_t { kKurtosis, kStd, kQuantile, kMse };

std::string_view AnalysisMetricName(AnalysisMetric metric);

struct AnalysisOptions {
  AnalysisMetric metric = AnalysisMetric::kKurtosis;
  std::vector<std::string> patterns = {"*"};  // globs over linears; over blocks for kMse
  std::string calibration_file;               // empty: the set that ships
  int threads = 1;
};

struct LayerScore {
  std::string name;  // of the linear, or the block for kMse
  double score = 0;
};

struct Analysis {
  AnalysisMetric metric = AnalysisMetric::kKurtosis;
  std::string calibration;
  uint64_t samples = 0;
  std::vector<LayerScore> scores;  // highest first; equal ones in model order
};

// The elements that msModelSlim keeps of a sample's sorted values: all below 100, else the 51st,
// 151st, …
std::vector<float> ThinnedSorted(const float* x, uint64_t count);
// Scores of the thinned values of all samples, one after the other.
double KurtosisScore(const std::vector<float>& values);
double QuantileScore(std::vector<float> values);

// Errors: those of calibration; ANALYZE-none when no layer matches the patterns.
Result<Analysis> AnalyzeModel(const Checkpoint& source, const AnalysisOptions& options,
                              Listener& listener);

// The scores of the first `count` ranks; equal scores share a rank.
std::vector<LayerScore> TopScores(const Analysis& analysis, uint64_t count);

}  // namespace slim
