#include "checkpoint/layer_reader.h"

#include <fmt/format.h>

#include "base/text.h"
#include "checkpoint/dialects/ascend_layers.h"

namespace slim {

Result<std::unique_ptr<LayerReader>> OpenLayers(const Checkpoint& source) {
  switch (source.dialect()) {
    case Dialect::kHf:
    case Dialect::kAscendV1:
    case Dialect::kAscendV1V0:
    case Dialect::kMindIE:
      return OpenAscendLayers(source);
  }
  return InternalError(fmt::format("no reader for {}", source.traits().name));
}

LogicalLayer PlainLayer(const TensorEntry& entry) {
  LogicalLayer layer;
  layer.name = entry.name;
  layer.part(Role::kWeight) = {entry.dtype, entry.shape};
  layer.sources = {&entry};
  return layer;
}

Result<Tensor> ReadPartAs(const Checkpoint& source, const TensorEntry& entry, const Shape& shape) {
  if (ElementCount(entry.shape) != ElementCount(shape)) {
    return InputError("LIN-shape", fmt::format("has shape {}, wanted {}", ShapeText(entry.shape),
                                               ShapeText(shape)))
        .WithTensor(entry.name)
        .WithPath(source.path());
  }
  SLIM_ASSIGN(Tensor tensor, source.Read(entry));
  tensor.shape = shape;
  return tensor;
}

}  // namespace slim
