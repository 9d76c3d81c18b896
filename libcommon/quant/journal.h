// Taking up a quantization run that was killed: what identifies a run, and the activations between
// two blocks kept from time to time. What was written is the writer's journal's
// (checkpoint/write_journal.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_writer.h"
#include "quant/calibration.h"
#include "quant/plan.h"

namespace slim {

// Equal for runs that write the same bytes: of the version, the recipe, the calibration tokens of
// every pass, every planned tensor, and name, size and time of change of the input's files.
std::string RunKey(const Checkpoint& source, const QuantPlan& plan, const QuantOptions& options,
                   const std::vector<CalibrationTokens>& texts);

// The modules all of whose tensors a run that was taken up had written.
std::set<std::string> WrittenModules(const QuantPlan& plan, const CheckpointWriter& writer);

class BlockJournal {
 public:
  explicit BlockJournal(CheckpointWriter& writer) : writer_(writer) {}

  // The first of `blocks` that is still to be run; puts the activations before it into `pass`. A
  // damaged state is a warning, and 0.
  uint64_t TakeUp(CalibrationPass& pass, uint64_t blocks, Listener& listener);
  // Blocks before `next` are written. Keeps the activations of `pass`, as often as keeping them
  // takes no more than a tenth of the time.
  Status BlockDone(uint64_t next, const CalibrationPass& pass);

 private:
  CheckpointWriter& writer_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration cost_{};  // of keeping them the last time
};

}  // namespace slim
