// A whole model in memory: embedding, blocks, head. Computes logits of sequences; knows no text
// (run/text_model.h) and no sampling (run/generate.h). Passes that must hold one block only use
// run/block.h and run/embedding.h themselves.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "model/read_config.h"
#include "parallel/thread_pool.h"
#include "run/block.h"
#include "run/embedding.h"

namespace slim {

// The state of one sequence: its rotary table, its keys and values, and scratch space.
class Sequence {
 public:
  explicit Sequence(const ModelConfig& config);
  // Tokens taken so far.
  uint64_t length() const { return caches_.empty() ? 0 : caches_.front().length(); }
  // Begins anew; memory is kept.
  void Clear(const ModelConfig& config);
  // Keeps the first `length` tokens (<= length()).
  void Truncate(uint64_t length);
  void Reserve(uint64_t positions);

 private:
  friend class Model;
  RopeTable rope_;
  std::vector<KvCacheLayer> caches_;
  BlockScratch scratch_;
  std::vector<float> hidden_;
};

// kStreamed: a block is read when a call needs it and dropped again, of its routed experts only
// those that a token goes to; every call reads the blocks once. For models larger than memory.
enum class BlockStorage : uint8_t { kResident, kStreamed };

// kAuto: one more token of a sequence is decode, anything else prefill.
enum class PhaseChoice : uint8_t { kAuto, kPrefill, kDecode };

class Model {
 public:
  // `checkpoint` must outlive a streamed model.
  static Result<Model> Load(const Checkpoint& checkpoint, Backend backend, ThreadPool& pool,
                            Listener& listener, BlockStorage storage = BlockStorage::kResident);

  const ModelConfig& config() const { return config_; }
  Backend backend() const { return backend_; }
  void set_phase(PhaseChoice phase) { phase_ = phase; }
  uint64_t bytes() const;
  // Sees the choice of experts of every block and call that follows, in the order of the blocks.
  void set_routing_tap(RoutingTap tap) { routing_tap_ = std::move(tap); }

  // Appends `tokens` (at least one) to the sequence. `logits` becomes [tokens, vocab_size], or [1,
  // vocab_size] of the last one. Errors: RUN-token-range, RUN-not-finite (names the first block
  // whose output has a NaN or infinity), kCancelled after a signal; after an error the
  // sequence is of no use until it is cleared.
  Status Forward(std::span<const int32_t> tokens, Sequence& sequence, bool last_only,
                 std::vector<float>& logits) const;

 private:
  Model() = default;
  Status ForwardBlock(const DecoderBlock& block, uint64_t t, Sequence& sequence,
                      const BlockOptions& options) const;
  // The blocks over one chunk of a prompt; leaves the result in the sequence's hidden_.
  Status ForwardChunk(std::span<const int32_t> tokens, Sequence& sequence, Phase phase) const;
  Phase PhaseOf(uint64_t tokens, uint64_t before) const;

  ModelConfig config_;
  Backend backend_ = Backend::kReference;
  PhaseChoice phase_ = PhaseChoice::kAuto;
  ThreadPool* pool_ = nullptr;
  LinearLayer embedding_;  // empty when the head is tied to it
  OutputHead head_;
  std::vector<DecoderBlock> blocks_;        // empty when streamed
  const Checkpoint* checkpoint_ = nullptr;  // when streamed
  RoutingTap routing_tap_;
};

}  // namespace slim
