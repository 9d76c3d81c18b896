// Rules about the files: what opening them met, numbers of shards, index, strays.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "base/text.h"
#include "verify/context.h"

namespace slim {
namespace {

constexpr std::string_view kSafetensors = ".safetensors";
constexpr std::string_view kIndexSuffix = ".safetensors.index.json";
constexpr uint64_t kMaxIndexBytes = 256ULL << 20;

// "model-00002-of-00003.safetensors" -> {"model", 2, 3}.
struct ShardNumber {
  std::string_view stem;
  uint32_t number = 0;
  uint32_t count = 0;
};

std::optional<uint32_t> ParseDigits(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

std::optional<ShardNumber> ParseShardName(std::string_view name, std::string_view ending) {
  if (!name.ends_with(ending)) return {};
  name.remove_suffix(ending.size());
  const size_t of = name.rfind("-of-");
  if (of == std::string_view::npos) return {};
  const size_t dash = name.rfind('-', of == 0 ? 0 : of - 1);
  if (dash == std::string_view::npos || dash == of) return {};
  const auto number = ParseDigits(name.substr(dash + 1, of - dash - 1));
  const auto count = ParseDigits(name.substr(of + 4));
  if (!number || !count) return {};
  return ShardNumber{name.substr(0, dash), *number, *count};
}

const std::vector<std::string>& WeightFiles(const Checkpoint& checkpoint) {
  return checkpoint.index() ? checkpoint.index()->files() : checkpoint.guess().weight_files;
}

void CheckShardNumbers(VerifyContext& context) {
  std::map<std::string_view, std::set<uint32_t>> numbers;
  std::map<std::string_view, std::set<uint32_t>> counts;
  const std::vector<std::string>& files = WeightFiles(context.checkpoint());
  for (const std::string& file : files) {
    const auto shard =
        ParseShardName(file, ContainerEnding(context.checkpoint().guess().container));
    if (!shard) continue;
    numbers[shard->stem].insert(shard->number);
    counts[shard->stem].insert(shard->count);
  }
  for (const auto& [stem, found] : numbers) {
    if (counts[stem].size() > 1) {
      context.Report("CK-shard-numbers",
                     {.found = fmt::format("of {}", fmt::join(counts[stem], ", of ")),
                      .wanted = "one count",
                      .message = fmt::format("files {} disagree about how many there are",
                                             Quote(std::string(stem) + "-*"))});
      continue;
    }
    const uint32_t count = *counts[stem].begin();
    if (found.size() == count && *found.begin() == 1 && *found.rbegin() == count) continue;
    uint32_t missing = 1;
    while (found.contains(missing)) ++missing;
    context.Report("CK-shard-numbers",
                   {.found = fmt::format("{} files", found.size()),
                    .wanted = fmt::format("{} files", count),
                    .message = fmt::format("{} has {} of {} shards, the first missing is number {}",
                                           Quote(stem), found.size(), count, missing)});
  }
}

void CheckTotalSize(VerifyContext& context) {
  const Checkpoint& checkpoint = context.checkpoint();
  if (!checkpoint.index() || !checkpoint.index()->total_size || context.incomplete()) return;
  uint64_t total = 0;
  for (const TensorEntry& entry : checkpoint.tensors()) total += entry.size;
  if (total == *checkpoint.index()->total_size) return;
  context.Report("IX-total-size",
                 {.found = std::to_string(*checkpoint.index()->total_size),
                  .wanted = std::to_string(total),
                  .message = fmt::format("total_size is {}, the tensors have {} bytes",
                                         *checkpoint.index()->total_size, total),
                  .path = JoinPath(checkpoint.path(), checkpoint.guess().index_file)});
}

// An index that is not the checkpoint's own still steers loaders that know only its name.
void CheckLeftoverIndexes(VerifyContext& context) {
  const Checkpoint& checkpoint = context.checkpoint();
  for (const DirectoryEntry& file : checkpoint.listing()) {
    if (!file.name.ends_with(kIndexSuffix) || file.name == checkpoint.guess().index_file) continue;
    const std::string path = JoinPath(checkpoint.path(), file.name);
    auto text = ReadWholeFile(path, kMaxIndexBytes);
    if (!text.ok()) context.NoteFailure(text.error());
    const auto index =
        text.ok() ? ParseShardIndex(std::move(*text)) : Result<ShardIndex>(text.error());
    std::string missing;
    if (index.ok()) {
      const std::vector<std::string>& files = index->files();
      const auto gone = std::find_if(files.begin(), files.end(), [&](const std::string& name) {
        return !checkpoint.HasFile(name);
      });
      if (gone == files.end()) continue;
      missing = *gone;
    }
    context.Report("IX-leftover",
                   {.found = file.name,
                    .message = missing.empty() ? fmt::format("{} cannot be read", Quote(file.name))
                                               : fmt::format("{} names {}, which is not there",
                                                             Quote(file.name), Quote(missing)),
                    .path = path});
  }
}

void CheckStrayWeights(VerifyContext& context) {
  const Checkpoint& checkpoint = context.checkpoint();
  const std::vector<std::string>& own = WeightFiles(checkpoint);
  const std::set<std::string_view> known(own.begin(), own.end());
  for (const DirectoryEntry& file : checkpoint.listing()) {
    if (file.kind == FileKind::kDirectory || !file.name.ends_with(kSafetensors)) continue;
    if (file.name.starts_with('.') || known.contains(file.name)) continue;
    context.Report(
        "CK-stray-weights",
        {.found = file.name,
         .message = fmt::format("{} belongs to no part of the checkpoint", Quote(file.name)),
         .path = JoinPath(checkpoint.path(), file.name)});
  }
}

}  // namespace

void CheckContainer(VerifyContext& context) {
  const Checkpoint& checkpoint = context.checkpoint();
  for (const Error& problem : checkpoint.problems()) context.Report(problem);
  for (const Shard& shard : checkpoint.shards()) {
    if (shard.header.aligned) continue;
    context.Report("ST-unaligned",
                   {.message = "the header is no multiple of 8 bytes, or a tensor does not sit at "
                               "a multiple of its element size",
                    .path = shard.file.path()});
  }
  if (checkpoint.is_single_file()) return;
  const bool parts = context.IsDialect(Dialect::kMindIEParts);
  if (checkpoint.tensors().empty() && !context.incomplete() && !parts)
    context.Report("CK-empty", {.message = "the weight files hold no tensor"});
  CheckShardNumbers(context);
  CheckTotalSize(context);
  CheckLeftoverIndexes(context);
  CheckStrayWeights(context);
  // Files of the other containers are not shards, or say themselves how many they are.
  const Container container = checkpoint.guess().container;
  const bool shards = container == Container::kSafetensors || container == Container::kTorch;
  if (shards && checkpoint.guess().index_file.empty() &&
      checkpoint.guess().weight_files.size() > 1) {
    context.Report("IX-no-index",
                   {.found = fmt::format("{} files", checkpoint.guess().weight_files.size()),
                    .message = fmt::format("{} weight files and no index",
                                           checkpoint.guess().weight_files.size())});
  }
}

}  // namespace slim
