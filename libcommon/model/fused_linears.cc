#include "model/fused_linears.h"

#include <algorithm>

namespace slim {
namespace {

constexpr std::string_view kAttention[] = {"q_proj", "k_proj", "v_proj"};
constexpr std::string_view kMlp[] = {"gate_proj", "up_proj"};
constexpr std::string_view kLatent[] = {"q_a_proj", "kv_a_proj_with_mqa"};
constexpr std::string_view kExpert[] = {"w1", "w3"};
constexpr std::span<const std::string_view> kGroups[] = {kAttention, kMlp, kLatent, kExpert};

}  // namespace

std::span<const std::string_view> FusedLinears(std::string_view suffix) {
  for (const auto& group : kGroups) {
    if (std::ranges::find(group, suffix) != group.end()) return group;
  }
  return {};
}

}  // namespace slim
