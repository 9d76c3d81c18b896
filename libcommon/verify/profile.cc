#include "verify/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"

namespace slim {
namespace {

constexpr auto kLoaders = std::to_array<LoaderRow>({
#define SLIM_LOADER(enumerator, name, summary) {Loader::enumerator, name, summary},
#include "verify/profile.def"
});

constexpr auto kVersions = std::to_array<LoaderVersionRow>({
#define SLIM_LOADER_VERSION(enumerator, loader, version, first, last, is_default, summary) \
  {LoaderVersion::enumerator, Loader::loader, version, first, last, is_default, summary},
#include "verify/profile.def"
});
static_assert(kVersions.size() <= 32, "LoaderSet has 32 bits");

constexpr std::array<std::string_view, 4> kChips = {"300I", "A2", "A3", "A5"};

// "v0.18.0rc1" -> {0, 18}; one number alone is not enough to tell generations apart.
std::optional<Release> ParseRelease(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  Release release;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, release.major);
  if (error != std::errc() || stop == end || *stop != '.') return {};
  const auto minor = std::from_chars(stop + 1, end, release.minor);
  if (minor.ec != std::errc() || (minor.ptr != end && *minor.ptr != '.' && *minor.ptr != 'r' &&
                                  *minor.ptr != '-' && *minor.ptr != '+'))
    return {};
  return release;
}

std::string VersionList(Loader loader) {
  std::vector<std::string> names;
  for (const LoaderVersionRow& row : kVersions) {
    if (row.loader != loader) continue;
    names.push_back(fmt::format(
        "{} ({}.{} to {})", row.version, row.first.major, row.first.minor,
        row.last.minor == 99 ? "later" : fmt::format("{}.{}", row.last.major, row.last.minor)));
  }
  return Join(names, ", ");
}

const LoaderVersionRow* FindVersion(Loader loader, std::string_view text) {
  const auto release = ParseRelease(text);
  for (const LoaderVersionRow& row : kVersions) {
    if (row.loader != loader) continue;
    if (text.empty() ? row.is_default : row.version == text) return &row;
    if (release && row.first <= *release && *release <= row.last) return &row;
  }
  return nullptr;
}

}  // namespace

std::span<const LoaderRow> Loaders() { return kLoaders; }

const LoaderRow& RowOf(Loader loader) { return kLoaders[static_cast<size_t>(loader)]; }

std::span<const LoaderVersionRow> LoaderVersions() { return kVersions; }

LoaderSet VersionsOf(Loader loader) {
  LoaderSet set = 0;
  for (const LoaderVersionRow& row : kVersions) {
    if (row.loader == loader) set |= BitOf(row.id);
  }
  return set;
}

std::vector<std::string> NamesOf(LoaderSet set) {
  std::vector<std::string> names;
  for (const LoaderRow& loader : kLoaders) {
    const LoaderSet all = VersionsOf(loader.loader);
    if ((set & all) == all) {
      names.emplace_back(loader.name);
      continue;
    }
    for (const LoaderVersionRow& row : kVersions) {
      if (row.loader == loader.loader && (set & BitOf(row.id)) != 0)
        names.push_back(fmt::format("{}@{}", loader.name, row.version));
    }
  }
  return names;
}

std::string_view ChipName(Chip chip) { return kChips[static_cast<size_t>(chip)]; }

std::vector<std::string> ChipNames() { return {kChips.begin(), kChips.end()}; }

Result<Chip> ParseChip(std::string_view text) {
  const std::string upper = ToUpper(text);
  if (upper == "300I" || upper == "300I DUO" || upper == "310P") return Chip::k300I;
  for (size_t i = 0; i < kChips.size(); ++i) {
    if (upper == kChips[i]) return static_cast<Chip>(i);
  }
  return UsageError(fmt::format("no chip {}", Quote(text)),
                    fmt::format("there are {}", fmt::join(kChips, ", ")));
}

Result<LoaderTarget> ParseLoaderTarget(std::string_view text) {
  const size_t at = text.find('@');
  const std::string_view name = text.substr(0, at);
  const auto loader = std::find_if(kLoaders.begin(), kLoaders.end(),
                                   [&](const LoaderRow& row) { return row.name == name; });
  if (loader == kLoaders.end()) {
    std::vector<std::string> names;
    for (const LoaderRow& row : kLoaders) names.emplace_back(row.name);
    return UsageError(fmt::format("no loader profile {}", Quote(name)),
                      fmt::format("there are {}", Join(names, ", ")));
  }
  const std::string_view version = at == std::string_view::npos ? "" : text.substr(at + 1);
  const LoaderVersionRow* row = at != std::string_view::npos && version.empty()
                                    ? nullptr
                                    : FindVersion(loader->loader, version);
  if (row == nullptr) {
    return UsageError(fmt::format("{} has no version {}", loader->name, Quote(version)),
                      fmt::format("there are {}", VersionList(loader->loader)));
  }
  LoaderTarget target;
  target.loader = loader->loader;
  target.version = row->id;
  target.name = fmt::format("{}@{}", loader->name, row->version);
  return target;
}

}  // namespace slim
