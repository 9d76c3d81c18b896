#include <fmt/format.h>

#include <algorithm>

#include "convert/codes_targets.h"
#include "convert/dequantize.h"
#include "convert/plan.h"
#include "json/json.h"
#include "linear/packed_codes.h"

namespace slim {
namespace {

constexpr int kBits = 8;
constexpr uint64_t kFields = 4;  // codes a word

class GptqTarget : public CodesTarget {
 public:
  using CodesTarget::CodesTarget;

  Result<LayerPlan> Plan(const LogicalLayer& layer) const override;
  Result<std::vector<Tensor>> Make(const LogicalLayer& layer, const LayerPlan& plan,
                                   LinearRecord record, LayerLoss& loss) const override;
  Status Finish(const std::vector<LayerPlan>& plans, WritePlan& write, ConfigTarget& config,
                std::vector<std::string>& notes) const override;

 private:
  Status CheckLayer(const LogicalLayer& layer) const;
};

Status GptqTarget::CheckLayer(const LogicalLayer& layer) const {
  if (layer.scheme != Scheme::kW8A16 && layer.scheme != Scheme::kW8A8Dynamic) {
    return InputError("CV-scheme",
                      fmt::format("is {}; this version writes W8A16 and W8A8_DYNAMIC as gptq",
                                  SchemeLabel(layer.scheme)),
                      "--to compressed-tensors takes W8A8, --dequantize everything");
  }
  if (layer.n() % kFields != 0 || layer.k() % kFields != 0) {
    return InputError("CV-gptq-shape", fmt::format("[n, k] = {}: gptq packs four codes a word",
                                                   ShapeText(layer.shape())));
  }
  if (!layer.Has(Role::kWeightOffset)) return {};
  SLIM_ASSIGN(const LinearRecord record, reader_.Read(layer, LayerReader::Parts::kAllButWeight));
  for (const float offset : PartAsFloats(record, Role::kWeightOffset)) {
    if (offset >= -128 && offset <= 127 && offset == static_cast<float>(static_cast<int>(offset)))
      continue;
    return InputError("CV-weight-offset",
                      fmt::format("has weight offset {}, gptq holds integers of 8 bits", offset),
                      "--dequantize writes the float checkpoint");
  }
  return {};
}

Result<LayerPlan> GptqTarget::Plan(const LogicalLayer& layer) const {
  if (!layer.is_quantized()) return PlanUnquantized(layer);
  LayerPlan plan;
  SLIM_TRY(CheckLayer(layer));
  plan.reason = fmt::format("{} packed into GPTQ words", SchemeLabel(layer.scheme));
  const uint64_t groups = layer.groups();
  const auto add = [&](std::string_view suffix, DType dtype, Shape shape) {
    AddOutput(layer, suffix, dtype, std::move(shape), plan);
  };
  add("qweight", DType::kI32, {layer.k() / kFields, layer.n()});
  add("qzeros", DType::kI32, {groups, layer.n() / kFields});
  add("scales", DType::kF16, {groups, layer.n()});
  add("g_idx", DType::kI32, {layer.k()});
  if (layer.Has(Role::kBias)) add("bias", layer.part(Role::kBias)->dtype, {layer.n()});
  plan.loss = LossClass::kNear;
  return plan;
}

Result<std::vector<Tensor>> GptqTarget::Make(const LogicalLayer& layer, const LayerPlan& plan,
                                             LinearRecord record, LayerLoss& loss) const {
  const uint64_t groups = layer.groups();
  std::vector<Tensor> out;
  out.push_back(PackGptqCodes(record[Role::kWeight].as<int8_t>(), layer.n(), layer.k(), kBits));
  std::vector<float> offsets(layer.n() * groups, 0.0F);
  if (record.Has(Role::kWeightOffset)) offsets = PartAsFloats(record, Role::kWeightOffset);
  out.push_back(PackGptqZeros(offsets, layer.n(), groups, kBits, true));
  SLIM_ASSIGN(const Tensor scales,
              RoundPart(record[Role::kWeightScale], DType::kF16, Meaning::kScales, loss));
  Tensor matrix(DType::kF16, {layer.n(), groups});
  std::ranges::copy(scales.data.bytes(), matrix.data.bytes().begin());
  out.push_back(Transposed(matrix));
  Tensor order(DType::kI32, {layer.k()});
  for (uint64_t j = 0; j < layer.k(); ++j)
    order.as<int32_t>()[j] = static_cast<int32_t>(j / (layer.k() / groups));
  out.push_back(std::move(order));
  if (plan.outputs.size() > out.size()) out.push_back(std::move(record[Role::kBias]));
  return out;
}

Status GptqTarget::Finish(const std::vector<LayerPlan>& /*plans*/, WritePlan& write,
                          ConfigTarget& config, std::vector<std::string>& notes) const {
  write.globals.model_quant_type = "FLOAT";
  int64_t group_size = 0;
  bool dynamic = false;
  bool symmetric = true;
  for (const LogicalLayer& layer : reader_.layers()) {
    if (!layer.is_quantized()) continue;
    dynamic = dynamic || layer.scheme == Scheme::kW8A8Dynamic;
    const int64_t size = layer.groups() > 1 ? static_cast<int64_t>(layer.k() / layer.groups()) : -1;
    if (group_size != 0 && size != group_size) {
      return InputError("CV-group-size", "layers have groups of different sizes, gptq has one")
          .WithTensor(layer.name)
          .WithPath(reader_.source().path());
    }
    group_size = size;
    if (!layer.Has(Role::kWeightOffset)) continue;
    SLIM_ASSIGN(const LinearRecord record, reader_.Read(layer, LayerReader::Parts::kAllButWeight));
    symmetric = symmetric && std::ranges::all_of(PartAsFloats(record, Role::kWeightOffset),
                                                 [](float v) { return v == 0; });
  }
  if (group_size == 0) return NothingQuantized();
  if (dynamic)
    notes.emplace_back("gptq has float activations: the dynamic int8 activations are given up");
  Json block = Json::Object();
  block.Set("quant_method", "gptq");
  block.Set("bits", kBits);
  block.Set("group_size", group_size);
  block.Set("desc_act", false);
  block.Set("sym", symmetric);
  block.Set("lm_head", false);
  block.Set("checkpoint_format", "gptq");
  config.dequantized = true;
  config.quantization_config = DumpJson(block);
  return {};
}

}  // namespace

Result<std::unique_ptr<LayerTarget>> MakeGptqTarget(const LayerReader& reader,
                                                    const ConvertOptions& options) {
  return CodesTarget::Create<GptqTarget>(reader, options);
}

}  // namespace slim
