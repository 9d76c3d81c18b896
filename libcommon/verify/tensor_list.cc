#include "verify/tensor_list.h"

#include <algorithm>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "os/processors.h"

namespace slim {

Result<std::vector<TensorRow>> ListTensors(const std::string& path) {
  SLIM_ASSIGN(const Checkpoint checkpoint, Checkpoint::Inspect(path, DefaultThreadCount()));
  if (checkpoint.dialect() == Dialect::kMindIEParts)
    return UnreadDialect(checkpoint.traits().name, path);
  if (!checkpoint.problems().empty()) return checkpoint.problems().front();
  std::vector<TensorRow> rows;
  rows.reserve(checkpoint.tensors().size());
  for (const TensorEntry& entry : checkpoint.tensors()) {
    const std::string* label =
        checkpoint.description() == nullptr ? nullptr : checkpoint.description()->Label(entry.name);
    rows.push_back({entry.name, entry.dtype, entry.shape, entry.size,
                    label == nullptr ? "" : *label, checkpoint.shards()[entry.shard].name});
  }
  std::sort(rows.begin(), rows.end(),
            [](const TensorRow& a, const TensorRow& b) { return NaturalLess(a.name, b.name); });
  return rows;
}

}  // namespace slim
