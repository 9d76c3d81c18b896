#include "report/linear_groups.h"

#include <fmt/format.h>

#include <map>

namespace slim {

std::pair<std::string, std::optional<uint64_t>> SplitLayer(const std::string& name) {
  constexpr std::string_view kMark = ".layers.";
  const size_t mark = name.find(kMark);
  if (mark == std::string::npos) return {name, std::nullopt};
  const size_t begin = mark + kMark.size();
  const size_t end = name.find('.', begin);
  return {name.substr(0, begin) + "*" + name.substr(end),
          std::stoull(name.substr(begin, end - begin))};
}

std::string GroupName(const std::string& pattern, const std::vector<uint64_t>& layers) {
  if (layers.empty()) return pattern;
  const bool run = layers.back() - layers.front() + 1 == layers.size();
  const std::string which = layers.size() == 1 ? std::to_string(layers.front())
                            : run ? fmt::format("{{{}..{}}}", layers.front(), layers.back())
                                  : fmt::format("{{{}}}", fmt::join(layers, ","));
  std::string name = pattern;
  return name.replace(name.find('*'), 1, which);
}

std::vector<LinearGroup> GroupLinears(const QuantPlan& plan) {
  std::vector<LinearGroup> groups;
  std::map<std::string, size_t> by_key;
  for (const LinearPlan& linear : plan.linears) {
    const auto [pattern, layer] = SplitLayer(linear.name);
    const std::string key = fmt::format("{}|{}|{}|{}|{}", pattern, static_cast<int>(linear.scheme),
                                        linear.reason, linear.n, linear.k);
    const auto [place, fresh] = by_key.emplace(key, groups.size());
    if (fresh) groups.push_back({pattern, &linear, {}, 0, 0});
    LinearGroup& group = groups[place->second];
    if (layer) group.layers.push_back(*layer);
    group.bytes_before += linear.bytes_before;
    group.bytes_after += linear.bytes_after;
  }
  return groups;
}

}  // namespace slim
