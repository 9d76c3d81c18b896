#include "verify/loader_files.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace slim {
namespace {

constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr uint64_t kMaxIndexBytes = 256ULL << 20;

std::vector<std::string> WeightFilesOfDirectory(const Checkpoint& checkpoint) {
  std::vector<std::string> names;
  if (checkpoint.guess().container != Container::kSafetensors) {
    for (const Shard& shard : checkpoint.shards()) names.push_back(shard.name);
    return names;
  }
  for (const DirectoryEntry& file : checkpoint.listing()) {
    if (file.kind != FileKind::kDirectory && file.name.ends_with(".safetensors") &&
        !file.name.starts_with('.'))
      names.push_back(file.name);
  }
  std::sort(names.begin(), names.end(), NaturalLess);
  return names;
}

}  // namespace

void LoaderFiles::ReadIndex(const VerifyContext& context, std::vector<std::string>& listed,
                            bool& found) const {
  found = checkpoint_.HasFile(kIndexName);
  if (!found) return;
  auto text = ReadWholeFile(JoinPath(checkpoint_.path(), kIndexName), kMaxIndexBytes);
  if (!text.ok()) context.NoteFailure(text.error());
  const auto index =
      text.ok() ? ParseShardIndex(std::move(*text)) : Result<ShardIndex>(text.error());
  if (index.ok()) listed = index->files();
}

LoaderFiles::LoaderFiles(const VerifyContext& context, bool follows_index)
    : checkpoint_(context.checkpoint()), visible_(checkpoint_.shards().size(), 1) {
  opened_ = WeightFilesOfDirectory(checkpoint_);
  std::vector<std::string> listed;
  bool indexed = false;
  if (follows_index) ReadIndex(context, listed, indexed);
  if (indexed) {
    const std::set<std::string_view> wanted(listed.begin(), listed.end());
    for (const std::string& file : listed) {
      if (std::find(opened_.begin(), opened_.end(), file) == opened_.end())
        missing_.push_back(file);
    }
    std::vector<std::string> kept;
    for (std::string& file : opened_)
      (wanted.contains(file) ? kept : left_out_).push_back(std::move(file));
    opened_ = std::move(kept);
  }
  for (size_t i = 0; i < visible_.size(); ++i) {
    const std::string& name = checkpoint_.shards()[i].name;
    visible_[i] = std::find(opened_.begin(), opened_.end(), name) != opened_.end() ? 1 : 0;
  }
  OpenStrays();
}

void LoaderFiles::OpenStrays() {
  std::set<std::string_view> own;
  for (const Shard& shard : checkpoint_.shards()) own.insert(shard.name);
  for (const std::string& file : opened_) {
    if (own.contains(file)) continue;
    auto stray = Checkpoint::Open(JoinPath(checkpoint_.path(), file));
    if (stray.ok()) {
      strays_.push_back(std::move(*stray));
      continue;
    }
    // A file that is part of the checkpoint and damaged is reported by the rules about files.
    const auto& parts = checkpoint_.guess().weight_files;
    if (std::find(parts.begin(), parts.end(), file) == parts.end())
      unreadable_.push_back(stray.error());
  }
  for (const Checkpoint& stray : strays_) {
    const std::string file = BaseName(stray.path());
    for (const TensorEntry& entry : stray.tensors()) {
      const TensorEntry* other = checkpoint_.Find(entry.name);
      const bool twice = (other != nullptr && Visible(*other)) || overlay_.contains(entry.name);
      if (twice) {
        duplicates_.push_back(
            {entry.name, file, other == nullptr ? "" : checkpoint_.shards()[other->shard].name});
      }
      // The last file in natural order wins where a loader does not refuse.
      const bool later = other == nullptr || !Visible(*other) ||
                         NaturalLess(checkpoint_.shards()[other->shard].name, file);
      if (later) overlay_[entry.name] = {&stray, &entry};
    }
  }
}

LoaderTensor LoaderFiles::Find(std::string_view name) const {
  if (!overlay_.empty()) {
    if (const auto found = overlay_.find(name); found != overlay_.end()) return found->second;
  }
  const TensorEntry* entry = checkpoint_.Find(name);
  if (entry == nullptr || !Visible(*entry)) return {};
  return {&checkpoint_, entry};
}

std::vector<double> ReadValues(const VerifyContext& context, const LoaderTensor& tensor,
                               uint64_t limit) {
  std::vector<double> values;
  const auto count = ElementCount(tensor.entry->shape);
  if (!count || *count > limit || DTypeBits(tensor.entry->dtype) < 8) return values;
  const auto data = tensor.source->Read(*tensor.entry);
  if (!data.ok()) {
    context.NoteFailure(data.error());
    return values;
  }
  values.reserve(*count);
  for (uint64_t i = 0; i < *count; ++i) values.push_back(ElementAsDouble(data->view(), i));
  return values;
}

}  // namespace slim
