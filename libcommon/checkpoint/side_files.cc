#include "checkpoint/side_files.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "json/json.h"
#include "os/file.h"

namespace slim {
namespace {

// What transformers, MindIE, vLLM and msModelSlim know by name (facts: formats.md 2.3).
constexpr std::array<std::string_view, 18> kKnownNames = {"tokenizer.json",
                                                          "tokenizer.model",
                                                          "tokenizer_config.json",
                                                          "special_tokens_map.json",
                                                          "added_tokens.json",
                                                          "vocab.json",
                                                          "vocab.txt",
                                                          "merges.txt",
                                                          "chat_template.jinja",
                                                          "chat_template.json",
                                                          "generation_config.json",
                                                          "configuration.json",
                                                          "preprocessor_config.json",
                                                          "processor_config.json",
                                                          "video_preprocessor_config.json",
                                                          "sentencepiece.bpe.model",
                                                          "spiece.model",
                                                          "tiktoken.model"};
constexpr std::array<std::string_view, 6> kKnownStems = {"readme", "license",    "licence",
                                                         "notice", "use_policy", "copying"};
constexpr std::array<std::string_view, 9> kWeightEndings = {
    ".safetensors", ".index.json", ".bin", ".pt", ".pth", ".gguf", ".npy", ".onnx", ".ckpt"};

bool SaysTrue(const Json& value, std::string_view key) {
  const auto says = [&](const Json& inner) { return SaysTrue(inner, key); };
  if (value.is_array()) return std::any_of(value.items().begin(), value.items().end(), says);
  return std::any_of(value.members().begin(), value.members().end(), [&](const auto& member) {
    return (member.first == key && member.second.AsBool() == true) || says(member.second);
  });
}

bool IsKnown(std::string_view name) {
  if (std::find(kKnownNames.begin(), kKnownNames.end(), name) != kKnownNames.end()) return true;
  if (name.ends_with(".tiktoken") || name.ends_with(".jinja")) return true;
  const std::string stem = ToLower(name.substr(0, name.find('.')));
  return std::any_of(kKnownStems.begin(), kKnownStems.end(), [&](std::string_view known) {
    return stem == known || stem.starts_with(std::string(known) + "-") ||
           stem.starts_with(std::string(known) + "_");
  });
}

}  // namespace

SideFileKind KindOfSideFile(std::string_view name) {
  if (name == "config.json") return SideFileKind::kConfig;
  if (name == kReceiptFileName || name == kManifestFileName) return SideFileKind::kReceipt;
  if (name.starts_with("quant_model_description") && name.ends_with(".json"))
    return SideFileKind::kWeights;
  const bool weights = std::any_of(kWeightEndings.begin(), kWeightEndings.end(),
                                   [&](std::string_view ending) { return name.ends_with(ending); });
  if (weights) return SideFileKind::kWeights;
  if (IsKnown(name)) return SideFileKind::kKnown;
  return name.ends_with(".py") ? SideFileKind::kCode : SideFileKind::kUnknown;
}

std::string_view SideFileKindName(SideFileKind kind) {
  switch (kind) {
    case SideFileKind::kConfig:
      return "config";
    case SideFileKind::kReceipt:
      return "receipt";
    case SideFileKind::kKnown:
      return "known";
    case SideFileKind::kCode:
      return "code";
    case SideFileKind::kWeights:
      return "weights";
    case SideFileKind::kUnknown:
      return "unknown";
  }
  return "unknown";
}

SideFileChoice ChooseSideFiles(const Checkpoint& checkpoint, bool keep_extra) {
  return ChooseSideFiles(checkpoint.side_files(), keep_extra);
}

SideFileChoice ChooseSideFiles(const std::vector<DirectoryEntry>& files, bool keep_extra) {
  SideFileChoice choice;
  for (const DirectoryEntry& entry : files) {
    if (entry.kind != FileKind::kRegular) continue;
    const SideFileKind kind = KindOfSideFile(entry.name);
    if (kind == SideFileKind::kConfig || kind == SideFileKind::kReceipt) continue;
    const bool extra = kind == SideFileKind::kCode || kind == SideFileKind::kUnknown;
    const bool copied = kind == SideFileKind::kKnown || (extra && keep_extra);
    (copied ? choice.copied : choice.left).push_back({entry.name, entry.size, kind});
  }
  return choice;
}

Result<bool> ReceiptCorrectsBias(const std::string& directory) {
  constexpr uint64_t kMaxReceiptBytes = 256ULL << 20;
  const auto text = ReadWholeFile(JoinPath(directory, kReceiptFileName), kMaxReceiptBytes);
  if (!text.ok()) {
    if (text.error().code == ErrorCode::kInput) return false;
    return text.error();
  }
  const auto receipt = ParseJson(*text);
  const Json* configuration = receipt.ok() ? receipt->Find("configuration") : nullptr;
  return configuration != nullptr && SaysTrue(*configuration, kBiasCorrectionKey);
}

}  // namespace slim
