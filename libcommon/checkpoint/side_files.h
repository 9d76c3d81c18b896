// Side files of a checkpoint by policy: which ones travel with the weights when a tool writes a new
// checkpoint, and which ones are left behind and named. Goes by names of the directory's own
// listing: nothing below or above the directory is ever looked at. Copies nothing itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace slim {

enum class SideFileKind : uint8_t {
  kConfig,   // config.json: the writing tool makes its own from it
  kReceipt,  // slim_receipt.json, slim_manifest.json: describe the source, never copied
  kKnown,    // tokenizer, chat template, generation settings, README, LICENSE, …: copied
  kCode,     // *.py that a loader would run: copied on request
  kWeights,  // weights, indexes and descriptions beside the checkpoint's own: never copied
  kUnknown   // anything else: copied on request
};

inline constexpr std::string_view kReceiptFileName = "slim_receipt.json";
inline constexpr std::string_view kBiasCorrectionKey = "bias_correction";
inline constexpr std::string_view kManifestFileName = "slim_manifest.json";

SideFileKind KindOfSideFile(std::string_view name);
std::string_view SideFileKindName(SideFileKind kind);  // "code", for reports

struct SideFile {
  std::string name;
  uint64_t size = 0;  // bytes
  SideFileKind kind = SideFileKind::kUnknown;
};

struct SideFileChoice {
  std::vector<SideFile> copied;
  std::vector<SideFile> left;  // to be named to the user; kConfig and kReceipt are in neither
};

// By name, sorted. `keep_extra` also copies kCode and kUnknown.
SideFileChoice ChooseSideFiles(const std::vector<DirectoryEntry>& files, bool keep_extra);
SideFileChoice ChooseSideFiles(const Checkpoint& checkpoint, bool keep_extra);

// The receipt in `directory` says that quantization corrected biases: quant_bias of a layer without
// a bias then holds one of its own. False without a receipt that can be understood.
Result<bool> ReceiptCorrectsBias(const std::string& directory);

}  // namespace slim
