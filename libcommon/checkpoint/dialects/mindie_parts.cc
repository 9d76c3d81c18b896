#include "checkpoint/dialects/mindie_parts.h"

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

}  // namespace slim
