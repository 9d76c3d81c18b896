#include "convert/source_tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <unordered_map>

#include "base/text.h"
#include "model/modules.h"
#include "model/read_config.h"

namespace slim {
namespace {

Result<std::vector<SourceTensor>> ByDescription(const Checkpoint& source) {
  const std::string path = JoinPath(source.path(), source.guess().description_file);
  std::vector<SourceTensor> tensors;
  for (const QuantDescription::Entry& entry : source.description()->entries()) {
    if (!entry.is_tensor) continue;
    const TensorEntry* tensor = source.Find(entry.key);
    if (tensor == nullptr) {
      return InputError("CK-missing-tensor", "is in the description, and no weight file has it",
                        "fetch the missing file, or remove the entry")
          .WithTensor(entry.key)
          .WithPath(path);
    }
    tensors.push_back({tensor, entry.label});
  }
  for (const TensorEntry& tensor : source.tensors()) {
    if (source.description()->Label(tensor.name) == nullptr) {
      return InputError("CK-missing-label", "has no entry in the description",
                        "add its entry (FLOAT for a float tensor)")
          .WithTensor(tensor.name)
          .WithPath(path);
    }
  }
  return tensors;
}

std::vector<SourceTensor> ByModel(const Checkpoint& source) {
  const std::unordered_map<std::string, size_t> ranks = ModuleRanks(source);
  const auto rank = [&](const TensorEntry& entry) {
    const auto found = ranks.find(std::string(SplitTensorName(entry.name).module));
    return found == ranks.end() ? ranks.size() : found->second;
  };
  std::vector<SourceTensor> tensors;
  for (const TensorEntry& entry : source.tensors()) tensors.push_back({&entry, "FLOAT"});
  std::stable_sort(tensors.begin(), tensors.end(),
                   [&](const SourceTensor& a, const SourceTensor& b) {
                     const size_t rank_a = rank(*a.entry);
                     const size_t rank_b = rank(*b.entry);
                     if (rank_a != rank_b) return rank_a < rank_b;
                     return NaturalLess(a.entry->name, b.entry->name);
                   });
  return tensors;
}

int64_t ConfigGroupSize(const Checkpoint& source) {
  const Json* block =
      source.config() == nullptr ? nullptr : source.config()->Find("quantization_config");
  const Json* size = block == nullptr || !block->is_object() ? nullptr : block->Find("group_size");
  return size == nullptr ? 0 : std::max<int64_t>(size->AsInteger().value_or(0), 0);
}

}  // namespace

std::unordered_map<std::string, size_t> ModuleRanks(const Checkpoint& source) {
  std::unordered_map<std::string, size_t> ranks;
  if (source.config() == nullptr) return ranks;
  auto config = ParseModelConfig(*source.config());
  if (!config.ok()) return ranks;
  ResolvePrefix(source, *config);
  for (const Module& module : AllModules(*config)) ranks.emplace(module.name, ranks.size());
  return ranks;
}

// One-click's order of priority, later wins (facts: formats.md 3.3); W8A8S has no rival there.
std::string TypeByLabels(const std::vector<SourceTensor>& tensors) {
  constexpr std::array<std::string_view, 9> kPriority = {"FLOAT",    "W16A16S",      "W8A16",
                                                         "W4A16",    "W8A8_DYNAMIC", "W4A8_DYNAMIC",
                                                         "W8A8_MIX", "W8A8",         "W8A8S"};
  size_t best = 0;
  for (const SourceTensor& tensor : tensors) {
    const auto* found = std::find(kPriority.begin(), kPriority.end(), tensor.label);
    if (found != kPriority.end())
      best = std::max(best, static_cast<size_t>(found - kPriority.begin()));
  }
  if (best > 0) return std::string(kPriority[best]);
  const auto other = std::ranges::find_if(
      tensors, [](const SourceTensor& tensor) { return tensor.label != "FLOAT"; });
  return other == tensors.end() ? "FLOAT" : other->label;
}

Result<std::vector<SourceTensor>> SourceTensors(const Checkpoint& source) {
  if (source.description() != nullptr) return ByDescription(source);
  return ByModel(source);
}

Result<DescriptionGlobals> SourceGlobals(const Checkpoint& source,
                                         const std::vector<SourceTensor>& tensors,
                                         std::vector<std::string>& notes) {
  DescriptionGlobals globals;
  globals.model_quant_type = "FLOAT";
  if (source.description() == nullptr) return globals;
  globals = ReadGlobals(*source.description());
  if (source.description()->Global("model_quant_type") == nullptr) {
    globals.model_quant_type = TypeByLabels(tensors);
    notes.push_back(
        fmt::format("the description has no model_quant_type: taken as {} by its labels",
                    globals.model_quant_type));
  }
  // The type becomes part of file names.
  if (!ParseSchemeLabel(globals.model_quant_type)) {
    return InputError("CV-scheme", fmt::format("model_quant_type {} is no quantization type",
                                               Quote(globals.model_quant_type)))
        .WithPath(JoinPath(source.path(), source.guess().description_file));
  }
  if (source.dialect() == Dialect::kMindIE && globals.group_size == 0)
    globals.group_size = ConfigGroupSize(source);
  return globals;
}

std::vector<uint32_t> ShardNumbers(const Checkpoint& source) {
  const std::vector<Shard>& shards = source.shards();
  std::vector<uint32_t> by_name(shards.size());
  std::iota(by_name.begin(), by_name.end(), 0U);
  std::sort(by_name.begin(), by_name.end(),
            [&](uint32_t a, uint32_t b) { return NaturalLess(shards[a].name, shards[b].name); });
  std::vector<uint32_t> numbers(shards.size());
  for (uint32_t i = 0; i < by_name.size(); ++i) numbers[by_name[i]] = i;
  return numbers;
}

}  // namespace slim
