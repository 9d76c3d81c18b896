// --deep: every value of the checkpoint, layer by layer, on several threads; a thread holds one
// piece of a weight and the scales of its layer.
#include <fmt/format.h>

#include <algorithm>

#include "model/modules.h"
#include "model/read_config.h"
#include "parallel/thread_pool.h"
#include "verify/context.h"
#include "verify/layer_values.h"
#include "verify/value_scan.h"

namespace slim {
namespace {

// A quantized layer, or a tensor by itself.
struct Task {
  const LayerTensors* layer = nullptr;
  const TensorEntry* entry = nullptr;
  uint64_t bytes = 0;
};

uint64_t BytesOf(const LayerTensors& layer) {
  uint64_t bytes = 0;
  for (const TensorEntry* part : layer.parts) bytes += part == nullptr ? 0 : part->size;
  for (const TensorEntry* other : layer.others) bytes += other->size;
  return bytes;
}

std::vector<Task> Plan(const VerifyContext& context) {
  std::vector<Task> tasks;
  for (const LayerTensors& layer : context.layers().layers()) {
    if (layer.IsQuantized() && !layer.IsNormCopy()) {
      tasks.push_back({&layer, nullptr, BytesOf(layer)});
      continue;
    }
    for (const TensorEntry* part : layer.parts) {
      if (part != nullptr) tasks.push_back({nullptr, part, part->size});
    }
    for (const TensorEntry* other : layer.others) tasks.push_back({nullptr, other, other->size});
  }
  // The largest first, so that no thread ends with a long one.
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const Task& a, const Task& b) { return a.bytes > b.bytes; });
  return tasks;
}

Status CheckTensor(VerifyContext& context, const TensorEntry& entry) {
  const bool scale = entry.name.ends_with("kv_cache_scale");
  if ((scale || entry.name.ends_with("kv_cache_offset")) && IsFloating(entry.dtype)) {
    SLIM_ASSIGN(const Tensor tensor, context.checkpoint().Read(entry));
    scale ? CheckScaleValues(context, entry, tensor) : CheckOffsetValues(context, entry, tensor);
    return {};
  }
  return CheckFiniteValues(context, entry);
}

Status CheckNormCopies(VerifyContext& context) {
  for (const LayerTensors& copy : context.layers().layers()) {
    if (!copy.IsNormCopy()) continue;
    const LayerTensors* norm = context.layers().Find(copy.module.substr(0, copy.module.rfind('.')));
    for (const Role role : {Role::kWeight, Role::kBias}) {
      if (norm == nullptr || copy[role] == nullptr || (*norm)[role] == nullptr) continue;
      if (copy[role]->shape != (*norm)[role]->shape) continue;  // NORM-copy-orphan
      SLIM_ASSIGN(const bool same, SameBytes(context.checkpoint(), *copy[role], *(*norm)[role]));
      if (same) continue;
      context.Report("NORM-copy-differs",
                     {.tensor = copy[role]->name,
                      .message = fmt::format("differs from '{}'", (*norm)[role]->name)});
    }
  }
  return {};
}

Status CheckTiedValues(VerifyContext& context) {
  const Json* config = context.checkpoint().config();
  const Json* tied = config == nullptr ? nullptr : config->Find("tie_word_embeddings");
  if (tied == nullptr || tied->AsBool() != true) return {};
  const TensorEntry* head = context.checkpoint().Find(fmt::format("{}.weight", kLmHeadName));
  const auto model = ParseModelConfig(*config);
  if (!model.ok()) return {};  // reported by CheckConfig
  ModelConfig resolved = *model;
  ResolvePrefix(context.checkpoint(), resolved);
  const TensorEntry* embedding =
      context.checkpoint().Find(fmt::format("{}.weight", EmbeddingName(resolved)));
  if (head == nullptr || embedding == nullptr || head->dtype != embedding->dtype) return {};
  SLIM_ASSIGN(const bool same, SameBytes(context.checkpoint(), *head, *embedding));
  if (same) return {};
  context.Report("MODEL-tied-values",
                 {.tensor = head->name,
                  .message = fmt::format("differs from '{}', but tie_word_embeddings is true",
                                         embedding->name)});
  return {};
}

}  // namespace

Status CheckValues(VerifyContext& context, int threads, Listener& listener) {
  const std::vector<Task> tasks = Plan(context);
  uint64_t total = 0;
  for (const Task& task : tasks) total += task.bytes;
  ValueTotals totals;
  std::mutex mutex;
  uint64_t done = 0;
  Status failure;
  ThreadPool pool(std::max(threads, 1));
  pool.ParallelFor(tasks.size(), 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      {
        const std::lock_guard lock(mutex);
        if (!failure.ok()) return;
      }
      const Task& task = tasks[i];
      Status status = task.layer != nullptr ? CheckLayerValues(context, *task.layer, totals)
                                            : CheckTensor(context, *task.entry);
      const std::lock_guard lock(mutex);
      if (!status.ok() && failure.ok()) failure = std::move(status);
      done += task.bytes;
      listener.Progress("verify", done, total);
    }
  });
  if (!failure.ok()) return std::move(failure).error();
  if (totals.not_bf16_scales > 0) {
    context.Report("VAL-bf16-provenance",
                   {.found = std::to_string(totals.not_bf16_scales.load()),
                    .message = fmt::format("{} scale tensors of a bfloat16 model do not fit in "
                                           "bfloat16",
                                           totals.not_bf16_scales.load())});
  }
  SLIM_TRY(CheckNormCopies(context));
  return CheckTiedValues(context);
}

}  // namespace slim
