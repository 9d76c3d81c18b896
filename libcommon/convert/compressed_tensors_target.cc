#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "convert/codes_targets.h"
#include "convert/dequantize.h"
#include "convert/plan.h"
#include "convert/weight_scales.h"
#include "json/json.h"
#include "kernels/convert.h"

namespace slim {
namespace {

class CompressedTensorsTarget : public CodesTarget {
 public:
  using CodesTarget::CodesTarget;

  Result<LayerPlan> Plan(const LogicalLayer& layer) const override;
  Result<std::vector<Tensor>> Make(const LogicalLayer& layer, const LayerPlan& plan,
                                   LinearRecord record, LayerLoss& loss) const override;
  Status Finish(const std::vector<LayerPlan>& plans, WritePlan& write, ConfigTarget& config,
                std::vector<std::string>& notes) const override;

 private:
  static bool IsStatic(const LogicalLayer& layer) { return layer.Has(Role::kInputScale); }
  Result<LayerPlan> PlanLinear(const LogicalLayer& layer) const;
  Json Group(std::vector<std::string> targets, bool is_static, bool symmetric) const;
};

Result<LayerPlan> CompressedTensorsTarget::Plan(const LogicalLayer& layer) const {
  return layer.is_quantized() ? PlanLinear(layer) : PlanUnquantized(layer);
}

Result<LayerPlan> CompressedTensorsTarget::PlanLinear(const LogicalLayer& layer) const {
  const bool known = layer.scheme == Scheme::kW8A8 || layer.scheme == Scheme::kW8A8Mix ||
                     layer.scheme == Scheme::kW8A8Dynamic;
  if (!known || layer.groups() > 1) {
    return InputError(
        "CV-scheme",
        fmt::format("is {}{}; this version writes W8A8 and W8A8_DYNAMIC as "
                    "compressed-tensors",
                    SchemeLabel(layer.scheme), layer.groups() > 1 ? " in groups" : ""),
        "--to gptq takes W8A16, --dequantize everything");
  }
  LayerPlan plan;
  plan.reason = fmt::format("{} as int-quantized", SchemeLabel(layer.scheme));
  auto record = reader_.Read(layer, LayerReader::Parts::kAllButWeight);
  if (!record.ok()) return std::move(record).error();
  SLIM_TRY(RefuseWeightOffsets(*record, "int-quantized compressed-tensors"));
  const auto add = [&](std::string_view suffix, DType dtype, Shape shape) {
    AddOutput(layer, suffix, dtype, std::move(shape), plan);
  };
  add("weight", DType::kI8, layer.shape());
  add("weight_scale", NarrowestExact(ImpliedWeightScales(*record, model_dtype_), model_dtype_),
      {layer.n(), 1});
  if (IsStatic(layer)) {
    add("input_scale", NarrowestExact(PartAsFloats(*record, Role::kInputScale), model_dtype_), {1});
    const float offset =
        record->Has(Role::kInputOffset) ? PartAsFloats(*record, Role::kInputOffset)[0] : 0.0F;
    if (!(offset >= -128 && offset <= 127)) {
      return InputError("CV-input-offset", fmt::format("input_offset is {}, no int8", offset));
    }
    add("input_zero_point", DType::kI8, {1});
  }
  bool bias = layer.Has(Role::kBias);
  if (!bias && layer.Has(Role::kQuantBias)) {
    SLIM_ASSIGN(const LinearRecord whole, reader_.Read(layer, LayerReader::Parts::kAll));
    const std::vector<float> values = FloatBias(whole);
    bias = !values.empty();
    if (bias) plan.loss = LossClass::kNear;
    if (bias) (*record)[Role::kBias] = Tensor::FromFloats({layer.n()}, values);
  }
  if (bias)
    add("bias", NarrowestExact(PartAsFloats(*record, Role::kBias), model_dtype_), {layer.n()});
  if (IsStatic(layer) && !layer.Has(Role::kWeightScale)) plan.loss = LossClass::kNear;
  return plan;
}

Result<std::vector<Tensor>> CompressedTensorsTarget::Make(const LogicalLayer& layer,
                                                          const LayerPlan& plan,
                                                          LinearRecord record,
                                                          LayerLoss& loss) const {
  std::vector<Tensor> out;
  const std::vector<float> scales = ImpliedWeightScales(record, model_dtype_);
  if (IsStatic(layer) && !layer.Has(Role::kWeightScale)) {
    const std::vector<float> deq = PartAsFloats(record, Role::kDeqScale);
    const float input = PartAsFloats(record, Role::kInputScale)[0];
    for (size_t i = 0; i < deq.size(); ++i) {
      const float product = Rounded(scales[i] * input, model_dtype_);
      if (product == deq[i]) continue;
      ++loss.changed;
      loss.worst_relative_error = std::max(
          loss.worst_relative_error, static_cast<double>(std::abs((product - deq[i]) / deq[i])));
    }
  }
  const std::vector<float> bias = FloatBias(record);
  if (!bias.empty() && !record.Has(Role::kBias)) ++loss.changed;
  for (const LayerOutput& output : plan.outputs) {
    const std::string_view suffix = SplitTensorName(output.spec.name).suffix;
    if (suffix == "weight") {
      out.push_back(std::move(record[Role::kWeight]));
      continue;
    }
    if (suffix == "input_zero_point") {
      Tensor zero(DType::kI8, {1});
      zero.as<int8_t>()[0] = record.Has(Role::kInputOffset)
                                 ? static_cast<int8_t>(PartAsFloats(record, Role::kInputOffset)[0])
                                 : int8_t{0};
      out.push_back(std::move(zero));
      continue;
    }
    const std::vector<float> values = suffix == "weight_scale" ? scales
                                      : suffix == "input_scale"
                                          ? PartAsFloats(record, Role::kInputScale)
                                          : bias;
    SLIM_ASSIGN(Tensor tensor,
                RoundFloats(values, output.spec.shape, output.spec.dtype, Meaning::kValues, loss));
    out.push_back(std::move(tensor));
  }
  return out;
}

Json Arguments(std::string_view strategy, bool symmetric, bool dynamic) {
  Json json = Json::Object();
  json.Set("num_bits", 8);
  json.Set("type", "int");
  json.Set("symmetric", symmetric);
  json.Set("strategy", strategy);
  json.Set("dynamic", dynamic);
  return json;
}

Json CompressedTensorsTarget::Group(std::vector<std::string> targets, bool is_static,
                                    bool symmetric) const {
  Json group = Json::Object();
  Json list = Json::Array();
  for (std::string& target : targets) list.Push(std::move(target));
  group.Set("targets", std::move(list));
  group.Set("weights", Arguments("channel", true, false));
  group.Set("input_activations",
            is_static ? Arguments("tensor", symmetric, false) : Arguments("token", true, true));
  group.Set("output_activations", Json());
  group.Set("format", "int-quantized");
  return group;
}

Status CompressedTensorsTarget::Finish(const std::vector<LayerPlan>& plans, WritePlan& write,
                                       ConfigTarget& config,
                                       std::vector<std::string>& notes) const {
  write.globals.model_quant_type = "FLOAT";
  std::vector<std::string> static_layers;
  std::vector<std::string> dynamic_layers;
  Json ignore = Json::Array();
  for (const LogicalLayer& layer : reader_.layers()) {
    if (layer.is_quantized()) {
      (IsStatic(layer) ? static_layers : dynamic_layers).push_back(layer.name);
      continue;
    }
    const auto [module, suffix] = SplitTensorName(layer.name);
    const bool matrix = suffix == "weight" && layer.shape().size() == 2;
    if (matrix && module.find("embed") == std::string_view::npos) ignore.Push(std::string(module));
  }
  if (plans.empty() || (static_layers.empty() && dynamic_layers.empty())) return NothingQuantized();
  Json groups = Json::Object();
  // Names only where two groups have to be told apart.
  const bool both = !static_layers.empty() && !dynamic_layers.empty();
  const std::vector<std::string> all = {"Linear"};
  if (!static_layers.empty()) groups.Set("group_0", Group(both ? static_layers : all, true, false));
  if (!dynamic_layers.empty()) {
    groups.Set(both ? "group_1" : "group_0", Group(both ? dynamic_layers : all, false, true));
  }
  if (!static_layers.empty()) {
    notes.emplace_back(
        "static activations are asymmetric: vLLM on GPUs takes them, vllm-ascend does not");
  }
  Json block = Json::Object();
  block.Set("quant_method", "compressed-tensors");
  block.Set("format", "int-quantized");
  block.Set("quantization_status", "compressed");
  block.Set("config_groups", std::move(groups));
  block.Set("ignore", std::move(ignore));
  block.Set("kv_cache_scheme", Json());
  block.Set("global_compression_ratio", Json());
  config.dequantized = true;
  config.quantization_config = DumpJson(block);
  return {};
}

}  // namespace

Result<std::unique_ptr<LayerTarget>> MakeCompressedTensorsTarget(const LayerReader& reader,
                                                                 const ConvertOptions& options) {
  return CodesTarget::Create<CompressedTensorsTarget>(reader, options);
}

}  // namespace slim
