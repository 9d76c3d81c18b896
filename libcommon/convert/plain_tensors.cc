#include "convert/plain_tensors.h"

#include <fmt/format.h>

#include <algorithm>

#include "convert/dialect_forms.h"

namespace slim {
namespace {

// The bias that anti-outlier methods give an RMSNorm; the float architectures have none.
Result<bool> IsNormBias(const LayerReader& reader, const LogicalLayer& layer, bool allow_loss) {
  const TensorNameParts parts = SplitTensorName(layer.name);
  const Json* config = reader.source().config();
  if (parts.suffix != "bias" || parts.module.find("norm") == std::string_view::npos ||
      config == nullptr || config->Find("rms_norm_eps") == nullptr)
    return false;
  SLIM_ASSIGN(const Tensor bias, reader.source().Read(*layer.sources.front()));
  for (uint64_t i = 0; i < bias.elements(); ++i) {
    if (ElementAsDouble(bias.view(), i) == 0) continue;
    if (allow_loss) return true;
    return InputError("CV-norm-bias",
                      "is not zero, and the float architecture's RMSNorm has no bias: without it "
                      "the model computes something else",
                      "--allow-loss leaves it out")
        .WithTensor(layer.name)
        .WithPath(reader.source().path());
  }
  return true;
}

}  // namespace

Result<std::string> ReasonOfNormCopy(const LayerReader& reader, const LogicalLayer& layer) {
  const std::string name = OriginalOfNormCopy(layer.name);
  const TensorEntry* original = name.empty() ? nullptr : reader.source().Find(name);
  if (original == nullptr) return std::string();
  SLIM_ASSIGN(const Tensor a, reader.source().Read(*original));
  SLIM_ASSIGN(const Tensor b, reader.source().Read(*layer.sources.front()));
  if (a.dtype == b.dtype && std::ranges::equal(a.data.bytes(), b.data.bytes()))
    return std::string("a copy that only MindIE reads");
  return InputError("NORM-copy-differs",
                    fmt::format("differs from '{}', of which it should be a copy", original->name),
                    "find out which pair the layers were quantized with and make both equal to it")
      .WithTensor(layer.name)
      .WithPath(reader.source().path());
}

Result<std::string> ReasonToDrop(const LayerReader& reader, const LogicalLayer& layer,
                                 bool allow_loss) {
  SLIM_ASSIGN(std::string copy, ReasonOfNormCopy(reader, layer));
  if (!copy.empty()) return copy;
  SLIM_ASSIGN(const bool bias, IsNormBias(reader, layer, allow_loss));
  if (bias) return std::string("a norm's bias, which the float architecture does not have");
  return std::string();
}

}  // namespace slim
