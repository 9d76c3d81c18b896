// --deep: every value of the checkpoint, layer by layer, on several threads; a thread holds one
// piece of a weight and the scales of its layer.
#include <fmt/format.h>

#include <algorithm>

#include "checkpoint/side_files.h"
#include "model/modules.h"
#include "model/read_config.h"
#include "os/digest.h"
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
  const LogicalLayer* foreign = nullptr;
};

struct TaskList {
  std::vector<Task> tasks;
  std::vector<LayerTensors> typed;  // layers of other ecosystems, with the type their reader found
};

uint64_t BytesOf(const LayerTensors& layer) {
  uint64_t bytes = 0;
  for (const TensorEntry* part : layer.parts) bytes += part == nullptr ? 0 : part->size;
  for (const TensorEntry* other : layer.others) bytes += other->size;
  return bytes;
}

TaskList Plan(const VerifyContext& context) {
  TaskList list;
  std::vector<Task>& tasks = list.tasks;
  list.typed.reserve(context.layers().layers().size());
  for (const LayerTensors& layer : context.layers().layers()) {
    if (context.foreign() != nullptr) {
      const LogicalLayer* found = context.FindForeign(layer.module);
      if (found != nullptr && found->is_quantized()) {
        list.typed.push_back(layer);
        list.typed.back().scheme = found->scheme;
        tasks.push_back({&list.typed.back(), nullptr, BytesOf(layer), found});
        continue;
      }
    } else if (layer.IsQuantized() && !layer.IsNormCopy()) {
      tasks.push_back({&layer, nullptr, BytesOf(layer), nullptr});
      continue;
    }
    for (const TensorEntry* part : layer.parts) {
      if (part != nullptr) tasks.push_back({nullptr, part, part->size, nullptr});
    }
    for (const TensorEntry* other : layer.others)
      tasks.push_back({nullptr, other, other->size, nullptr});
  }
  // The largest first, so that no thread ends with a long one.
  std::stable_sort(tasks.begin(), tasks.end(),
                   [](const Task& a, const Task& b) { return a.bytes > b.bytes; });
  return list;
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
      const TensorEntry& original = *(*norm)[role];
      if (copy[role]->dtype != original.dtype || copy[role]->shape != original.shape)
        continue;  // NORM-copy-orphan
      SLIM_ASSIGN(const bool same, SameBytes(context.checkpoint(), *copy[role], original));
      if (same) continue;
      context.Report(
          "NORM-copy-differs",
          {.tensor = copy[role]->name, .message = fmt::format("differs from '{}'", original.name)});
    }
  }
  return {};
}

// The head and the embedding that config.json ties, where both are there and could be equal; their
// digests come from the scan that reads them anyway.
struct TiedPair {
  const TensorEntry* head = nullptr;
  const TensorEntry* embedding = nullptr;
  std::string head_digest;
  std::string embedding_digest;

  std::string* DigestOf(const TensorEntry* entry) {
    if (head == nullptr || (entry != head && entry != embedding)) return nullptr;
    return entry == head ? &head_digest : &embedding_digest;
  }
};

TiedPair FindTiedPair(const VerifyContext& context) {
  const Json* config = context.checkpoint().config();
  const Json* tied = config == nullptr ? nullptr : config->Find("tie_word_embeddings");
  if (tied == nullptr || tied->AsBool() != true) return {};
  TiedPair pair;
  pair.head = context.checkpoint().Find(fmt::format("{}.weight", kLmHeadName));
  const auto model = ParseModelConfig(*config);
  if (!model.ok()) return {};  // reported by CheckConfig
  ModelConfig resolved = *model;
  ResolvePrefix(context.checkpoint(), resolved);
  pair.embedding = context.checkpoint().Find(fmt::format("{}.weight", EmbeddingName(resolved)));
  if (pair.head == nullptr || pair.embedding == nullptr) return {};
  return pair.head->dtype == pair.embedding->dtype ? pair : TiedPair();
}

void CheckTiedValues(VerifyContext& context, const TiedPair& pair) {
  if (pair.head == nullptr || pair.head_digest.empty() || pair.embedding_digest.empty() ||
      pair.head_digest == pair.embedding_digest)
    return;
  context.Report("MODEL-tied-values",
                 {.tensor = pair.head->name,
                  .message = fmt::format("differs from '{}', but tie_word_embeddings is true",
                                         pair.embedding->name)});
}

Status RunTask(VerifyContext& context, const Task& task, TiedPair& pair, ValueTotals& totals) {
  if (task.foreign != nullptr) SLIM_TRY(CheckForeignValues(context, *task.foreign));
  if (task.layer != nullptr) return CheckLayerValues(context, *task.layer, totals);
  std::string* digest = pair.DigestOf(task.entry);
  if (digest == nullptr) return CheckTensor(context, *task.entry);
  Xxh3Hasher hasher;
  SLIM_TRY(CheckFiniteValues(context, *task.entry, &hasher));
  *digest = hasher.Finish();
  return {};
}

}  // namespace

Status CheckValues(VerifyContext& context, int threads, Listener& listener) {
  const TaskList list = Plan(context);
  const std::vector<Task>& tasks = list.tasks;
  uint64_t total = 0;
  for (const Task& task : tasks) total += task.bytes;
  ValueTotals totals;
  SLIM_ASSIGN(totals.biases_corrected, ReceiptCorrectsBias(context.checkpoint().path()));
  TiedPair pair = FindTiedPair(context);
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
      Status status = RunTask(context, task, pair, totals);
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
  CheckTiedValues(context, pair);
  return CheckNormCopies(context);
}

}  // namespace slim
