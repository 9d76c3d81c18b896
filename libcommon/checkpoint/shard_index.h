// The index of a sharded checkpoint (`*.safetensors.index.json`): which file holds which tensor.
// Its file names are content from a stranger: anything but a plain name with the ending of its
// container is refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace slim {

struct ShardIndex {
  std::vector<std::pair<std::string, std::string>> weight_map;  // tensor, file; in file order
  std::optional<uint64_t> total_size;

  std::vector<std::string> Files() const;  // each once, in order of first mention
};

Result<ShardIndex> ParseShardIndex(std::string_view json, std::string_view ending = ".safetensors");
// {"metadata": {"total_size": N}, "weight_map": {…}} with two spaces a level and no final newline,
// as the writers do.
std::string WriteShardIndex(const ShardIndex& index);

}  // namespace slim
