#include "quant/fused_types.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/fused_linears.h"

namespace slim {

Status CheckFusedTypes(const QuantPlan& plan) {
  for (const LinearPlan& linear : plan.linears) {
    const auto [module, suffix] = SplitTensorName(linear.name);
    const auto group = FusedLinears(suffix);
    if (group.empty() || group.front() != suffix) continue;
    for (const std::string_view name : group.subspan(1)) {
      const LinearPlan* other =
          plan.Find(module.empty() ? std::string(name) : fmt::format("{}.{}", module, name));
      if (other == nullptr || other->scheme == linear.scheme) continue;
      return UsageError(
          fmt::format("{} would be {} and {} beside it {}: loaders compute them as "
                      "one layer",
                      linear.name, SchemeLabel(linear.scheme), name, SchemeLabel(other->scheme)),
          fmt::format("give {} one type: name all of them, or none", fmt::join(group, ", ")));
    }
  }
  return {};
}

}  // namespace slim
