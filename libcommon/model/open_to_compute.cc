#include "model/open_to_compute.h"

#include <utility>

#include "checkpoint/dialects/mindie_parts.h"
#include "checkpoint/shown_layers.h"
#include "model/joined_parts.h"

namespace slim {

Result<Checkpoint> OpenToCompute(const std::string& path) {
  if (!HasParts(path)) return Checkpoint::OpenToCompute(path);
  SLIM_ASSIGN(std::unique_ptr<JoinedParts> parts, JoinedParts::Open(path));
  SLIM_ASSIGN(std::unique_ptr<LayerReader> layers, ReadJoinedLayers(std::move(parts)));
  return Checkpoint::OpenAssembled(
      path, std::make_shared<ShownLayers>(std::vector<std::unique_ptr<const Checkpoint>>(),
                                          std::move(layers), DType::kF16));
}

}  // namespace slim
