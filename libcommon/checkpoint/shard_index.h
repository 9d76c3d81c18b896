// The index of a sharded checkpoint (`*.safetensors.index.json`): which file holds which tensor.
// Its file names are content from a stranger: anything but a plain name with the ending of its
// container is refused.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/name_table.h"
#include "base/result.h"

namespace slim {

// Names are not copied out of the text that was parsed: there are 90 000 of them.
class ShardIndex {
 public:
  struct Place {
    std::string_view tensor;
    uint32_t file = 0;  // position in files()
    bool operator==(const Place&) const = default;
  };

  ShardIndex() = default;
  ShardIndex(ShardIndex&&) = default;
  ShardIndex& operator=(ShardIndex&&) = default;

  const std::vector<Place>& weight_map() const { return weight_map_; }  // in the text's order
  // Each once, in order of first mention.
  const std::vector<std::string>& files() const { return files_; }
  const std::string& FileOf(const Place& place) const { return files_[place.file]; }

  void Add(std::string tensor, std::string_view file);

  std::optional<uint64_t> total_size;

 private:
  friend class ShardIndexParser;
  // `tensor` outlives the index.
  void AddKept(std::string_view tensor, std::string_view file);

  std::unique_ptr<const std::string> text_;
  std::deque<std::string> names_;  // that are not in text_
  std::vector<Place> weight_map_;
  std::vector<std::string> files_;
  NameTable by_file_;  // positions in files_
};

Result<ShardIndex> ParseShardIndex(std::string json, std::string_view ending = ".safetensors");
// {"metadata": {"total_size": N}, "weight_map": {…}} with two spaces a level and no final newline,
// as the writers do.
std::string WriteShardIndex(const ShardIndex& index);

}  // namespace slim
