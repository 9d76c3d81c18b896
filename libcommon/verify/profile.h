// Loader profiles: which program, which generation of it, on which chip and in how many
// tensor-parallel parts a checkpoint is to run. The table is profile.def; this module parses what
// users type and lists what there is. It judges nothing (loader_*.cc do).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

// "0.18.0rc1" is {0, 18}.
struct Release {
  uint32_t major = 0;
  uint32_t minor = 0;
  auto operator<=>(const Release&) const = default;
};

enum class Loader : uint8_t {
#define SLIM_LOADER(enumerator, name, summary) enumerator,
#include "verify/profile.def"
};

enum class LoaderVersion : uint8_t {
#define SLIM_LOADER_VERSION(enumerator, loader, version, first, last, is_default, summary) \
  enumerator,
#include "verify/profile.def"
};

struct LoaderRow {
  Loader loader;
  std::string_view name;
  std::string_view summary;
};
std::span<const LoaderRow> Loaders();
const LoaderRow& RowOf(Loader loader);

struct LoaderVersionRow {
  LoaderVersion id;
  Loader loader;
  std::string_view version;
  Release first;  // both included
  Release last;
  bool is_default;
  std::string_view summary;
};
std::span<const LoaderVersionRow> LoaderVersions();

// Sets of generations, one bit a LoaderVersion: the column of the rule table.
using LoaderSet = uint32_t;
constexpr LoaderSet BitOf(LoaderVersion version) { return 1U << static_cast<unsigned>(version); }
LoaderSet VersionsOf(Loader loader);
// "mindie-atb", "vllm-ascend@0.16" … ; a loader all of whose generations are in the set is named
// without one.
std::vector<std::string> NamesOf(LoaderSet set);

enum class Chip : uint8_t { k300I, kA2, kA3, kA5 };
std::string_view ChipName(Chip chip);
std::vector<std::string> ChipNames();
// "300I" (also "300I Duo", "310P"), "A2", "A3", "A5" in any case; the error lists them.
Result<Chip> ParseChip(std::string_view text);

// What a checkpoint is judged for.
struct LoaderTarget {
  Loader loader = Loader::kVllmAscend;
  LoaderVersion version = LoaderVersion::kVllm16;
  std::optional<Chip> chip = {};  // limits of kernels are errors only when the chip is known
  std::optional<uint32_t> tp = {};
  std::string name;  // as the user would type it: "vllm-ascend@0.16"
};

// "vllm-ascend" or "vllm-ascend@0.18". A loader or version that does not exist is a usage error
// that lists those there are.
Result<LoaderTarget> ParseLoaderTarget(std::string_view text);

}  // namespace slim
