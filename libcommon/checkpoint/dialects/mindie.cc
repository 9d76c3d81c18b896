#include "checkpoint/dialects/mindie.h"

#include "checkpoint/dialects/traditional.h"

namespace slim {
namespace {

// group_size lives in config.json's quantization_config here.
std::vector<std::pair<std::string, Json>> WriteGlobals(const DescriptionGlobals& globals) {
  std::vector<std::pair<std::string, Json>> out;
  out.emplace_back("model_quant_type", globals.model_quant_type);
  out.insert(out.end(), globals.others.begin(), globals.others.end());
  return out;
}

}  // namespace

const DialectTraits kMindIETraits = {
    .dialect = Dialect::kMindIE,
    .name = "mindie",
    .summary = "MindIE-exclusive (--mindie_format); deprecated by its own loader since mid 2026",
    .has_description = true,
    .description_indent = 2,
    .globals_first = true,
    .always_sharded = false,
    .layers_first = false,
    .quantize_in_config = true,
    .packs_int4 = false,
    .cache_first = true,
    .role_order = kTraditionalRoleOrder,
    .description_name = TypedDescriptionName,
    .weight_stem = TypedWeightStem,
    .write_globals = WriteGlobals,
};

}  // namespace slim
