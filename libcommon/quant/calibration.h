// The calibration samples on their way through the model, block by block: holds the hidden states
// of every sample between two blocks and runs a block over them, as often as a recipe needs. Memory
// is one block plus the activations of all samples. What is observed is the caller's business.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "parallel/thread_pool.h"
#include "run/block.h"

namespace slim {

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
  // The arguments must outlive the pass.
  static Result<CalibrationPass> Start(const Checkpoint& checkpoint, const ModelConfig& config,
                                       const CalibrationTokens& tokens, ThreadPool& pool);

  // Runs every sample through `block`, whose hooks `options` holds; `sample_done` (may be empty) is
  // called after each. With `advance` the outputs become the inputs of the next block, else they
  // are dropped. Under mpirun the samples are spread over the ranks, and every rank's hooks see all
  // of them in order, unless replace_input makes one depend on those before. Errors:
  // QU-activation-not-finite names block, linear and sample; those of
  // `sample_done`.
  Status Forward(const DecoderBlock& block, BlockOptions options,
                 const std::function<Status(size_t sample)>& sample_done, bool advance);
  // Before the first block: the hidden states of every sample, rotated in place.
  void ChangeHidden(const std::function<void(std::span<float> rows)>& change);
  // After the last block, once: calls `see` with the input of lm_head of each sample, [t, k].
  // `fused`: the final norm's weight has gone into lm_head.
  Status Head(bool fused, const std::function<void(const float* x, uint64_t t, uint64_t k)>& see);

  // The activations between two blocks, sample after sample, and putting them back in place: an
  // error when they are not of this model and text.
  std::vector<std::span<const std::byte>> State() const;
  Status Restore(std::string_view bytes);

  size_t sample_count() const { return hidden_.size(); }

 private:
  CalibrationPass(const Checkpoint& checkpoint, const ModelConfig& config, ThreadPool& pool)
      : checkpoint_(&checkpoint), config_(&config), pool_(&pool), rope_(config) {}

  struct Seen;  // what the hooks of one sample were called with
  Seen ForwardApart(const DecoderBlock& block, BlockOptions options, size_t sample);
  Status ForwardInWaves(const DecoderBlock& block, const BlockOptions& options,
                        const std::function<Status(size_t sample)>& sample_done, bool advance);
  static void Replay(std::span<const std::byte> bytes, const BlockOptions& options,
                     std::vector<float>* hidden);

  const Checkpoint* checkpoint_;
  const ModelConfig* config_;
  ThreadPool* pool_;
  RopeTable rope_;
  std::vector<std::vector<float>> hidden_;  // by sample: [tokens, hidden_size]
  BlockScratch scratch_;  // kept from block to block: fresh memory costs a page fault a page
};

}  // namespace slim
