#include "run/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include "base/text.h"
#include "kernels/convert.h"
#include "kernels/reduce.h"
#include "model/modules.h"
#include "os/interrupt.h"
#include "run/finite.h"

namespace slim {
namespace {

Error NotFinite(std::string_view what) {
  return InputError("RUN-not-finite",
                    fmt::format("the output of {} has a NaN or an infinity", Quote(what)),
                    "see 'slim-verify --deep' for broken weights and scales");
}

}  // namespace

Sequence::Sequence(const ModelConfig& config) : rope_(config) {
  caches_.assign(config.num_layers, KvCacheLayer(config));
}

void Sequence::Clear(const ModelConfig& config) {
  for (KvCacheLayer& cache : caches_) cache.Truncate(0);
  // Rows of a dynamic table depend on the sequence that asked for them.
  if (config.rope.kind == RopeKind::kDynamic) rope_ = RopeTable(config);
}

void Sequence::Truncate(uint64_t length) {
  for (KvCacheLayer& cache : caches_) cache.Truncate(length);
}

Sequence Sequence::Fork() const { return Sequence(rope_, caches_); }

void Sequence::Reserve(uint64_t positions) {
  for (KvCacheLayer& cache : caches_) cache.Reserve(positions);
}

Result<Model> Model::Load(const Checkpoint& checkpoint, Backend backend, ThreadPool& pool,
                          Listener& listener, BlockStorage storage) {
  Model model;
  model.backend_ = backend;
  model.pool_ = &pool;
  SLIM_ASSIGN(model.config_, ReadModelConfig(checkpoint));
  SLIM_TRY(CheckExpertCount(checkpoint, model.config_));
  if (storage == BlockStorage::kStreamed) model.checkpoint_ = &checkpoint;
  SLIM_TRY(model.LoadParts(checkpoint, listener));
  if (!model.head_.tied()) {
    SLIM_ASSIGN(
        model.embedding_,
        LinearLayer::Load(checkpoint, EmbeddingName(model.config_), model.config_.vocab_size,
                          model.config_.hidden_size, Backend::kReference));
  }
  return model;
}

// Every thread reads a part of its own: one alone does not reach the speed of memory. The head
// comes first, because it is the largest of many models.
Status Model::LoadParts(const Checkpoint& checkpoint, Listener& listener) {
  const uint64_t layers = checkpoint_ != nullptr ? 0 : config_.num_layers;
  std::vector<std::optional<DecoderBlock>> blocks(layers);
  std::vector<Status> statuses(layers + 1);  // the head's is last
  std::mutex mutex;
  uint64_t done = 0;
  const auto load = [&](uint64_t part) -> Status {
    SLIM_TRY(CheckInterrupt());
    if (part == 0) {
      SLIM_ASSIGN(head_, OutputHead::Load(checkpoint, config_, backend_));
      return {};
    }
    SLIM_ASSIGN(DecoderBlock block, DecoderBlock::Load(checkpoint, config_, part - 1, backend_));
    blocks[part - 1] = std::move(block);
    const std::lock_guard lock(mutex);
    listener.Progress("loading blocks", ++done, layers);
    return {};
  };
  std::atomic<bool> failed{false};  // parts begin in order: what came before one that failed ends
  pool_->ParallelFor(layers + 1, 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t part = begin; part < end && !failed; ++part) {
      Status status = load(part);
      if (part > 0 && !status.ok()) failed = true;
      statuses[part == 0 ? layers : part - 1] = std::move(status);
    }
  });
  for (Status& status : statuses) SLIM_TRY(std::move(status));
  for (std::optional<DecoderBlock>& block : blocks) blocks_.push_back(*std::move(block));
  return {};
}

uint64_t Model::bytes() const {
  uint64_t total = head_.bytes() + (head_.tied() ? 0 : embedding_.bytes());
  for (const DecoderBlock& block : blocks_) total += block.bytes();
  return total;
}

Phase Model::PhaseOf(uint64_t tokens, uint64_t before) const {
  if (phase_ != PhaseChoice::kAuto)
    return phase_ == PhaseChoice::kDecode ? Phase::kDecode : Phase::kPrefill;
  return tokens == 1 && before > 0 ? Phase::kDecode : Phase::kPrefill;
}

void Model::Embed(std::span<const int32_t> tokens, std::vector<float>& hidden) const {
  const LinearLayer& embedding = head_.tied() ? head_.linear() : embedding_;
  hidden.resize(tokens.size() * config_.hidden_size);
  // In parallel, because the elements of a packed row lie apart: as many misses as there are.
  pool_->ParallelFor(tokens.size(), 8, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i)
      embedding.WeightRow(static_cast<uint64_t>(tokens[i]),
                          hidden.data() + i * config_.hidden_size);
  });
}

BlockOptions Model::OptionsOf(Phase phase, BlockScratch& scratch) const {
  BlockOptions options;
  options.backend = backend_;
  options.phase = phase;
  options.scratch = &scratch;
  options.routing_tap = routing_tap_;
  options.kv_cache = kv_cache_;
  options.float_inputs = float_inputs_;
  if (observer_ != nullptr) {
    LayerObserver& observer = *observer_;
    options.tap = [&observer](std::string_view name, const float* x, uint64_t t, uint64_t k) {
      observer.Input(name, x, t, k);
    };
    options.output_tap = [&observer](std::string_view name, const float* y, uint64_t t,
                                     uint64_t n) { observer.Output(name, y, t, n); };
  }
  return options;
}

Status Model::ForEachBlock(const std::function<Status(const DecoderBlock&)>& visit) const {
  for (const DecoderBlock& block : blocks_) {
    SLIM_TRY(CheckInterrupt());
    SLIM_TRY(visit(block));
  }
  if (checkpoint_ == nullptr) return {};
  for (uint64_t layer = 0; layer < config_.num_layers; ++layer) {
    SLIM_TRY(CheckInterrupt());
    SLIM_ASSIGN(const DecoderBlock block, DecoderBlock::Load(*checkpoint_, config_, layer, backend_,
                                                             ExpertStorage::kStreamed));
    SLIM_TRY(visit(block));
  }
  return {};
}

Status Model::ForwardChunk(std::span<const int32_t> tokens, Sequence& sequence, Phase phase) const {
  std::vector<float>& hidden = sequence.hidden_;
  Embed(tokens, hidden);
  if (observer_ != nullptr) {
    observer_->BeginCall(tokens);
    observer_->Output(EmbeddingName(config_), hidden.data(), tokens.size(), config_.hidden_size);
    SLIM_TRY(observer_->EndPart(EmbeddingName(config_)));
  }
  const BlockOptions options = OptionsOf(phase, sequence.scratch_);
  return ForEachBlock([&](const DecoderBlock& block) -> Status {
    KvCacheLayer& cache = sequence.caches_[block.layer()];
    SLIM_TRY(block.Forward(hidden.data(), tokens.size(), cache.length(), sequence.rope_, cache,
                           options, *pool_));
    if (!AllFiniteOn(*pool_, hidden.data(), hidden.size()))
      return NotFinite(BlockPrefix(config_, block.layer()));
    if (observer_ == nullptr) return {};
    const std::string name = BlockPrefix(config_, block.layer());
    observer_->Output(name, hidden.data(), tokens.size(), config_.hidden_size);
    return observer_->EndPart(name);
  });
}

Status Model::Forward(std::span<const int32_t> tokens, Sequence& sequence, bool last_only,
                      std::vector<float>& logits) const {
  return ForwardTokens(tokens, sequence, PhaseOf(tokens.size(), sequence.length()),
                       last_only ? LogitRows::kLast : LogitRows::kAll, logits);
}

Status Model::Prefill(std::span<const int32_t> tokens, Sequence& sequence, LogitRows rows,
                      std::vector<float>& logits) const {
  return ForwardTokens(tokens, sequence, PhaseOf(tokens.size(), 0), rows, logits);
}

Status Model::ForwardTokens(std::span<const int32_t> tokens, Sequence& sequence, Phase phase,
                            LogitRows rows, std::vector<float>& logits) const {
  SLIM_TRY(CheckTokenIds(config_, tokens));
  const uint64_t vocabulary = config_.vocab_size;
  const uint64_t hidden_size = config_.hidden_size;
  // All rows at once: dynamic scaling depends on the length of the whole call.
  sequence.rope_.Extend(sequence.length() + tokens.size());
  const uint64_t wanted = rows == LogitRows::kAll ? tokens.size() : 1;
  logits.resize(rows == LogitRows::kNone ? 0 : wanted * vocabulary);
  const BlockOptions options = OptionsOf(phase, sequence.scratch_);
  // Reading the blocks costs more than wide activations.
  const bool whole = checkpoint_ != nullptr || observer_ != nullptr;
  const uint64_t chunk = whole ? tokens.size() : kPromptPart;
  for (uint64_t begin = 0; begin < tokens.size(); begin += chunk) {
    const uint64_t t = std::min(chunk, tokens.size() - begin);
    SLIM_TRY(ForwardChunk(tokens.subspan(begin, t), sequence, phase));
    if (rows == LogitRows::kAll) {
      head_.Logits(sequence.hidden_.data(), t, logits.data() + begin * vocabulary, options, *pool_);
    } else if (rows == LogitRows::kLast && begin + t == tokens.size()) {
      head_.Logits(sequence.hidden_.data() + (t - 1) * hidden_size, 1, logits.data(), options,
                   *pool_);
    }
  }
  if (!AllFiniteOn(*pool_, logits.data(), logits.size())) return NotFinite(kLmHeadName);
  return observer_ == nullptr || rows == LogitRows::kNone ? Status()
                                                          : observer_->EndPart(kLmHeadName);
}

Status Model::DecodeBlock(const DecoderBlock& block, const BlockOptions& options,
                          DecodeBatch& batch) const {
  for (size_t i = 0; i < batch.sequences.size(); ++i) {
    Sequence& sequence = *batch.sequences[i];
    KvCacheLayer& cache = sequence.caches_[block.layer()];
    batch.slices[i] = {1, cache.length(), &sequence.rope_, &cache};
  }
  SLIM_TRY(block.Forward(batch.hidden.data(), batch.slices, options, *pool_));
  for (size_t i = 0; i < batch.sequences.size(); ++i) {
    if (!batch.statuses[i].ok()) continue;
    if (!AllFinite(batch.hidden.data() + i * config_.hidden_size, config_.hidden_size))
      batch.statuses[i] = NotFinite(BlockPrefix(config_, block.layer()));
  }
  return {};
}

Status Model::Decode(DecodeBatch& batch) const {
  const uint64_t count = batch.sequences.size();
  SLIM_TRY(CheckTokenIds(config_, batch.tokens));
  for (Sequence* sequence : batch.sequences) sequence->rope_.Extend(sequence->length() + 1);
  batch.statuses.assign(count, Status());
  batch.slices.resize(count);
  Embed(batch.tokens, batch.hidden);
  const BlockOptions options = OptionsOf(PhaseOf(1, 1), batch.scratch);
  SLIM_TRY(
      ForEachBlock([&](const DecoderBlock& block) { return DecodeBlock(block, options, batch); }));
  const uint64_t vocabulary = config_.vocab_size;
  batch.logits.resize(count * vocabulary);
  head_.Logits(batch.hidden.data(), count, batch.logits.data(), options, *pool_);
  for (size_t i = 0; i < count; ++i) {
    if (batch.statuses[i].ok() && !AllFinite(batch.logits.data() + i * vocabulary, vocabulary))
      batch.statuses[i] = NotFinite(kLmHeadName);
  }
  return {};
}

}  // namespace slim
