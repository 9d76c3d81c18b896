#include "checkpoint/dialects/dialect.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "checkpoint/dialects/ascendv1.h"
#include "checkpoint/dialects/ascendv1_v0.h"
#include "checkpoint/dialects/golden_stick.h"
#include "checkpoint/dialects/golden_stick_ranks.h"
#include "checkpoint/dialects/hf.h"
#include "checkpoint/dialects/mindie.h"
#include "checkpoint/dialects/mindie_parts.h"

namespace slim {
namespace {

constexpr std::string_view kDescription = "quant_model_description";
constexpr std::string_view kSafetensors = ".safetensors";
constexpr std::string_view kGguf = ".gguf";
constexpr std::string_view kTorch = ".bin";
constexpr std::string_view kNpy = ".npy";
constexpr std::string_view kTorchStem = "pytorch_model";
constexpr std::string_view kTorchIndex = "pytorch_model.bin.index.json";
constexpr std::string_view kIndexSuffix = ".safetensors.index.json";

struct Listing {
  std::vector<std::string> descriptions;
  std::vector<std::string> safetensors;
  std::vector<std::string> indexes;
  std::vector<std::string> foreign;  // weights in formats that are not safetensors
  bool has_torch_index = false;
};

Listing Classify(const std::vector<DirectoryEntry>& entries) {
  Listing listing;
  for (const DirectoryEntry& entry : entries) {
    const std::string& name = entry.name;
    if (name.starts_with('.') || entry.kind == FileKind::kDirectory) continue;
    if (name.starts_with(kDescription) && name.ends_with(".json")) {
      listing.descriptions.push_back(name);
    } else if (name.ends_with(kIndexSuffix)) {
      listing.indexes.push_back(name);
    } else if (name == kTorchIndex) {
      listing.has_torch_index = true;
    } else if (name.ends_with(kSafetensors)) {
      listing.safetensors.push_back(name);
    } else if (name.ends_with(".bin") || name.ends_with(".pt") || name.ends_with(".pth") ||
               name.ends_with(".gguf") || name.ends_with(".npy")) {
      listing.foreign.push_back(name);
    }
  }
  return listing;
}

struct MethodDialect {
  std::string_view method;  // quant_method of config.json
  Dialect dialect;
};
constexpr MethodDialect kMethods[] = {{"compressed-tensors", Dialect::kCompressedTensors},
                                      {"gptq", Dialect::kGptq},
                                      {"awq", Dialect::kAwq},
                                      {"fp8", Dialect::kFp8Block},
                                      {"golden-stick", Dialect::kGoldenStick}};

// What else the directory says it is; the dialects of kMethods and some that are only named.
std::string ForeignDialect(const Json* config, const std::vector<DirectoryEntry>& entries) {
  for (const DirectoryEntry& entry : entries) {
    if (entry.name == kGoldenStickDescription) return "golden-stick";
    if (entry.kind == FileKind::kDirectory && ParsePartDirectory(entry.name))
      return std::string(kMindIEPartsTraits.name);
  }
  const Json* quantization = config == nullptr ? nullptr : config->Find("quantization_config");
  const Json* method = quantization == nullptr ? nullptr : quantization->Find("quant_method");
  if (method == nullptr || !method->is_string()) return "";
  return method->text();
}

DialectTraits FloatTraits(Dialect dialect, std::string_view name, std::string_view summary,
                          Container container) {
  DialectTraits traits = ForeignTraits(dialect, name, summary);
  traits.may_be_float = true;
  traits.container = container;
  return traits;
}

std::vector<std::string> WithStem(const std::vector<std::string>& files, std::string_view stem) {
  std::vector<std::string> out;
  std::copy_if(files.begin(), files.end(), std::back_inserter(out),
               [&](const std::string& file) { return file.starts_with(stem); });
  return out;
}

void ChooseIndex(const Listing& listing, std::string_view stem, DialectGuess& guess) {
  const std::vector<std::string> indexes = WithStem(listing.indexes, stem);
  if (!indexes.empty()) guess.index_file = indexes.front();
  guess.weight_files = WithStem(listing.safetensors, stem);
}

DialectGuess GuessAscend(const Listing& listing) {
  DialectGuess guess;
  const auto plain = std::find(listing.descriptions.begin(), listing.descriptions.end(),
                               "quant_model_description.json");
  const bool has_plain = plain != listing.descriptions.end();
  guess.description_file = has_plain ? *plain : listing.descriptions.front();
  if (listing.descriptions.size() > 1) {
    guess.notes.push_back(fmt::format("several descriptions ({}), reading {}",
                                      Join(listing.descriptions, ", "), guess.description_file));
  }
  const bool one_click = !WithStem(listing.safetensors, "quant_model_weights").empty() ||
                         !WithStem(listing.indexes, "quant_model_weights").empty();
  guess.dialect = !has_plain  ? Dialect::kMindIE
                  : one_click ? Dialect::kAscendV1
                              : Dialect::kAscendV1V0;
  ChooseIndex(listing, one_click ? "quant_model_weights" : "quant_model_weight", guess);
  if (guess.weight_files.empty())
    ChooseIndex(listing, "", guess);  // renamed by hand: any safetensors
  return guess;
}

// The one model among *.gguf.
Result<DialectGuess> GuessGguf(const std::string& directory, std::vector<std::string> files) {
  DialectGuess guess;
  guess.dialect = Dialect::kGguf;
  guess.container = Container::kGguf;
  guess.weight_files = GgufSplitFiles(files.front());
  const auto other = std::ranges::find_if(files, [&](const std::string& name) {
    return std::ranges::find(guess.weight_files, name) == guess.weight_files.end();
  });
  if (other == files.end()) return guess;
  return InputError(
             "CK-several-models",
             fmt::format("holds several models: {}, {}", Quote(files.front()), Quote(*other)),
             "name the file")
      .WithPath(directory);
}

// Files that are no safetensors; nothing where none of them is a model.
Result<std::optional<DialectGuess>> GuessOtherContainer(const std::string& directory,
                                                        const Listing& listing) {
  const auto ending_in = [&](std::string_view ending) {
    std::vector<std::string> files;
    std::ranges::copy_if(listing.foreign, std::back_inserter(files),
                         [&](const std::string& name) { return name.ends_with(ending); });
    return files;
  };
  DialectGuess guess;
  const std::vector<std::string> torch = WithStem(ending_in(kTorch), kTorchStem);
  if (!torch.empty() || listing.has_torch_index) {
    guess.dialect = Dialect::kTorchBin;
    guess.container = Container::kTorch;
    guess.weight_files = torch;
    if (listing.has_torch_index) guess.index_file = kTorchIndex;
    return std::optional(std::move(guess));
  }
  if (const auto gguf = ending_in(kGguf); !gguf.empty()) {
    SLIM_ASSIGN(guess, GuessGguf(directory, gguf));
    return std::optional(std::move(guess));
  }
  guess.weight_files = ending_in(kNpy);
  if (std::ranges::find(guess.weight_files, "quant_weight.npy") == guess.weight_files.end())
    return std::optional<DialectGuess>();
  guess.dialect = Dialect::kNpy;
  guess.container = Container::kNpy;
  return std::optional(std::move(guess));
}

}  // namespace

std::span<const DialectTraits> Dialects() {
  static const DialectTraits kTable[] = {
      kHfTraits,
      kAscendV1Traits,
      kAscendV1V0Traits,
      kMindIETraits,
      kMindIEPartsTraits,
      ForeignTraits(Dialect::kCompressedTensors, "compressed-tensors",
                    "compressed-tensors (vLLM, llm-compressor): int8, FP8, packed 4 and 8 bits"),
      ForeignTraits(Dialect::kGptq, "gptq",
                    "AutoGPTQ and GPTQModel, versions 1 and 2, 4 and 8 bits"),
      ForeignTraits(Dialect::kAwq, "awq", "AutoAWQ in its GEMM layout, 4 bits"),
      ForeignTraits(Dialect::kFp8Block, "fp8-block",
                    "FP8 with block scales, as DeepSeek and Qwen publish it"),
      kGoldenStickTraits,
      FloatTraits(Dialect::kGguf, "gguf", "llama.cpp's file: F32, F16, BF16 and Q8_0 tensors",
                  Container::kGguf),
      FloatTraits(Dialect::kTorchBin, "torch-bin",
                  "pytorch_model.bin, single or sharded, read without executing anything",
                  Container::kTorch),
      FloatTraits(Dialect::kNpy, "npy",
                  "dicts of tensors by kind, as msModelSlim's save_type numpy writes them",
                  Container::kNpy),
  };
  return kTable;
}

const DialectTraits& TraitsOf(Dialect dialect) { return Dialects()[static_cast<size_t>(dialect)]; }

Result<Dialect> ParseDialect(std::string_view name) {
  std::vector<std::string> names;
  for (const DialectTraits& traits : Dialects()) {
    if (traits.name == name) return traits.dialect;
    names.emplace_back(traits.name);
  }
  return UsageError(fmt::format("unknown dialect {}", Quote(name)), "known: " + Join(names, ", "));
}

std::string_view ContainerEnding(Container container) {
  switch (container) {
    case Container::kGguf:
      return kGguf;
    case Container::kTorch:
      return kTorch;
    case Container::kNpy:
      return kNpy;
    case Container::kSafetensors:
      break;
  }
  return kSafetensors;
}

std::string ShardFileName(std::string_view stem, uint32_t index, uint32_t count, bool sharded,
                          Container container) {
  const std::string_view ending = ContainerEnding(container);
  if (!sharded) return fmt::format("{}{}", stem, ending);
  return fmt::format("{}-{:05d}-of-{:05d}{}", stem, index + 1, count, ending);
}

std::string IndexFileName(std::string_view stem) { return fmt::format("{}{}", stem, kIndexSuffix); }

std::vector<std::string> GgufSplitFiles(std::string_view name) {
  // "-00001-of-00003.gguf"
  constexpr size_t kTail = 15 + 5;
  const auto number = [&](size_t from) {
    uint32_t value = 0;
    for (const char c : name.substr(from, 5)) {
      if (c < '0' || c > '9') return uint32_t{0};
      value = value * 10 + static_cast<uint32_t>(c - '0');
    }
    return value;
  };
  if (name.size() > kTail && name.ends_with(kGguf)) {
    const size_t tail = name.size() - kTail;
    const uint32_t count = number(tail + 10);
    const bool split = name[tail] == '-' && name.substr(tail + 6, 4) == "-of-";
    if (split && number(tail + 1) > 0 && count >= number(tail + 1)) {
      std::vector<std::string> files;
      for (uint32_t i = 0; i < count; ++i)
        files.push_back(ShardFileName(name.substr(0, tail), i, count, true, Container::kGguf));
      return files;
    }
  }
  return {std::string(name)};
}

Error UnreadDialect(std::string_view name, const std::string& directory) {
  return InputError(
             "CK-unsupported-dialect",
             fmt::format("is a {} checkpoint, which this version does not read", Quote(name)))
      .WithPath(directory);
}

DialectTraits ForeignTraits(Dialect dialect, std::string_view name, std::string_view summary) {
  DialectTraits traits = kHfTraits;
  traits.dialect = dialect;
  traits.name = name;
  traits.summary = summary;
  traits.is_foreign = true;
  return traits;
}

Result<DialectGuess> GuessDialect(const std::string& directory,
                                  const std::vector<DirectoryEntry>& entries, const Json* config) {
  const Listing listing = Classify(entries);
  if (!listing.descriptions.empty()) return GuessAscend(listing);
  const std::string foreign = ForeignDialect(config, entries);
  if (foreign == kMindIEPartsTraits.name) {
    DialectGuess parts;
    parts.dialect = Dialect::kMindIEParts;
    return parts;
  }
  const auto* method = std::ranges::find(kMethods, foreign, &MethodDialect::method);
  if (!foreign.empty() && method == std::end(kMethods)) {
    std::vector<std::string_view> known;
    for (const MethodDialect& row : kMethods) known.push_back(row.method);
    Error error = UnreadDialect(foreign, directory);
    error.message +=
        fmt::format(": quant_method of config.json is none of {}", fmt::join(known, ", "));
    return error;
  }
  if (listing.safetensors.empty() && listing.indexes.empty()) {
    SLIM_ASSIGN(std::optional<DialectGuess> ranks, GuessRanks(directory, entries));
    if (ranks) return std::move(*ranks);
    SLIM_ASSIGN(std::optional<DialectGuess> other, GuessOtherContainer(directory, listing));
    if (other) {
      other->fp8 = foreign == "fp8";
      if (other->container == Container::kTorch && !foreign.empty() && !other->fp8)
        other->dialect = method->dialect;
      return std::move(*other);
    }
    const std::string found =
        listing.foreign.empty() ? "" : fmt::format(", found {}", Join(listing.foreign, ", "));
    return InputError(
               "CK-no-weights",
               fmt::format(
                   "no checkpoint: looked for *.safetensors, quant_model_description*.json, "
                   "{}, pytorch_model*.bin, *.gguf, quant_weight.npy, part{{i}}-of-{{n}}/ and "
                   "rank_{{i}}/{}",
                   kGoldenStickDescription, found))
        .WithPath(directory);
  }
  DialectGuess guess;
  guess.fp8 = foreign == "fp8";
  guess.dialect = foreign.empty() || guess.fp8 ? Dialect::kHf : method->dialect;
  if (guess.dialect == Dialect::kGoldenStick) guess.description_file = kGoldenStickDescription;
  ChooseIndex(listing, "", guess);
  if (std::find(listing.indexes.begin(), listing.indexes.end(), "model.safetensors.index.json") !=
      listing.indexes.end()) {
    guess.index_file = "model.safetensors.index.json";
  }
  // A plain model.safetensors stands alone: transformers reads it before any index.
  if (std::find(listing.safetensors.begin(), listing.safetensors.end(), "model.safetensors") !=
      listing.safetensors.end()) {
    guess.index_file.clear();
    guess.weight_files = {"model.safetensors"};
  }
  return guess;
}

DescriptionGlobals ReadGlobals(const QuantDescription& description) {
  DescriptionGlobals globals;
  globals.model_quant_type = "FLOAT";
  for (const QuantDescription::Entry& entry : description.entries()) {
    if (entry.is_tensor || entry.key == "version") continue;
    if (entry.key == "model_quant_type" && entry.value->is_string()) {
      globals.model_quant_type = entry.value->text();
    } else if (entry.key == "group_size" && entry.value->AsInteger()) {
      globals.group_size = *entry.value->AsInteger();
    } else if (entry.key == "metadata") {
      globals.metadata = *entry.value;
    } else if (entry.key == "optional") {
      globals.optional = *entry.value;
    } else {
      globals.others.emplace_back(entry.key, *entry.value);
    }
  }
  return globals;
}

}  // namespace slim
