// The calibration pass: one float forward over all samples, streamed block by block, that records
// the range of every channel of every linear's input. Memory is one block plus the activations of
// all samples. Smoothing factors and static ranges both follow from these ranges, so one pass
// serves both.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "parallel/thread_pool.h"
#include "run/block.h"

namespace slim {

// Smallest and largest value of each channel over all tokens seen.
struct ChannelRange {
  std::vector<float> min;
  std::vector<float> max;

  // x is [t, k]; k is that of the first call.
  void Update(const float* x, uint64_t t, uint64_t k);
  std::vector<float> AbsMax() const;
};

// By the module name of the linear that reads the input. Linears that share an input have equal
// ranges.
using ChannelRanges = std::map<std::string, ChannelRange, std::less<>>;

struct CalibrationTokens {
  std::string name;  // of the file, for messages and the receipt
  std::vector<std::vector<int32_t>> samples;
  std::string digest;  // XXH3-128 of the file
};

// Reads a calibration file (empty path: the set that ships) and tokenizes it with the checkpoint's
// own tokenizer, special tokens included. Samples longer than the context are cut, with a warning.
// Errors: the file's, the tokenizer's, CALIB-empty.
Result<CalibrationTokens> LoadCalibration(const Checkpoint& checkpoint, const ModelConfig& config,
                                          const std::string& path, Listener& listener);

class CalibrationPass {
 public:
  // `norm_eps` replaces rms_norm_eps of the blocks' norms, where given. The arguments must outlive
  // the pass.
  static Result<CalibrationPass> Start(const Checkpoint& checkpoint, const ModelConfig& config,
                                       const CalibrationTokens& tokens,
                                       std::optional<float> norm_eps, ThreadPool& pool);

  // Runs every sample through the next block. Errors: QU-activation-not-finite names block, linear
  // and sample.
  Result<ChannelRanges> NextBlock();
  // After the last block: the range of lm_head's input.
  Result<ChannelRange> HeadInput();

 private:
  CalibrationPass(const Checkpoint& checkpoint, const ModelConfig& config, ThreadPool& pool)
      : checkpoint_(&checkpoint), config_(&config), pool_(&pool), rope_(config) {}

  const Checkpoint* checkpoint_;
  const ModelConfig* config_;
  ThreadPool* pool_;
  RopeTable rope_;
  std::optional<float> norm_eps_;
  std::vector<std::vector<float>> hidden_;  // by sample: [tokens, hidden_size]
  uint64_t layer_ = 0;
};

}  // namespace slim
