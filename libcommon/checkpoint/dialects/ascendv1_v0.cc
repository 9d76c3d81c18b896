#include "checkpoint/dialects/ascendv1_v0.h"

#include "checkpoint/dialects/traditional.h"

namespace slim {
namespace {

std::vector<std::pair<std::string, Json>> WriteGlobals(const DescriptionGlobals& globals) {
  std::vector<std::pair<std::string, Json>> out;
  out.emplace_back("version", "1.0.0");
  out.emplace_back("model_quant_type", globals.model_quant_type);
  out.insert(out.end(), globals.others.begin(), globals.others.end());
  if (globals.group_size > 0) out.emplace_back("group_size", globals.group_size);
  return out;
}

}  // namespace

const DialectTraits kAscendV1V0Traits = {
    .dialect = Dialect::kAscendV1V0,
    .name = "ascendv1-v0",
    .summary = "AscendV1 as msModelSlim's traditional scripts write it",
    .has_description = true,
    .description_indent = 2,
    .globals_first = true,
    .always_sharded = false,
    .layers_first = false,
    .quantize_in_config = false,
    .packs_int4 = true,
    .cache_first = true,
    .role_order = kTraditionalRoleOrder,
    .description_name = PlainDescriptionName,
    .weight_stem = TypedWeightStem,
    .write_globals = WriteGlobals,
};

}  // namespace slim
