#include "checkpoint/dialects/mindie_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/text.h"
#include "checkpoint/dialects/traditional.h"

namespace slim {
namespace {

Error PartsError(const std::string& path, std::string message, std::string hint) {
  return InputError("CV-parts", std::move(message), std::move(hint)).WithPath(path);
}

std::vector<std::pair<std::string, Json>> WriteGlobals(const DescriptionGlobals& globals) {
  std::vector<std::pair<std::string, Json>> out;
  out.emplace_back("model_quant_type", globals.model_quant_type);
  out.emplace_back("version", "1.0.0");
  out.insert(out.end(), globals.others.begin(), globals.others.end());
  return out;
}

}  // namespace

const DialectTraits kMindIEPartsTraits = {
    .dialect = Dialect::kMindIEParts,
    .name = "mindie-parts",
    .summary = "part{i}-of-{n} directories of compressed sparse weights; slim's own open codec",
    .has_description = true,
    .description_indent = 2,
    .globals_first = true,
    .always_sharded = false,
    .layers_first = false,
    .quantize_in_config = true,
    .packs_int4 = false,
    .cache_first = true,
    .role_order = kTraditionalRoleOrder,
    .description_name = PlainDescriptionName,
    .weight_stem = TypedWeightStem,
    .write_globals = WriteGlobals,
};

std::optional<PartDirectory> ParsePartDirectory(std::string_view name) {
  constexpr std::string_view kPart = "part";
  constexpr std::string_view kOf = "-of-";
  const size_t of = name.find(kOf);
  if (!name.starts_with(kPart) || of == std::string_view::npos) return {};
  const auto number = [](std::string_view text) -> std::optional<uint64_t> {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return {};
    return value;
  };
  const auto rank = number(name.substr(kPart.size(), of - kPart.size()));
  const auto ranks = number(name.substr(of + kOf.size()));
  if (!rank || !ranks || *ranks == 0 || *ranks > 1024) return {};
  return PartDirectory{*rank, *ranks};
}

std::string PartDirectoryName(uint64_t rank, uint64_t ranks) {
  return fmt::format("part{}-of-{}", rank, ranks);
}

Result<std::vector<std::string>> FindParts(const std::string& path) {
  SLIM_ASSIGN(const std::vector<DirectoryEntry> listing, ListDirectory(path));
  std::map<uint64_t, std::string> parts;
  std::optional<uint64_t> ranks;
  for (const DirectoryEntry& entry : listing) {
    const auto part = ParsePartDirectory(entry.name);
    if (!part || entry.kind != FileKind::kDirectory) continue;
    if (ranks && *ranks != part->ranks) {
      return PartsError(path, fmt::format("holds parts of {} and of {} ranks", *ranks, part->ranks),
                        "keep the parts of one degree");
    }
    ranks = part->ranks;
    parts.emplace(part->rank, JoinPath(path, entry.name));
  }
  std::vector<std::string> paths;
  for (uint64_t rank = 0; rank < ranks.value_or(0); ++rank) {
    const auto found = parts.find(rank);
    if (found == parts.end()) {
      return PartsError(path, fmt::format("{} is missing", PartDirectoryName(rank, *ranks)),
                        "fetch all parts: each holds a share of every layer");
    }
    paths.push_back(found->second);
  }
  return paths;
}

bool HasParts(const std::string& path) {
  if (KindOf(path) != FileKind::kDirectory) return false;
  const auto listing = ListDirectory(path);
  return listing.ok() && std::ranges::any_of(*listing, [](const DirectoryEntry& entry) {
           return entry.kind == FileKind::kDirectory && ParsePartDirectory(entry.name).has_value();
         });
}

}  // namespace slim
