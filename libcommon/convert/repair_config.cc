#include <fmt/format.h>

#include <optional>

#include "base/text.h"
#include "convert/config_edit.h"
#include "convert/repair_description.h"
#include "json/edit.h"

namespace slim {
namespace {

constexpr std::string_view kBlock = "quantization_config";

class ConfigRepair {
 public:
  ConfigRepair(const Checkpoint& source, const QuantDescription& description, Repairs& repairs)
      : source_(source),
        description_(description),
        repairs_(repairs),
        config_(*source.config()),
        text_(source.config_text()) {}

  Result<std::string> Run() {
    SLIM_TRY(NameDType());
    SLIM_TRY(CorrectQuantize());
    SLIM_TRY(RemoveBlock());
    SLIM_TRY(NameModelType());
    return std::move(text_);
  }

 private:
  bool IsMindIE() const {
    return repairs_.loader.loader == Loader::kMindie ||
           repairs_.loader.loader == Loader::kMindieAtb;
  }
  Status Set(std::string_view key, const Json& value, std::string what) {
    SLIM_ASSIGN(text_, SetMember(text_, key, DumpJson(value)));
    repairs_.done.push_back({fmt::format("config.json: {}", key), std::move(what)});
    return {};
  }

  Status NameDType();
  std::optional<DType> DTypeOfTensors() const;
  Status CorrectQuantize();
  Status RemoveBlock();
  Status NameModelType();

  const Checkpoint& source_;
  const QuantDescription& description_;
  Repairs& repairs_;
  const Json& config_;
  std::string text_;
};

// The one 16-bit dtype of all float matrices.
std::optional<DType> ConfigRepair::DTypeOfTensors() const {
  std::optional<DType> found;
  for (const TensorEntry& entry : source_.tensors()) {
    const std::string* label = description_.Label(entry.name);
    if (label == nullptr || *label != "FLOAT" || !entry.name.ends_with(".weight")) continue;
    const bool sixteen = entry.dtype == DType::kBF16 || entry.dtype == DType::kF16;
    if (!sixteen || (found && *found != entry.dtype)) return {};
    found = entry.dtype;
  }
  return found;
}

// MindIE's transformers reads torch_dtype only (golden/loaders).
Status ConfigRepair::NameDType() {
  if (config_.Find("torch_dtype") != nullptr) return {};
  const Json* dtype = config_.Find("dtype");
  if (dtype != nullptr) {
    return IsMindIE() ? Set("torch_dtype", *dtype, "added, from dtype") : Status();
  }
  const Json* text_config = config_.Find("text_config");
  if (text_config != nullptr && text_config->is_object()) return {};
  const auto found = DTypeOfTensors();
  if (!found) return {};
  return Set("torch_dtype", Json(TorchDTypeName(*found)), "added: what the float weights are");
}

Status ConfigRepair::CorrectQuantize() {
  const Json* quantize = config_.Find("quantize");
  const Json* type = description_.Global("model_quant_type");
  if (quantize == nullptr || type == nullptr || !type->is_string()) return {};
  const std::string wanted = ToLower(type->text());
  if (*quantize == Json(wanted)) return {};
  if (wanted == "w8a8_mix" && *quantize == Json("w8a8_pdmix")) return {};  // MindIE's own name
  return Set("quantize", Json(wanted),
             fmt::format("{} corrected to \"{}\"", Escape(DumpJson(*quantize)), wanted));
}

// Loaders follow it instead of the description; MindIE's own, without quant_method, belongs to its
// dialect, and stays there.
Status ConfigRepair::RemoveBlock() {
  const Json* block = config_.Find(kBlock);
  if (block == nullptr || !block->is_object()) return {};
  if (block->Find("quant_method") != nullptr) {
    SLIM_ASSIGN(text_, RemoveMember(text_, kBlock));
    repairs_.done.push_back({fmt::format("config.json: {}", kBlock), "removed: of another writer"});
    return {};
  }
  const bool holds_description = repairs_.loader.version == LoaderVersion::kVllm07;
  if (IsMindIE() || holds_description || source_.dialect() == Dialect::kMindIE) return {};
  SLIM_ASSIGN(text_, RenameMember(text_, kBlock, kParkedConfigKey));
  repairs_.done.push_back(
      {fmt::format("config.json: {}", kBlock),
       fmt::format("renamed {}: loaders take it for the description", kParkedConfigKey)});
  return {};
}

// MindIE's name for DeepSeek models (consumers.md G11).
Status ConfigRepair::NameModelType() {
  const Json* type = config_.Find("model_type");
  if (IsMindIE() || type == nullptr || *type != Json("deepseekv2")) return {};
  const Json* classes = config_.Find("architectures");
  const bool second = classes != nullptr && DumpJson(*classes).find("V2") != std::string::npos;
  const std::string name = second ? "deepseek_v2" : "deepseek_v3";
  return Set("model_type", Json(name), fmt::format("\"deepseekv2\" renamed \"{}\"", name));
}

}  // namespace

Result<std::string> RepairedConfig(const Checkpoint& source, const QuantDescription& description,
                                   Repairs& repairs) {
  return ConfigRepair(source, description, repairs).Run();
}

}  // namespace slim
