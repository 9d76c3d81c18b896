#include "checkpoint/dialects/fp8_block.h"

#include <fmt/format.h>

#include "base/checked.h"
#include "checkpoint/dialects/module_layers.h"

namespace slim {
namespace {

class Fp8Block : public ModuleLayers {
 public:
  using ModuleLayers::ModuleLayers;
  Status ReadConfig() override;

 protected:
  Result<std::optional<LogicalLayer>> LinearAt(const TensorEntry& anchor) override;
  Result<Tensor> ReadRole(const LogicalLayer& layer, Role role) const override;

 private:
  std::array<uint64_t, 2> block_{};
};

Status Fp8Block::ReadConfig() {
  const auto bad = [&](std::string message) {
    return InputError("FP8-config", "quantization_config: " + std::move(message))
        .WithPath(JoinPath(source_.path(), "config.json"));
  };
  const Json* config = QuantizationConfig(source_);
  if (config == nullptr) return bad("is missing");
  const Json* activations = config->Find("activation_scheme");
  if (activations != nullptr && activations->AsString() == "static")
    return bad("activation_scheme is static, dynamic is read");
  const Json* format = config->Find("fmt");
  if (format != nullptr && format->AsString() != "e4m3" && format->AsString() != "float8_e4m3fn")
    return bad(fmt::format("fmt is {}, e4m3 is read", DumpJson(*format)));
  const Json* block = config->Find("weight_block_size");
  if (block == nullptr || block->is_null()) return {};
  bool sizes = block->is_array() && block->items().size() == 2;
  for (size_t i = 0; sizes && i < 2; ++i) {
    const int64_t size = block->items()[i].AsInteger().value_or(0);
    sizes = size > 0 && size <= (1 << 20);
    block_[i] = static_cast<uint64_t>(size);
  }
  if (!sizes) return bad(fmt::format("weight_block_size is {}", DumpJson(*block)));
  return {};
}

Result<std::optional<LogicalLayer>> Fp8Block::LinearAt(const TensorEntry& anchor) {
  const auto [module, suffix] = SplitTensorName(anchor.name);
  if (suffix != "weight" || anchor.dtype != DType::kF8E4M3) return std::optional<LogicalLayer>();
  if (anchor.shape.size() != 2) SLIM_TRY(RequireShape(anchor, {0, 0}));
  LogicalLayer layer;
  layer.name = module;
  layer.is_linear = true;
  layer.scheme = Scheme::kWFP8AFP8Dynamic;
  layer.part(Role::kWeight) = PartSpec{anchor.dtype, anchor.shape};
  const TensorEntry* scale = nullptr;
  for (const std::string_view name : {"weight_scale_inv", "scale", "weight_scale"}) {
    if (scale == nullptr) scale = Part(module, name);
  }
  if (scale == nullptr) {
    SLIM_ASSIGN(scale, Need(module, "weight_scale_inv"));
  }
  SLIM_TRY(RequireDType(*scale, {DType::kF32, DType::kF16, DType::kBF16}));
  Shape shape = scale->shape;
  if (block_[0] > 0 && !scale->name.ends_with(".weight_scale")) {
    layer.block = block_;
    SLIM_TRY(RequireShape(*scale, {CeilDiv(layer.n(), block_[0]), CeilDiv(layer.k(), block_[1])}));
  } else {
    shape = {layer.n(), 1};
    const auto count = ElementCount(scale->shape);
    if (count != 1 && count != layer.n()) SLIM_TRY(RequireShape(*scale, shape));
  }
  layer.part(Role::kWeightScale) = PartSpec{scale->dtype, shape};
  layer.sources = {&anchor, scale};
  SLIM_TRY(TakeBias(layer));
  return std::optional(std::move(layer));
}

Result<Tensor> Fp8Block::ReadRole(const LogicalLayer& layer, Role role) const {
  if (role == Role::kBias) return source_.Read(*Part(layer.name, "bias"));
  SLIM_ASSIGN(Tensor part, source_.Read(*layer.sources[role == Role::kWeight ? 0 : 1]));
  const PartSpec& wanted = *layer.part(role);
  if (part.elements() != ElementCount(wanted.shape)) return Expanded(part, wanted);
  part.shape = wanted.shape;
  return part;
}

}  // namespace

Result<std::unique_ptr<LayerReader>> OpenFp8Block(const Checkpoint& source,
                                                  std::vector<Error>* problems) {
  return OpenModuleLayers<Fp8Block>(problems, source);
}

}  // namespace slim
