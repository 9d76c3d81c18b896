// How fast a model runs: prompt processing and token generation, as tokens a second. The only part
// of run that reads a clock.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "run/model.h"

namespace slim {

struct BenchOptions {
  uint64_t prompt_tokens = 512;     // 0: no such test
  uint64_t generated_tokens = 128;  // 0: no such test
  uint64_t repetitions = 3;         // after one that is not counted; > 0
  uint64_t context = 0;             // longer tests are cut to it; > 0
};

struct BenchRow {
  std::string test;  // "pp512", "tg128"
  uint64_t tokens = 0;
  std::vector<double> tokens_per_second;  // one a repetition
  double Mean() const;
  double StandardDeviation() const;  // of the sample; 0 for one repetition
};

// `on_run(done, total)` may be empty. Prompts are pseudo-random tokens.
Result<std::vector<BenchRow>> MeasureSpeed(const Model& model, const BenchOptions& options,
                                           const std::function<void(uint64_t, uint64_t)>& on_run);

}  // namespace slim
