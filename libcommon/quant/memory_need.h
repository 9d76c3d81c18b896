// How much memory a quantization run will take at most, known from headers and the length of the
// calibration text, and what a run does to take less. One block with what is made of it, the
// activations of all samples, and the program itself: nothing grows with the number of blocks.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "quant/options.h"
#include "quant/plan.h"
#include "run/mixture.h"

namespace slim {

// The calibration text of one pass; every pass keeps its own activations.
struct TextSize {
  uint64_t tokens = 0;   // of all samples
  uint64_t longest = 0;  // of one
  uint64_t samples = 1;
};

// An upper bound, in bytes. `ranks`: processes of an mpirun, each of which needs as much.
uint64_t MemoryNeed(const QuantPlan& plan, const QuantOptions& options,
                    const std::vector<TextSize>& texts, ExpertStorage experts, int ranks);

// Routed experts need not be held while the block is calibrated: there is one pass of the samples
// through the block, before anything in it is changed.
bool CanStreamExperts(const QuantPlan& plan, const QuantOptions& options);

// What fits in QuantOptions::max_memory, else in `free` bytes (0: unknown), experts held if
// possible. Errors: kUsage; what is wanted and what would need less, named by flags.
Result<ExpertStorage> ChooseStorage(const QuantPlan& plan, const QuantOptions& options,
                                    const std::vector<TextSize>& texts, uint64_t free, int ranks);

}  // namespace slim
