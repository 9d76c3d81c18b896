// The figures of a comparison by the names that JSON and CSV give them, and the phrases that all
// forms of the report share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "diff/compare.h"

namespace slim {

struct DiffFigure {
  std::string statistic;
  double value;
};

// None of kGreedy's texts, nor of kRouting without experts.
std::vector<DiffFigure> DiffFigures(const DiffResult& result, Metric metric);
std::vector<DiffFigure> LinearFigures(const LinearErrors& linear);
std::vector<DiffFigure> BlockFigures(const BlockErrors& block);
std::vector<DiffFigure> WeightFigures(const WeightErrors& weight);

std::string_view DiffSideName(Side side);  // "first", "second"
// "second (path), window 3: the logits have …"
std::string NonFiniteText(const DiffResult& result);
// "mean KL divergence 0.2 > 0.1"
std::string ThresholdText(const ThresholdResult& threshold);
// What to try when a limit is not met; empty when all are, and when the second is not quantized.
std::vector<std::string_view> DiffAdvice(const DiffResult& result);
std::string SixDigits(double value);  // six significant digits

}  // namespace slim
