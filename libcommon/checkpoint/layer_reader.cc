#include "checkpoint/layer_reader.h"

#include <fmt/format.h>

#include "base/text.h"
#include "checkpoint/dialects/ascend_layers.h"
#include "checkpoint/dialects/compressed_tensors.h"
#include "checkpoint/dialects/fp8_block.h"
#include "checkpoint/dialects/gguf.h"
#include "checkpoint/dialects/golden_stick.h"
#include "checkpoint/dialects/gptq.h"
#include "kernels/convert.h"

namespace slim {

namespace {

Result<std::unique_ptr<LayerReader>> OpenForeignLayers(const Checkpoint& source,
                                                       std::vector<Error>* problems) {
  switch (source.dialect()) {
    case Dialect::kCompressedTensors:
      return OpenCompressedTensors(source, problems);
    case Dialect::kGptq:
      return OpenGptq(source, problems);
    case Dialect::kAwq:
      return OpenAwq(source, problems);
    case Dialect::kGguf:
      return OpenGguf(source);
    case Dialect::kGoldenStick:
      return OpenGoldenStick(source, problems);
    case Dialect::kFp8Block:
      return OpenFp8Block(source, problems);
    default:
      return InternalError(fmt::format("no reader for {}", source.traits().name));
  }
}

}  // namespace

Result<std::unique_ptr<LayerReader>> OpenLayers(const Checkpoint& source) {
  switch (source.dialect()) {
    case Dialect::kHf:
    case Dialect::kAscendV1:
    case Dialect::kAscendV1V0:
    case Dialect::kMindIE:
    case Dialect::kTorchBin:
    case Dialect::kNpy:
      return OpenAscendLayers(source);
    default:
      return OpenForeignLayers(source, nullptr);
  }
}

Result<std::unique_ptr<LayerReader>> InspectLayers(const Checkpoint& source,
                                                   std::vector<Error>& problems) {
  return OpenForeignLayers(source, &problems);
}

LogicalLayer PlainLayer(const TensorEntry& entry) {
  LogicalLayer layer;
  layer.name = entry.name;
  layer.part(Role::kWeight) = {entry.dtype, entry.shape};
  layer.sources = {&entry};
  return layer;
}

Result<Tensor> Expanded(const Tensor& tensor, const PartSpec& wanted) {
  const uint64_t count = ElementCount(wanted.shape).value_or(0);
  const uint64_t have = tensor.elements();
  if (have != 1 && have != count) {
    return InputError("LIN-shape", fmt::format("has shape {}, wanted {}", ShapeText(tensor.shape),
                                               ShapeText(wanted.shape)));
  }
  std::vector<float> values(count);
  for (uint64_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(ElementAsDouble(tensor.view(), have == 1 ? 0 : i));
  Tensor out(wanted.dtype, wanted.shape);
  FromFloat(wanted.dtype, values.data(), out.data.data(), count);
  return out;
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
