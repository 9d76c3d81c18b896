#include "checkpoint/dialects/ascendv1.h"

namespace slim {
namespace {

constexpr Role kRoleOrder[] = {Role::kWeight,       Role::kQuantBias,       Role::kInputScale,
                               Role::kInputOffset,  Role::kDeqScale,        Role::kWeightScale,
                               Role::kWeightOffset, Role::kWeightDualScale, Role::kScaleBias,
                               Role::kBias};

std::vector<std::pair<std::string, Json>> WriteGlobals(const DescriptionGlobals& globals) {
  std::vector<std::pair<std::string, Json>> out = globals.others;
  out.emplace_back("version", "1.0.0");
  out.emplace_back("model_quant_type", globals.model_quant_type);
  out.emplace_back("metadata", globals.metadata.value_or(Json::Object()));
  out.emplace_back("group_size", globals.group_size);
  out.emplace_back("optional", globals.optional.value_or(Json::Object()));
  return out;
}

}  // namespace

const DialectTraits kAscendV1Traits = {
    .dialect = Dialect::kAscendV1,
    .name = "ascendv1",
    .summary = "AscendV1 as one-click msModelSlim writes it (MindIE, vllm-ascend, SGLang)",
    .has_description = true,
    .description_indent = 4,
    .globals_first = false,
    .always_sharded = true,
    .layers_first = true,
    .quantize_in_config = false,
    .packs_int4 = true,
    .cache_first = false,
    .role_order = kRoleOrder,
    .description_name =
        [](std::string_view) { return std::string("quant_model_description.json"); },
    .weight_stem = [](std::string_view) { return std::string("quant_model_weights"); },
    .write_globals = WriteGlobals,
};

}  // namespace slim
