// A whole model in memory: embedding, blocks, head. Computes logits of sequences; knows no text
// (run/text_model.h) and no sampling (run/generate.h). Passes that must hold one block only use
// run/block.h and run/embedding.h themselves.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "model/read_config.h"
#include "parallel/thread_pool.h"
#include "run/block.h"
#include "run/embedding.h"
#include "run/layer_observer.h"

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
  // Another one that has taken the same tokens.
  Sequence Fork() const;
  void Reserve(uint64_t positions);
  // Rotary rows for a prompt of `positions` that is going to be taken in parts: dynamic scaling
  // depends on the whole of it.
  void Expect(uint64_t positions) { rope_.Extend(positions); }

 private:
  friend class Model;
  Sequence(RopeTable rope, std::vector<KvCacheLayer> caches)
      : rope_(std::move(rope)), caches_(std::move(caches)) {}

  RopeTable rope_;
  std::vector<KvCacheLayer> caches_;
  BlockScratch scratch_;
  std::vector<float> hidden_;
};

// One token each of several sequences, computed together: every weight is read once for all. What a
// sequence gets is, bit for bit, what it gets alone.
struct DecodeBatch {
  std::vector<Sequence*> sequences;
  std::vector<int32_t> tokens;  // one a sequence
  // Filled by Model::Decode:
  std::vector<float> logits;     // [sequences, vocab_size]
  std::vector<Status> statuses;  // RUN-not-finite of a sequence, which is of no use then

  BlockScratch scratch;  // memory that is kept between calls
  std::vector<float> hidden;
  std::vector<SequenceSlice> slices;
};

// Which rows of logits a call wants.
enum class LogitRows : uint8_t { kNone, kLast, kAll };

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
  // Sees every call of Forward that follows, a prompt in one part. Must outlive them.
  void set_observer(LayerObserver* observer) { observer_ = observer; }
  void set_kv_cache(KvCacheType type) { kv_cache_ = type; }
  void set_float_inputs(FloatInputs inputs) { float_inputs_ = inputs; }
  uint64_t bytes() const;
  // Sees the choice of experts of every block and call that follows, in the order of the blocks.
  void set_routing_tap(RoutingTap tap) { routing_tap_ = std::move(tap); }

  // Appends `tokens` (at least one) to the sequence. `logits` becomes [tokens, vocab_size], or [1,
  // vocab_size] of the last one. Errors: RUN-token-range, RUN-not-finite (names the first block
  // whose output has a NaN or infinity), kCancelled after a signal; after an error the
  // sequence is of no use until it is cleared.
  Status Forward(std::span<const int32_t> tokens, Sequence& sequence, bool last_only,
                 std::vector<float>& logits) const;
  // The same of a part of a prompt: prefill also where the part is one token. Parts that end at
  // multiples of kPromptPart are what Forward does of the whole.
  Status Prefill(std::span<const int32_t> tokens, Sequence& sequence, LogitRows rows,
                 std::vector<float>& logits) const;
  // One more token of every sequence of the batch, none of which is empty. An error concerns them
  // all (RUN-token-range, reading of a streamed model, kCancelled); statuses are of single ones.
  Status Decode(DecodeBatch& batch) const;

  // Tokens that pass through the blocks together; bounds the activations of a long prompt.
  static constexpr uint64_t kPromptPart = 512;

 private:
  Model() = default;
  // Fills blocks_, unless streamed, and head_.
  Status LoadParts(const Checkpoint& checkpoint, Listener& listener);
  Status ForwardTokens(std::span<const int32_t> tokens, Sequence& sequence, Phase phase,
                       LogitRows rows, std::vector<float>& logits) const;
  // Calls `visit` with every block in order, read where the model is streamed.
  Status ForEachBlock(const std::function<Status(const DecoderBlock&)>& visit) const;
  Status DecodeBlock(const DecoderBlock& block, const BlockOptions& options,
                     DecodeBatch& batch) const;
  void Embed(std::span<const int32_t> tokens, std::vector<float>& hidden) const;
  BlockOptions OptionsOf(Phase phase, BlockScratch& scratch) const;
  // The blocks over one chunk of a prompt; leaves the result in the sequence's hidden_.
  Status ForwardChunk(std::span<const int32_t> tokens, Sequence& sequence, Phase phase) const;
  Phase PhaseOf(uint64_t tokens, uint64_t before) const;

  ModelConfig config_;
  Backend backend_ = Backend::kReference;
  PhaseChoice phase_ = PhaseChoice::kAuto;
  KvCacheType kv_cache_ = KvCacheType::kCheckpoint;
  FloatInputs float_inputs_ = FloatInputs::kFp32;
  ThreadPool* pool_ = nullptr;
  LinearLayer embedding_;  // empty when the head is tied to it
  OutputHead head_;
  std::vector<DecoderBlock> blocks_;        // empty when streamed
  const Checkpoint* checkpoint_ = nullptr;  // when streamed
  RoutingTap routing_tap_;
  LayerObserver* observer_ = nullptr;
};

}  // namespace slim
