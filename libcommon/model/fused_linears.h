// Linears that read one tensor and that loaders compute as one layer, by the last part of their
// names: q/k/v, gate/up and their like. Knows names only; which of them a model has is said in
// modules.h. Source: facts consumers.md G24.
#pragma once

#include <span>
#include <string_view>

namespace slim {

// The group that `suffix` ("k_proj") belongs to, in the order in which loaders join it; empty for a
// linear that stands alone.
std::span<const std::string_view> FusedLinears(std::string_view suffix);

}  // namespace slim
