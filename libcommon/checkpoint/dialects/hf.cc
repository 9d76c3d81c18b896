#include "checkpoint/dialects/hf.h"

namespace slim {
namespace {

constexpr Role kRoleOrder[] = {Role::kWeight, Role::kBias};

}  // namespace

const DialectTraits kHfTraits = {
    .dialect = Dialect::kHf,
    .name = "hf",
    .summary = "float Hugging Face safetensors, single or sharded",
    .has_description = false,
    .description_indent = 0,
    .globals_first = false,
    .always_sharded = false,
    .layers_first = false,
    .quantize_in_config = false,
    .packs_int4 = false,
    .cache_first = false,
    .role_order = kRoleOrder,
    .description_name = [](std::string_view) { return std::string(); },
    .weight_stem = [](std::string_view) { return std::string("model"); },
    .write_globals =
        [](const DescriptionGlobals&) { return std::vector<std::pair<std::string, Json>>(); },
};

}  // namespace slim
