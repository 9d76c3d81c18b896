#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "checkpoint/npy_file.h"
#include "convert/codes_targets.h"
#include "convert/plan.h"
#include "convert/source_tensors.h"

namespace slim {
namespace {

class NpyTarget : public LayerTarget {
 public:
  using LayerTarget::LayerTarget;

  Result<LayerPlan> Plan(const LogicalLayer& layer) const override;
  Result<std::vector<Tensor>> Make(const LogicalLayer& layer, const LayerPlan& plan,
                                   LinearRecord record, LayerLoss& loss) const override;
  Status Finish(const std::vector<LayerPlan>& plans, WritePlan& write, ConfigTarget& config,
                std::vector<std::string>& notes) const override;

 private:
  Status CheckPlace(const std::string& name) const;
};

Status NpyTarget::CheckPlace(const std::string& name) const {
  const auto [module, suffix] = SplitTensorName(name);
  if (suffix == "bias" && !module.ends_with("norm")) {
    return InputError(
               "CV-npy-bias",
               "is a bias: the numpy layout gives it the name of its weight, and only one of "
               "the two survives",
               "take another dialect")
        .WithTensor(name);
  }
  if (!NpyPlaceOf(name).file.empty()) return {};
  return InputError("CV-npy-name", "has no place in the numpy layout", "take another dialect")
      .WithTensor(name);
}

Result<LayerPlan> NpyTarget::Plan(const LogicalLayer& layer) const {
  LayerPlan plan;
  switch (layer.scheme) {
    case Scheme::kFloat:
    case Scheme::kW8A8:
    case Scheme::kW8A8Dynamic:
    case Scheme::kW8A16:
      break;
    default:
      return InputError("CV-scheme",
                        fmt::format("is {}; W8A8, W8A8_DYNAMIC and W8A16 are written as npy",
                                    SchemeLabel(layer.scheme)),
                        "take another dialect");
  }
  for (size_t i = 0; i < kRoleCount; ++i) {
    const Role role = static_cast<Role>(i);
    if (!layer.Has(role)) continue;
    const std::string name =
        layer.is_linear ? fmt::format("{}.{}", layer.name, RoleSuffix(role)) : layer.name;
    SLIM_TRY(CheckPlace(name));
    plan.outputs.push_back({{name, layer.part(role)->dtype, layer.part(role)->shape},
                            std::string(SchemeLabel(layer.scheme))});
  }
  plan.copies = !layer.is_linear;
  return plan;
}

Result<std::vector<Tensor>> NpyTarget::Make(const LogicalLayer& /*layer*/, const LayerPlan& plan,
                                            LinearRecord record, LayerLoss& /*loss*/) const {
  std::vector<Tensor> out;
  for (const LayerOutput& output : plan.outputs) {
    Tensor part = std::move(record[*ParseRole(SplitTensorName(output.spec.name).suffix)]);
    part.shape = output.spec.shape;
    out.push_back(std::move(part));
  }
  return out;
}

Status NpyTarget::Finish(const std::vector<LayerPlan>& plans, WritePlan& write,
                         ConfigTarget& config, std::vector<std::string>& /*notes*/) const {
  std::vector<SourceTensor> labels;
  bool dynamic = false;
  bool weights_only = false;
  for (const LayerPlan& plan : plans) {
    for (const LayerOutput& output : plan.outputs) {
      labels.push_back({nullptr, output.label});
      dynamic = dynamic || output.label == SchemeLabel(Scheme::kW8A8Dynamic);
      weights_only = weights_only || output.label == SchemeLabel(Scheme::kW8A16);
    }
  }
  if (dynamic && weights_only) {
    return InputError("CV-npy-types",
                      "has W8A8_DYNAMIC and W8A16 layers, which are the same arrays in the numpy "
                      "layout",
                      "take another dialect")
        .WithPath(reader_.source().path());
  }
  write.keep_shards = false;
  write.part_size = 0;
  write.globals.model_quant_type = TypeByLabels(labels);
  // The label that the arrays do not tell; static layers are told by what they have.
  if (dynamic) write.globals.model_quant_type = SchemeLabel(Scheme::kW8A8Dynamic);
  if (weights_only) write.globals.model_quant_type = SchemeLabel(Scheme::kW8A16);
  config.quant_type = ToLower(write.globals.model_quant_type);
  return {};
}

}  // namespace

Result<std::unique_ptr<LayerTarget>> MakeNpyTarget(const LayerReader& reader,
                                                   const ConvertOptions& options) {
  if (options.dtype)
    return UsageError("--dtype does not go with --to npy", "convert with --dtype first");
  if (options.part_size != 0)
    return UsageError("--part-size does not go with --to npy: its files are by kind of tensor");
  return std::unique_ptr<LayerTarget>(std::make_unique<NpyTarget>(reader));
}

}  // namespace slim
