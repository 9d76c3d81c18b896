#include "checkpoint/checkpoint_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/text.h"
#include "checkpoint/npy_file.h"
#include "checkpoint/shard_index.h"
#include "os/digest.h"
#include "os/interrupt.h"
#include "tensor/tensor.h"

namespace slim {
namespace {

enum Section { kEmbeddings, kLayers, kRest };

Section SectionOf(std::string_view name, bool layers_first) {
  if (name.find(".layers.") != std::string_view::npos || name.starts_with("layers.")) {
    return layers_first ? kEmbeddings : kLayers;
  }
  if (layers_first) return kRest;
  return name.find("embed") != std::string_view::npos ? kEmbeddings : kRest;
}

// "….input_layernorm.module.bias" belongs to input_layernorm: traditional writers put the copy
// beside the original.
// What is kept together in the description. Cache scales, named after k_proj and v_proj, stand
// where they are planned: msModelSlim gives them after the whole attention.
std::string_view ModuleOf(std::string_view name) {
  const size_t cache = name.find(".kv_cache_");
  if (cache != std::string_view::npos) return name.substr(0, cache + 1);
  std::string_view module = SplitTensorName(name).module;
  constexpr std::string_view kCopy = ".module";
  if (module.ends_with(kCopy)) module.remove_suffix(kCopy.size());
  return module;
}

// "….k_proj.kv_cache_scale", which belongs to the attention as a whole.
bool IsCacheScale(std::string_view name) {
  return name.ends_with(".kv_cache_scale") || name.ends_with(".kv_cache_offset");
}

// Where the module's tensors and the module's own caches stand: the last module of the attention
// that a cache scale belongs to, or its projection.
class ModuleRanks {
 public:
  size_t Add(std::string_view name) {
    const std::string_view module = ModuleOf(name);
    const size_t rank = ranks_.emplace(module, ranks_.size()).first->second;
    if (!IsCacheScale(name))
      last_[SplitTensorName(module).module] = std::max(last_[SplitTensorName(module).module], rank);
    return rank;
  }
  size_t OfCache(std::string_view name) const {
    const auto last = last_.find(SplitTensorName(ModuleOf(name)).module);
    return last == last_.end() ? ranks_.at(ModuleOf(name)) : last->second;
  }

 private:
  std::unordered_map<std::string_view, size_t> ranks_;  // modules in the order of first mention
  std::unordered_map<std::string_view, size_t> last_;   // by parent
};

size_t RoleRank(const DialectTraits& traits, std::string_view name) {
  const auto role = ParseRole(SplitTensorName(name).suffix);
  const auto& order = traits.role_order;
  const auto found = role ? std::find(order.begin(), order.end(), *role) : order.end();
  const size_t rank = static_cast<size_t>(found - order.begin());
  return SplitTensorName(name).module.ends_with(".module") ? rank + order.size() + 1 : rank;
}

// The greedy rule of the writers: a part is closed when the next tensor would make it reach the
// limit (formats.md 2.1).
void FillParts(WritePlan& plan) {
  plan.shard_count = 1;
  uint64_t pending = 0;
  for (PlannedTensor& tensor : plan.tensors) {
    const uint64_t size = ByteSize(tensor.spec.dtype, tensor.spec.shape).value();
    if (plan.part_size > 0 && pending > 0 &&
        size >= plan.part_size - std::min(plan.part_size, pending)) {
      ++plan.shard_count;
      pending = 0;
    }
    pending += size;
    tensor.shard = plan.shard_count - 1;
  }
}

// Shards that lost all their tensors on the way get no file.
void DropEmptyShards(WritePlan& plan) {
  std::vector<uint32_t> renumbered(plan.shard_count, UINT32_MAX);
  std::vector<bool> used(plan.shard_count);
  for (const PlannedTensor& tensor : plan.tensors) used[tensor.shard] = true;
  uint32_t next = 0;
  for (uint32_t i = 0; i < plan.shard_count; ++i) {
    if (used[i]) renumbered[i] = next++;
  }
  for (PlannedTensor& tensor : plan.tensors) tensor.shard = renumbered[tensor.shard];
  plan.shard_count = std::max(next, 1U);
}

// Order and shards.
Status CompletePlan(WritePlan& plan) {
  OrderForDialect(plan.dialect, plan.tensors);
  for (const PlannedTensor& tensor : plan.tensors) {
    auto size = ByteSize(tensor.spec.dtype, tensor.spec.shape);
    if (!size.ok()) return std::move(size).error().WithTensor(tensor.spec.name);
  }
  if (plan.keep_shards) {
    DropEmptyShards(plan);
  } else {
    FillParts(plan);
  }
  return {};
}

// One file of the numpy layout: tensors by kind.
struct NpyFile {
  std::string name;
  std::vector<std::string> names;  // of the tensors
  std::vector<TensorSpec> specs;   // by their keys
  NpyLayout layout;
};

Result<std::vector<NpyFile>> NpyFiles(const WritePlan& plan) {
  std::map<std::string, NpyFile> by_name;
  for (const PlannedTensor& tensor : plan.tensors) {
    NpyPlace place = NpyPlaceOf(tensor.spec.name);
    if (place.file.empty()) {
      return InternalError("a tensor without a place among numpy's files")
          .WithTensor(tensor.spec.name);
    }
    NpyFile& file = by_name[place.file];
    file.name = place.file;
    file.names.push_back(tensor.spec.name);
    file.specs.push_back({std::move(place.key), tensor.spec.dtype, tensor.spec.shape});
  }
  std::vector<NpyFile> files;
  for (auto& [name, file] : by_name) {
    SLIM_ASSIGN(file.layout, LayOutNpy(file.specs));
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace

uint64_t WritePlan::TotalBytes() const {
  uint64_t total = 0;
  for (const PlannedTensor& tensor : tensors)
    total += ByteSize(tensor.spec.dtype, tensor.spec.shape).value();
  return total;
}

void OrderForDialect(Dialect dialect, std::vector<PlannedTensor>& tensors) {
  const DialectTraits& traits = TraitsOf(dialect);
  ModuleRanks modules;
  struct Key {
    Section section;
    size_t module;
    int cache;  // -1 before the module's tensors, 1 after them
    size_t role;
    size_t index;
    auto operator<=>(const Key&) const = default;
  };
  std::vector<Key> keys;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string_view name = tensors[i].spec.name;
    const size_t module = modules.Add(name);
    keys.push_back({SectionOf(name, traits.layers_first), module, 0, RoleRank(traits, name), i});
  }
  for (Key& key : keys) {
    const std::string_view name = tensors[key.index].spec.name;
    if (!IsCacheScale(name)) continue;
    key.cache = traits.cache_first ? -1 : 1;
    // Offsets after their scale, and after the attention the key's before the value's.
    key.role = 2 * (traits.cache_first ? 0 : key.module) + (name.ends_with("_offset") ? 1 : 0);
    if (!traits.cache_first) key.module = modules.OfCache(name);
  }
  std::sort(keys.begin(), keys.end());
  std::vector<PlannedTensor> ordered;
  ordered.reserve(tensors.size());
  for (const Key& key : keys) ordered.push_back(std::move(tensors[key.index]));
  tensors = std::move(ordered);
}

Result<CheckpointWriter> CheckpointWriter::Create(WritePlan plan, const std::string& target,
                                                  const OutputOptions& options,
                                                  Listener& listener) {
  SLIM_TRY(CompletePlan(plan));
  SLIM_ASSIGN(OutputDirectory output, OutputDirectory::Create(target, options, listener));
  CheckpointWriter writer(std::move(plan), std::move(output));
  SLIM_TRY(writer.LayOut());
  SLIM_TRY(writer.OpenFiles());
  return writer;
}

std::string CheckpointWriter::Stem() const {
  return TraitsOf(plan_.dialect).weight_stem(ToLower(plan_.globals.model_quant_type));
}

bool CheckpointWriter::HasShardNames() const {
  return plan_.shard_count > 1 || plan_.shard_names || TraitsOf(plan_.dialect).always_sharded;
}

Result<CheckpointWriter> CheckpointWriter::CreateResumable(WritePlan plan,
                                                           const std::string& target,
                                                           const OutputOptions& options,
                                                           const std::string& key,
                                                           Listener& listener) {
  SLIM_TRY(CompletePlan(plan));
  SLIM_ASSIGN(OutputDirectory output, OutputDirectory::Create(target, options, listener));
  CheckpointWriter writer(std::move(plan), std::move(output));
  SLIM_TRY(writer.LayOut());
  SLIM_TRY(writer.TakeUp(key, listener));
  return writer;
}

Status CheckpointWriter::LayOut() {
  const Container container = TraitsOf(plan_.dialect).container;
  if (container == Container::kNpy) {
    SLIM_ASSIGN(std::vector<NpyFile> files, NpyFiles(plan_));
    for (NpyFile& file : files) {
      const auto shard = static_cast<uint32_t>(file_names_.size());
      for (size_t i = 0; i < file.specs.size(); ++i) {
        const uint64_t size = ByteSize(file.specs[i].dtype, file.specs[i].shape).value();
        places_.emplace(file.names[i], Place{shard, file.layout.offsets[i], size});
      }
      file_names_.push_back(std::move(file.name));
      layouts_.push_back({"", {}, file.layout.file_size});
    }
    return {};
  }
  for (uint32_t shard = 0; shard < plan_.shard_count; ++shard) {
    std::vector<TensorSpec> specs;
    for (const PlannedTensor& tensor : plan_.tensors) {
      if (tensor.shard == shard) specs.push_back(tensor.spec);
    }
    SLIM_ASSIGN(SafetensorsLayout layout, container == Container::kGguf
                                              ? LayOutGguf(specs, plan_.gguf_metadata)
                                              : LayOutSafetensors(specs, plan_.metadata));
    file_names_.push_back(
        ShardFileName(Stem(), shard, plan_.shard_count, HasShardNames(), container));
    for (size_t i = 0; i < specs.size(); ++i) {
      const uint64_t size = ByteSize(specs[i].dtype, specs[i].shape).value();
      if (!places_.emplace(specs[i].name, Place{shard, layout.offsets[i], size}).second) {
        return InputError("ST-duplicate-tensor", "would be written twice")
            .WithTensor(specs[i].name);
      }
    }
    layouts_.push_back(std::move(layout));
  }
  return {};
}

Status CheckpointWriter::OpenFiles() {
  SLIM_TRY(output_.CheckSpace(plan_.TotalBytes()));
  for (size_t shard = 0; shard < layouts_.size(); ++shard) {
    SLIM_ASSIGN(OutputFile file, output_.CreateFile(file_names_[shard], layouts_[shard].file_size));
    SLIM_TRY(file.WriteAt(std::as_bytes(std::span(layouts_[shard].header)), 0));
    files_.push_back(std::move(file));
  }
  if (TraitsOf(plan_.dialect).container != Container::kNpy) return {};
  SLIM_ASSIGN(const std::vector<NpyFile> files, NpyFiles(plan_));
  for (size_t i = 0; i < files.size(); ++i) {
    for (const auto& [offset, piece] : files[i].layout.pieces)
      SLIM_TRY(files_[i].WriteAt(std::as_bytes(std::span(piece)), offset));
  }
  return {};
}

bool CheckpointWriter::IsWhole(std::string_view name, const std::string& digest) const {
  const auto place = FindPlace(name);
  if (!place.ok()) return false;
  const auto file = File::Open(output_.PartialPath(file_names_[(*place)->shard]));
  if (!file.ok()) return false;
  Buffer chunk(std::min<uint64_t>((*place)->size, 4ULL << 20));
  Xxh3Hasher hasher;
  for (uint64_t done = 0; done < (*place)->size; done += chunk.size()) {
    const auto part = chunk.bytes().first(std::min<uint64_t>(chunk.size(), (*place)->size - done));
    if (!file->ReadExactAt(part, (*place)->offset + done).ok()) return false;
    hasher.Update(part);
  }
  return hasher.Finish() == digest;
}

Status CheckpointWriter::TakeUp(const std::string& key, Listener& listener) {
  std::optional<JournalContent> left;
  if (output_.found()) {
    const auto text = ReadWholeFile(output_.PartialPath(WriteJournal::kFileName), 1ULL << 30);
    if (text.ok()) left = ParseJournal(*text);
  }
  JournalContent content;
  content.key = key;
  if (!left || left->key != key) {
    if (output_.found()) {
      listener.Note(fmt::format("removing {}, left by an interrupted run{}", output_.partial(),
                                left ? " with other settings" : ""));
    }
    SLIM_TRY(output_.RemoveAllBut({}));
    SLIM_TRY(OpenFiles());
  } else {
    std::vector<std::string> wanted = file_names_;
    if (left->state) wanted.push_back(left->state->file);
    SLIM_TRY(output_.RemoveAllBut(wanted));
    for (size_t shard = 0; shard < layouts_.size(); ++shard) {
      // Killed before this file was created.
      const bool there = KindOf(output_.PartialPath(file_names_[shard])) == FileKind::kRegular;
      auto file = there ? output_.ReopenFile(file_names_[shard], layouts_[shard].file_size)
                        : output_.CreateFile(file_names_[shard], layouts_[shard].file_size);
      if (!file.ok()) return std::move(file).error();
      SLIM_TRY(file->WriteAt(std::as_bytes(std::span(layouts_[shard].header)), 0));
      files_.push_back(std::move(*file));
    }
    for (const auto& [name, digest] : left->tensors) {
      if (!IsWhole(name, digest)) continue;
      kept_.insert(name);
      digests_->emplace(name, digest);
      content.tensors.emplace(name, digest);
    }
    notes_ = content.notes = std::move(left->notes);
    state_ = content.state = left->state;
    listener.Note(
        fmt::format("taking up {}, left by an interrupted run: {} of {} tensors are there",
                    output_.PartialPath(""), kept_.size(), plan_.tensors.size()));
  }
  SLIM_ASSIGN(journal_, WriteJournal::Create(output_, content));
  return {};
}

Status CheckpointWriter::AddNote(std::string_view line) {
  const std::lock_guard lock(*mutex_);
  return journal_->AddNote(line);
}

Status CheckpointWriter::SaveState(const std::string& tag,
                                   const std::vector<std::span<const std::byte>>& parts) {
  uint64_t size = 0;
  for (const auto& part : parts) size += part.size();
  // Two names in turn: the earlier state is good until the journal names the later one.
  SavedState state{tag, fmt::format("slim-state-{}", ++states_), ""};
  if (state_ && state_->file == state.file) state.file = fmt::format("slim-state-{}", ++states_);
  SLIM_TRY(output_.RemoveFile(state.file));
  SLIM_ASSIGN(OutputFile file, output_.CreateFile(state.file, size));
  Xxh3Hasher hasher;
  uint64_t offset = 0;
  for (const auto& part : parts) {
    hasher.Update(part);
    SLIM_TRY(file.WriteAt(part, offset));
    offset += part.size();
  }
  state.digest = hasher.Finish();
  {
    const std::lock_guard lock(*mutex_);
    SLIM_TRY(journal_->AddState(state));
  }
  if (state_) SLIM_TRY(output_.RemoveFile(state_->file));
  state_ = std::move(state);
  return {};
}

Result<std::string> CheckpointWriter::ReadSavedState() const {
  if (!state_) return InternalError("there is no saved state");
  SLIM_ASSIGN(std::string bytes, ReadWholeFile(output_.PartialPath(state_->file), 1ULL << 40));
  if (Xxh3(std::as_bytes(std::span(bytes))) == state_->digest) return bytes;
  return InputError("QU-saved-state", "is damaged").WithPath(output_.PartialPath(state_->file));
}

Result<const CheckpointWriter::Place*> CheckpointWriter::FindPlace(std::string_view name) const {
  const auto place = places_.find(std::string(name));
  if (place == places_.end())
    return InternalError(fmt::format("tensor {} was not planned", Quote(name)));
  return &place->second;
}

Status CheckpointWriter::Remember(std::string_view name, std::string digest) {
  const std::lock_guard lock(*mutex_);
  if (journal_) SLIM_TRY(journal_->AddTensor(name, digest));
  if (digests_->emplace(name, std::move(digest)).second) return {};
  return InternalError(fmt::format("tensor {} written twice", Quote(name)));
}

Status CheckpointWriter::Write(std::string_view name, std::span<const std::byte> bytes) {
  SLIM_ASSIGN(const Place* place, FindPlace(name));
  if (place->size != bytes.size()) {
    return InternalError(fmt::format("{} bytes written to tensor {}, planned were {}", bytes.size(),
                                     Quote(name), place->size));
  }
  if (Has(name)) return {};
  SLIM_TRY(files_[place->shard].WriteAt(bytes, place->offset));
  return Remember(name, Xxh3(bytes));
}

Status CheckpointWriter::Copy(std::string_view name, const ReadPart& read) {
  if (Has(name)) return {};
  SLIM_ASSIGN(const Place* place, FindPlace(name));
  Buffer chunk(std::min(place->size, kCopyBytes));
  Xxh3Hasher hasher;
  for (uint64_t done = 0; done < place->size; done += chunk.size()) {
    SLIM_TRY(CheckInterrupt());
    const auto part = chunk.bytes().first(std::min<uint64_t>(chunk.size(), place->size - done));
    SLIM_TRY(read(part, done));
    hasher.Update(part);
    SLIM_TRY(files_[place->shard].WriteAt(part, place->offset + done));
  }
  return Remember(name, hasher.Finish());
}

Status CheckpointWriter::WriteSideFile(std::string_view name, std::string_view content) {
  return output_.WriteFile(name, content);
}

Status CheckpointWriter::CopySideFile(const File& source, std::string_view name) {
  return output_.CopyFile(source, name);
}

Status CheckpointWriter::WriteIndex() {
  if (!HasShardNames()) return {};
  ShardIndex index;
  index.total_size = plan_.TotalBytes();
  for (const PlannedTensor& tensor : plan_.tensors)
    index.Add(tensor.spec.name, file_names_[tensor.shard]);
  const std::string_view stem = TraitsOf(plan_.dialect).index_stem;
  return output_.WriteFile(IndexFileName(stem.empty() ? Stem() : stem), WriteShardIndex(index));
}

Status CheckpointWriter::WriteDescription() {
  const DialectTraits& traits = TraitsOf(plan_.dialect);
  if (!traits.has_description) return {};
  QuantDescription description;
  const auto add_globals = [&] {
    for (auto& [key, value] : traits.write_globals(plan_.globals))
      description.AddGlobal(key, std::move(value));
  };
  if (traits.globals_first) add_globals();
  for (const PlannedTensor& tensor : plan_.tensors)
    description.AddTensor(tensor.spec.name, tensor.label);
  if (!traits.globals_first) add_globals();
  return output_.WriteFile(traits.description_name(ToLower(plan_.globals.model_quant_type)),
                           description.Write(traits.description_indent));
}

Status CheckpointWriter::Finish() {
  for (const PlannedTensor& tensor : plan_.tensors) {
    if (!digests_->contains(tensor.spec.name)) {
      return InternalError(
          fmt::format("tensor {} was planned and never written", Quote(tensor.spec.name)));
    }
  }
  for (OutputFile& file : files_) SLIM_TRY(file.Close());
  // What only a run that goes on needs; killed from here on, the weights are taken up by none.
  if (journal_) {
    journal_.reset();
    if (state_) SLIM_TRY(output_.RemoveFile(state_->file));
    SLIM_TRY(output_.RemoveFile(WriteJournal::kFileName));
  }
  return described_ ? Status() : Describe();
}

Status CheckpointWriter::Describe() {
  described_ = true;
  SLIM_TRY(WriteIndex());
  return WriteDescription();
}

}  // namespace slim
