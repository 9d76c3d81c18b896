#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "checkpoint/dialects/gguf_names.h"
#include "checkpoint/dialects/gguf_tokenizer.h"
#include "checkpoint/dialects/rotary_factors.h"
#include "checkpoint/gguf_header.h"
#include "convert/codes_targets.h"
#include "convert/dequantize.h"
#include "convert/plain_tensors.h"
#include "convert/plan.h"
#include "kernels/convert.h"

namespace slim {
namespace {

// general.file_type: what most of the weights are.
enum FileType : uint32_t { kAllF32 = 0, kMostlyF16 = 1, kMostlyQ8_0 = 7, kMostlyBF16 = 32 };

class GgufTarget : public LayerTarget {
 public:
  GgufTarget(const LayerReader& reader, const GgufArchitecture& architecture,
             std::vector<float> rotary_factors, bool allow_loss)
      : LayerTarget(reader),
        architecture_(architecture),
        rotary_factors_(std::move(rotary_factors)),
        allow_loss_(allow_loss) {}

  Result<LayerPlan> Plan(const LogicalLayer& layer) const override;
  Result<std::vector<Tensor>> Make(const LogicalLayer& layer, const LayerPlan& plan,
                                   LinearRecord record, LayerLoss& loss) const override;
  Status Finish(const std::vector<LayerPlan>& plans, WritePlan& write, ConfigTarget& config,
                std::vector<std::string>& notes) const override;

 private:
  Result<LayerPlan> PlanPlain(const LogicalLayer& layer) const;
  Status CheckLayer(const LogicalLayer& layer) const;
  Result<uint64_t> RotaryHeads(const std::string& gguf_name, uint64_t rows) const;
  Result<Tensor> Ordered(Tensor tensor, const std::string& gguf_name) const;
  Result<Tensor> MakeBlocks(const LogicalLayer& layer, const LinearRecord& record,
                            LayerLoss& loss) const;

  const GgufArchitecture& architecture_;
  const std::vector<float> rotary_factors_;
  bool allow_loss_;
};

// rope_freqs.weight belongs to no layer; it is made together with this one, which every model has.
constexpr std::string_view kWithRotaryFactors = "model.norm.weight";

Error NoPlace(std::string_view what) {
  return InputError("CV-gguf-name", fmt::format("{} has no place in llama.cpp's model", what));
}

Result<uint64_t> GgufTarget::RotaryHeads(const std::string& gguf_name, uint64_t rows) const {
  const RotaryRows which = RotaryRowsOf(gguf_name);
  if (!architecture_.interleaves_rotary || which == RotaryRows::kAsTheyAre) return uint64_t{0};
  const Json& config = *reader_.source().config();
  const Json* heads = config.Find("num_attention_heads");
  const Json* kv_heads = config.Find("num_key_value_heads");
  const Json* used = which == RotaryRows::kOfKeys && kv_heads != nullptr ? kv_heads : heads;
  const int64_t count = used == nullptr ? 0 : used->AsInteger().value_or(0);
  if (count > 0 && rows % (2 * static_cast<uint64_t>(count)) == 0)
    return static_cast<uint64_t>(count);
  return InputError("CV-gguf-shape",
                    fmt::format("{} rows are no {} heads of an even size", rows, count));
}

Result<Tensor> GgufTarget::Ordered(Tensor tensor, const std::string& gguf_name) const {
  SLIM_ASSIGN(const uint64_t heads, RotaryHeads(gguf_name, tensor.shape.at(0)));
  return heads == 0 ? std::move(tensor)
                    : ReorderRotaryRows(tensor, heads, RotaryOrder::kInterleaved);
}

Result<LayerPlan> GgufTarget::PlanPlain(const LogicalLayer& layer) const {
  LayerPlan plan;
  SLIM_ASSIGN(plan.reason, ReasonToDrop(reader_, layer, allow_loss_));
  if (!plan.reason.empty()) return plan;
  if (layer.name.ends_with(".rotary_emb.inv_freq")) {
    plan.reason = "computed from config.json by who needs it";
    return plan;
  }
  const std::string name = GgufNameOfHf(layer.name);
  if (name.empty()) return NoPlace("it");
  const PartSpec& part = *layer.part(Role::kWeight);
  if (!CanConvertFromFloat(part.dtype))
    return InputError("CV-dtype",
                      fmt::format("is {}, F32, F16 and BF16 are written", DTypeName(part.dtype)));
  const DType dtype = part.shape.size() == 1 ? DType::kF32 : part.dtype;
  SLIM_ASSIGN(const uint64_t heads, RotaryHeads(name, part.shape.empty() ? 1 : part.shape[0]));
  plan.outputs.push_back({{name, dtype, part.shape}, "FLOAT"});
  plan.copies = dtype == part.dtype && heads == 0;
  if (heads > 0) plan.reason = "rows in llama.cpp's rotary order";
  if (dtype != part.dtype) {
    plan.reason +=
        fmt::format("{}{} to {}", heads > 0 ? ", " : "", DTypeName(part.dtype), DTypeName(dtype));
  }
  if (!rotary_factors_.empty() && layer.name == kWithRotaryFactors) {
    const TensorSpec spec{std::string(kRotaryFactors), DType::kF32, {rotary_factors_.size()}};
    plan.outputs.push_back({spec, "FLOAT"});
    plan.copies = false;
    plan.reason +=
        fmt::format("{}{} from rope_scaling", plan.reason.empty() ? "" : ", ", spec.name);
  }
  return plan;
}

Status GgufTarget::CheckLayer(const LogicalLayer& layer) const {
  switch (layer.scheme) {
    case Scheme::kW8A8:
    case Scheme::kW8A8Dynamic:
    case Scheme::kW8A16:
      break;
    default:
      return InputError("CV-scheme",
                        fmt::format("is {}; W8A8, W8A8_DYNAMIC and W8A16 are written as gguf",
                                    SchemeLabel(layer.scheme)),
                        "--dequantize first, then --to gguf");
  }
  const uint64_t groups = std::max<uint64_t>(layer.groups(), 1);
  if (layer.k() % (groups * kQ8_0Elements) != 0) {
    return InputError("CV-gguf-shape",
                      fmt::format("[n, k] = {} in {} groups: Q8_0 has blocks of {}",
                                  ShapeText(layer.shape()), groups, kQ8_0Elements));
  }
  if (!layer.Has(Role::kWeightOffset)) return {};
  SLIM_ASSIGN(const LinearRecord record, reader_.Read(layer, LayerReader::Parts::kAllButWeight));
  const std::vector<float> offsets = PartAsFloats(record, Role::kWeightOffset);
  const auto found = std::ranges::find_if(offsets, [](float offset) { return offset != 0; });
  if (found == offsets.end()) return {};
  return InputError("CV-weight-offset", fmt::format("has weight offset {}, Q8_0 has none", *found),
                    "--dequantize first, then --to gguf");
}

Result<LayerPlan> GgufTarget::Plan(const LogicalLayer& layer) const {
  if (!layer.is_linear) return PlanPlain(layer);
  LayerPlan plan;
  const std::string name = GgufNameOfHf(layer.name + ".weight");
  if (name.empty()) return NoPlace("its layer");
  SLIM_TRY(CheckLayer(layer));
  plan.outputs.push_back(
      {{name, DType::kU8, StoredQ8_0Shape(layer.shape())}, std::string(SchemeLabel(layer.scheme))});
  plan.loss = LossClass::kNear;
  plan.reason = fmt::format("{} as Q8_0 blocks", SchemeLabel(layer.scheme));
  bool bias = layer.Has(Role::kBias);
  if (!bias && layer.Has(Role::kQuantBias)) {
    SLIM_ASSIGN(const LinearRecord record, reader_.Read(layer, LayerReader::Parts::kAll));
    bias = !FloatBias(record).empty();
  }
  if (bias)
    plan.outputs.push_back(
        {{GgufNameOfHf(layer.name + ".bias"), DType::kF32, {layer.n()}}, "FLOAT"});
  return plan;
}

// A static layer without weight_scale has it in deq_scale = input_scale · weight_scale.
std::vector<float> RowScales(const LinearRecord& record) {
  if (record.Has(Role::kWeightScale)) return PartAsFloats(record, Role::kWeightScale);
  std::vector<float> scales = PartAsFloats(record, Role::kDeqScale);
  const float input = PartAsFloats(record, Role::kInputScale)[0];
  for (float& scale : scales) scale /= input;
  return scales;
}

Result<Tensor> GgufTarget::MakeBlocks(const LogicalLayer& layer, const LinearRecord& record,
                                      LayerLoss& loss) const {
  const std::vector<float> exact = RowScales(record);
  const uint64_t groups = exact.size() / layer.n();
  SLIM_ASSIGN(const Tensor scales,
              RoundFloats(exact, {layer.n(), groups}, DType::kF16, Meaning::kScales, loss));
  Tensor blocks(DType::kU8, StoredQ8_0Shape(layer.shape()));
  const uint64_t row_blocks = layer.k() / kQ8_0Elements;
  const std::byte* codes = record[Role::kWeight].data.data();
  std::byte* to = blocks.data.data();
  for (uint64_t block = 0; block < layer.n() * row_blocks; ++block, to += kQ8_0Bytes) {
    const uint64_t group = block % row_blocks / (row_blocks / groups);
    std::memcpy(to, scales.data.data() + (block / row_blocks * groups + group) * 2, 2);
    std::memcpy(to + 2, codes + block * kQ8_0Elements, kQ8_0Elements);
  }
  return blocks;
}

Result<std::vector<Tensor>> GgufTarget::Make(const LogicalLayer& layer, const LayerPlan& plan,
                                             LinearRecord record, LayerLoss& loss) const {
  std::vector<Tensor> out;
  const LayerOutput& first = plan.outputs.front();
  if (!layer.is_linear) {
    SLIM_ASSIGN(Tensor rounded,
                RoundPart(record[Role::kWeight], first.spec.dtype, Meaning::kValues, loss));
    SLIM_ASSIGN(Tensor tensor, Ordered(std::move(rounded), first.spec.name));
    out.push_back(std::move(tensor));
    if (plan.outputs.size() > 1)
      out.push_back(Tensor::FromFloats({rotary_factors_.size()}, rotary_factors_));
    return out;
  }
  SLIM_ASSIGN(Tensor blocks, MakeBlocks(layer, record, loss));
  SLIM_ASSIGN(Tensor ordered, Ordered(std::move(blocks), first.spec.name));
  out.push_back(std::move(ordered));
  if (plan.outputs.size() > 1) {
    const Tensor bias = Tensor::FromFloats({layer.n()}, FloatBias(record));
    SLIM_ASSIGN(Tensor tensor, Ordered(Tensor::Copy(bias.view()), plan.outputs[1].spec.name));
    out.push_back(std::move(tensor));
  }
  return out;
}

FileType TypeOf(const std::vector<LayerPlan>& plans) {
  uint64_t bytes[4] = {};
  constexpr FileType kTypes[] = {kAllF32, kMostlyF16, kMostlyBF16, kMostlyQ8_0};
  for (const LayerPlan& plan : plans) {
    for (const LayerOutput& output : plan.outputs) {
      if (output.spec.shape.size() < 2) continue;
      const DType dtype = output.spec.dtype;
      const size_t kind = dtype == DType::kF32    ? 0
                          : dtype == DType::kF16  ? 1
                          : dtype == DType::kBF16 ? 2
                                                  : 3;
      bytes[kind] += ElementCount(output.spec.shape).value_or(0);
    }
  }
  return kTypes[std::max_element(std::begin(bytes), std::end(bytes)) - std::begin(bytes)];
}

Status GgufTarget::Finish(const std::vector<LayerPlan>& plans, WritePlan& write,
                          ConfigTarget& config, std::vector<std::string>& notes) const {
  const Checkpoint& source = reader_.source();
  write.globals.model_quant_type = "FLOAT";
  write.part_size = 0;
  write.keep_shards = false;
  SLIM_ASSIGN(write.gguf_metadata, GgufOfConfig(*source.config()));
  const uint64_t type = TypeOf(plans);
  write.gguf_metadata.emplace_back("general.file_type", GgufValue::U32(type));
  if (type == kMostlyQ8_0)
    write.gguf_metadata.emplace_back("general.quantization_version", GgufValue::U32(2));
  TokenizerSource tokenizer;
  tokenizer.config = source.config();
  const auto read = [&](std::string_view name, std::string& text) -> Status {
    if (!source.HasFile(name)) return {};
    SLIM_ASSIGN(text, source.ReadSideFile(name));
    return {};
  };
  SLIM_TRY(read("tokenizer.json", tokenizer.tokenizer_json));
  SLIM_TRY(read("tokenizer_config.json", tokenizer.tokenizer_config));
  SLIM_TRY(read("chat_template.jinja", tokenizer.chat_template));
  for (auto& pair : GgufOfTokenizer(tokenizer, notes))
    write.gguf_metadata.push_back(std::move(pair));
  const bool dynamic = std::ranges::any_of(reader_.layers(), [](const LogicalLayer& layer) {
    return layer.scheme == Scheme::kW8A8 || layer.scheme == Scheme::kW8A8Dynamic;
  });
  if (dynamic) notes.emplace_back("gguf has float activations: the int8 activations are given up");
  config.dequantized = true;
  return {};
}

}  // namespace

Result<std::unique_ptr<LayerTarget>> MakeGgufTarget(const LayerReader& reader,
                                                    const ConvertOptions& options) {
  if (options.dtype) {
    return UsageError("--dtype does not go with --to gguf",
                      "convert the float checkpoint with --dtype first");
  }
  if (options.part_size != 0)
    return UsageError("--part-size does not go with --to gguf: it is one file");
  const Json* type = reader.source().config()->Find("model_type");
  const auto* architecture =
      GgufArchitectureByModelType(type == nullptr ? "" : type->AsString().value_or(""));
  if (architecture == nullptr) {
    SLIM_ASSIGN(const GgufMetadata refused, GgufOfConfig(*reader.source().config()));
    return InternalError("an architecture without a table row");
  }
  SLIM_ASSIGN(std::vector<float> rotary_factors, RotaryFactorsOfConfig(*reader.source().config()));
  return std::unique_ptr<LayerTarget>(std::make_unique<GgufTarget>(
      reader, *architecture, std::move(rotary_factors), options.allow_loss));
}

}  // namespace slim
