#include "run/embedding.h"

#include <fmt/format.h>

#include "kernels/convert.h"
#include "model/modules.h"

namespace slim {
namespace {

Error MissingWeight(const Checkpoint& checkpoint, const std::string& name) {
  return InputError("CK-missing-tensor", "is not in the checkpoint, the model needs it")
      .WithTensor(name)
      .WithPath(checkpoint.path());
}

// A checkpoint whose head is tied may carry a copy of the embedding as lm_head; it counts only
// where it is quantized on its own.
Result<bool> HasOwnHead(const Checkpoint& checkpoint, const ModelConfig& config) {
  const std::string name = fmt::format("{}.weight", kLmHeadName);
  if (checkpoint.Find(name) == nullptr) {
    if (!config.tie_word_embeddings) return MissingWeight(checkpoint, name);
    return false;
  }
  if (!config.tie_word_embeddings) return true;
  SLIM_ASSIGN(const Scheme scheme, checkpoint.SchemeOf(kLmHeadName));
  return scheme != Scheme::kFloat;
}

}  // namespace

Status CheckTokenIds(const ModelConfig& config, std::span<const int32_t> ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && static_cast<uint64_t>(ids[i]) < config.vocab_size) continue;
    return InputError("RUN-token-range",
                      fmt::format("token {} of the text has id {}, the embedding has {} rows", i,
                                  ids[i], config.vocab_size),
                      "tokenizer.json and the weights are not of one model");
  }
  return {};
}

Status EmbedTokens(const Checkpoint& checkpoint, const ModelConfig& config,
                   std::span<const int32_t> ids, float* hidden) {
  SLIM_TRY(CheckTokenIds(config, ids));
  const std::string name = fmt::format("{}.weight", EmbeddingName(config));
  const TensorEntry* entry = checkpoint.Find(name);
  if (entry == nullptr) return MissingWeight(checkpoint, name);
  SLIM_ASSIGN(const Scheme scheme, checkpoint.SchemeOf(EmbeddingName(config)));
  if (scheme != Scheme::kFloat) {
    SLIM_ASSIGN(const LinearLayer rows,
                LinearLayer::Load(checkpoint, EmbeddingName(config), config.vocab_size,
                                  config.hidden_size, Backend::kReference));
    for (size_t i = 0; i < ids.size(); ++i)
      rows.WeightRow(static_cast<uint64_t>(ids[i]), hidden + i * config.hidden_size);
    return {};
  }
  const Shape wanted = {config.vocab_size, config.hidden_size};
  if (entry->shape != wanted || !CanConvertToFloat(entry->dtype)) {
    return InputError("LIN-shape", fmt::format("is {} {}, config.json wants {} in a float dtype",
                                               DTypeName(entry->dtype), ShapeText(entry->shape),
                                               ShapeText(wanted)))
        .WithTensor(name)
        .WithPath(checkpoint.path());
  }
  TensorEntry row = *entry;
  row.shape = {config.hidden_size};
  row.size = config.hidden_size * (DTypeBits(entry->dtype) / 8);
  std::vector<std::byte> bytes(row.size);
  for (size_t i = 0; i < ids.size(); ++i) {
    row.offset = entry->offset + static_cast<uint64_t>(ids[i]) * row.size;
    SLIM_TRY(checkpoint.ReadBytes(row, bytes));
    ToFloat(row.dtype, bytes.data(), hidden + i * config.hidden_size, config.hidden_size);
  }
  return {};
}

Result<OutputHead> OutputHead::Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                    Backend backend) {
  OutputHead head;
  head.eps_ = config.rms_norm_eps;
  SLIM_ASSIGN(head.norm_, Norm::Load(checkpoint, FinalNormName(config), config.hidden_size));
  SLIM_ASSIGN(const bool own, HasOwnHead(checkpoint, config));
  head.tied_ = !own;
  SLIM_ASSIGN(head.linear_, LinearLayer::Load(checkpoint, own ? kLmHeadName : EmbeddingName(config),
                                              config.vocab_size, config.hidden_size, backend));
  return head;
}

uint64_t OutputHead::bytes() const {
  return linear_.bytes() + (norm_.weight.size() + norm_.bias.size()) * sizeof(float);
}

void OutputHead::Logits(const float* hidden, uint64_t t, float* logits, const BlockOptions& options,
                        ThreadPool& pool) const {
  std::vector<float> own;
  std::vector<float>& normed = options.scratch != nullptr ? options.scratch->normed : own;
  normed.resize(t * linear_.k());
  norm_.Apply(hidden, t, eps_, normed.data(), pool);
  if (options.tap) options.tap(kLmHeadName, normed.data(), t, linear_.k());
  linear_.Forward(normed.data(), t, logits, options.backend, pool, options.phase,
                  options.float_inputs);
  if (options.output_tap) options.output_tap(kLmHeadName, logits, t, linear_.n());
}

}  // namespace slim
