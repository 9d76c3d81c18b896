#include "checkpoint/dialects/mindie_parts.h"

#include <charconv>

#include "checkpoint/dialects/traditional.h"

namespace slim {
namespace {

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

}  // namespace slim
