// The dialects (layouts) of checkpoints as one table: names of files, order of entries, globals of
// the description. A dialect holds no arithmetic. Each has its own pair of files beside this one; a
// new dialect is a pair and a row.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "checkpoint/quant_description.h"
#include "json/json.h"
#include "linear/scheme.h"
#include "os/file.h"

namespace slim {

enum class Dialect : uint8_t {
  kHf,
  kAscendV1,
  kAscendV1V0,
  kMindIE,
  kMindIEParts,
  // Of other ecosystems: only Checkpoint::OpenForeign() opens them.
  kCompressedTensors,
  kGptq,
  kAwq,
  kFp8Block,
  kGoldenStick,
  kGguf,
  kTorchBin,
  kNpy,
};

// What holds the tensors' bytes.
enum class Container : uint8_t { kSafetensors, kGguf, kTorch, kNpy };

struct DescriptionGlobals {
  std::string model_quant_type;  // label; "FLOAT" for a float checkpoint
  int64_t group_size = 0;
  std::optional<Json> metadata;  // ascendv1 only
  std::optional<Json> optional;  // ascendv1 only
  // Globals with no place of their own (kv_cache_type, …), carried as they are.
  std::vector<std::pair<std::string, Json>> others;
};

struct DialectTraits {
  Dialect dialect;
  std::string_view name;     // of the command line and reports: "ascendv1-v0"
  std::string_view summary;  // one line for --list and the man page
  bool has_description;
  int description_indent;   // spaces a level
  bool globals_first;       // in the description
  bool always_sharded;      // shard names and an index even for one file
  bool layers_first;        // decoder layers before embeddings in description and index
  bool quantize_in_config;  // config.json carries "quantize"
  bool packs_int4;          // two int4 codes a byte, where the type packs at all (linear/int4.h)
  bool cache_first;  // scales of the KV cache before their projection, not after the attention
  // Tensors of one linear layer in the order of description and index.
  std::span<const Role> role_order;
  // `type` is the lower-case model quant type.
  std::string (*description_name)(std::string_view type);
  std::string (*weight_stem)(
      std::string_view type);  // "quant_model_weight_w8a8"; shards and index are named after it
  std::vector<std::pair<std::string, Json>> (*write_globals)(const DescriptionGlobals& globals);
  // Stem of the index where it is not that of the weights.
  std::string_view index_stem = {};
  // Of another ecosystem: conversions only, and by layers, because its tensors have other meanings.
  bool is_foreign = false;
  // Its float tensors are a float checkpoint as they are: becomes hf without --dequantize where no
  // layer is quantized.
  bool may_be_float = false;
  Container container = Container::kSafetensors;  // that it is written in
};

// A dialect that looks like hf but for what its tensors mean.
DialectTraits ForeignTraits(Dialect dialect, std::string_view name, std::string_view summary);

std::span<const DialectTraits> Dialects();
const DialectTraits& TraitsOf(Dialect dialect);
// By name; the error lists the names there are.
Result<Dialect> ParseDialect(std::string_view name);

std::string_view ContainerEnding(Container container);  // ".safetensors"
// "{stem}.safetensors" for one plain file, else "{stem}-00001-of-0000N.safetensors" (index from 0).
std::string ShardFileName(std::string_view stem, uint32_t index, uint32_t count, bool sharded,
                          Container container = Container::kSafetensors);
std::string IndexFileName(std::string_view stem);

// What a directory looks like, and why.
struct DialectGuess {
  Dialect dialect = Dialect::kHf;
  std::string description_file;           // empty for hf
  std::string index_file;                 // empty when there is none
  std::vector<std::string> weight_files;  // of the directory, by pattern; the index may name fewer
  std::vector<std::string> notes;
  Container container = Container::kSafetensors;
  bool fp8 = false;  // hf whose quantization_config says quant_method fp8
};

// From the listing alone, plus config.json's quantization_config. Formats that slim does not read,
// and a directory without weights, are errors that say what was looked for and what was found (rule
// CK-…).
Result<DialectGuess> GuessDialect(const std::string& directory,
                                  const std::vector<DirectoryEntry>& listing, const Json* config);

// All files of a split GGUF model that `name` belongs to ("x-00002-of-00003.gguf"), in order; else
// only itself.
std::vector<std::string> GgufSplitFiles(std::string_view name);

// CK-unsupported-dialect.
Error UnreadDialect(std::string_view name, const std::string& directory);

// The globals of a description in their common form.
DescriptionGlobals ReadGlobals(const QuantDescription& description);

}  // namespace slim
