#include "checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/text.h"
#include "checkpoint/shown_layers.h"
#include "os/memory.h"
#include "os/processors.h"
#include "parallel/thread_pool.h"

namespace slim {
namespace {

constexpr uint64_t kMaxIndexBytes = 256ULL << 20;
constexpr size_t kShardsWorthThreads = 8;

// Of other ecosystems, or in files that are no safetensors: slim-convert takes them over.
Error Unread(const DialectGuess& guess, const std::string& path) {
  const std::string_view name = TraitsOf(guess.dialect).name;
  if (guess.container == Container::kSafetensors) return UnreadDialect(name, path);
  return InputError("CK-unsupported-dialect",
                    fmt::format("is a {} checkpoint ({}), which only slim-convert reads",
                                Quote(name), Join(guess.weight_files, ", ")),
                    "slim-convert --to hf or --to ascendv1 makes safetensors of it")
      .WithPath(path);
}

}  // namespace

Result<Checkpoint> Checkpoint::OpenAny(const std::string& path, int threads, Reads reads) {
  Checkpoint checkpoint;
  checkpoint.path_ = path;
  switch (KindOf(path)) {
    case FileKind::kMissing:
      return InputError("IN-missing", "no such file or directory").WithPath(path);
    case FileKind::kOther:
      return InputError("IN-not-a-file", "is neither a directory nor a regular file")
          .WithPath(path);
    case FileKind::kRegular:
      SLIM_TRY(checkpoint.OpenSingleFile(reads));
      break;
    case FileKind::kDirectory:
      SLIM_TRY(checkpoint.OpenDirectory(threads));
      break;
  }
  // DescribeNpy() needs the names, too.
  const bool indexed = checkpoint.dialect() == Dialect::kNpy && checkpoint.description_;
  if (!indexed) checkpoint.IndexNames();
  if (checkpoint.index_) checkpoint.CheckIndex();
  return checkpoint;
}

void Checkpoint::IndexNames() {
  const auto name_at = [&](uint32_t i) { return std::string_view(tensors_[i].name); };
  by_name_ = NameTable();
  by_name_.Reserve(tensors_.size());
  for (uint32_t i = 0; i < tensors_.size(); ++i) {
    const uint32_t twin = by_name_.Insert(name_at(i), i, name_at);
    if (twin == i) continue;
    problems_.push_back(
        InputError("CK-duplicate-tensor",
                   fmt::format("is in {} and in {}", shards_[tensors_[twin].shard].name,
                               shards_[tensors_[i].shard].name))
            .WithTensor(tensors_[i].name)
            .WithPath(path_));
  }
}

Result<Checkpoint> Checkpoint::Inspect(const std::string& path, int threads) {
  SLIM_ASSIGN(Checkpoint checkpoint, OpenAny(path, threads, Reads::kAny));
  if (checkpoint.guess_.fp8) checkpoint.guess_.dialect = Dialect::kFp8Block;
  return checkpoint;
}

Result<Checkpoint> Checkpoint::OpenForeign(const std::string& path) {
  SLIM_ASSIGN(Checkpoint checkpoint, OpenAny(path, DefaultThreadCount(), Reads::kForeign));
  SLIM_TRY(checkpoint.Sound());
  if (checkpoint.guess_.fp8) checkpoint.guess_.dialect = Dialect::kFp8Block;
  return checkpoint;
}

Result<Checkpoint> Checkpoint::OpenForRepair(const std::string& path) {
  SLIM_ASSIGN(Checkpoint checkpoint, OpenAny(path, DefaultThreadCount(), Reads::kForeign));
  std::erase_if(checkpoint.problems_, [](const Error& problem) {
    return problem.rule == "IX-missing-tensor" || problem.rule == "IX-wrong-shard" ||
           problem.rule == "IX-unlisted-tensor" || problem.rule == "IX-total-size";
  });
  SLIM_TRY(checkpoint.Sound());
  if (checkpoint.guess_.fp8) checkpoint.guess_.dialect = Dialect::kFp8Block;
  return checkpoint;
}

Status Checkpoint::Sound() const {
  // Each part is a checkpoint; the directory of all of them has no tensors of its own.
  if (dialect() == Dialect::kMindIEParts) return UnreadDialect(traits().name, path_);
  return problems_.empty() ? Status() : Status(problems_.front());
}

Result<Checkpoint> Checkpoint::Open(const std::string& path) {
  SLIM_ASSIGN(Checkpoint checkpoint, OpenAny(path, DefaultThreadCount(), Reads::kOwn));
  if (checkpoint.guess_.fp8) return UnreadDialect("fp8", path);
  if (checkpoint.traits().is_foreign) return Unread(checkpoint.guess_, path);
  SLIM_TRY(checkpoint.Sound());
  return checkpoint;
}

Result<Checkpoint> Checkpoint::OpenFloat(const std::string& path) {
  SLIM_ASSIGN(Checkpoint checkpoint, OpenAny(path, DefaultThreadCount(), Reads::kOwn));
  SLIM_TRY(checkpoint.Sound());
  if (checkpoint.traits().is_foreign) return Unread(checkpoint.guess_, path);
  if (!checkpoint.guess_.fp8) return checkpoint;
  if (auto status = checkpoint.ShowFp8AsFloat(); !status.ok()) {
    Error error = std::move(status).error();
    return error.path.empty() ? std::move(error).WithPath(path) : error;
  }
  return checkpoint;
}

Container Checkpoint::ContainerOfFile(Reads reads) const {
  const auto ends = [&](Container container) {
    return path_.ends_with(ContainerEnding(container));
  };
  if (reads != Reads::kOwn && ends(Container::kGguf)) return Container::kGguf;
  if (reads != Reads::kAny) return Container::kSafetensors;
  const bool torch = ends(Container::kTorch) || path_.ends_with(".pt") || path_.ends_with(".pth");
  if (torch) return Container::kTorch;
  return ends(Container::kNpy) ? Container::kNpy : Container::kSafetensors;
}

Result<Checkpoint> Checkpoint::OpenToCompute(const std::string& path) {
  SLIM_ASSIGN(Checkpoint source, OpenForeign(path));
  const Dialect dialect = source.dialect();
  const bool by_roles = dialect == Dialect::kTorchBin || dialect == Dialect::kNpy;
  if (!source.traits().is_foreign || by_roles) {
    if (dialect != Dialect::kFp8Block) return source;
  }
  Checkpoint shown;
  shown.path_ = source.path_;
  shown.single_file_ = source.single_file_;
  shown.guess_ = source.guess_;
  shown.listing_ = source.listing_;
  shown.side_files_ = source.side_files_;
  shown.config_ = source.config_;
  shown.config_text_ = source.config_text_;
  shown.made_files_ = source.made_files_;
  shown.made_notes_ = source.made_notes_;
  SLIM_ASSIGN(auto layers, ShownLayers::Of(std::move(source)));
  shown.Show(std::move(layers));
  return shown;
}

Result<Checkpoint> Checkpoint::OpenAssembled(const std::string& path,
                                             std::shared_ptr<const ShownLayers> layers) {
  SLIM_ASSIGN(Checkpoint shown, OpenAny(path, 1, Reads::kForeign));
  if (!shown.problems_.empty()) return shown.problems_.front();
  shown.Show(std::move(layers));
  return shown;
}

void Checkpoint::Show(std::shared_ptr<const ShownLayers> layers) {
  tensors_ = layers->Entries();
  made_notes_.insert(made_notes_.end(), layers->notes().begin(), layers->notes().end());
  shown_ = std::move(layers);
  IndexNames();
}

Status Checkpoint::OpenSingleFile(Reads reads) {
  single_file_ = true;
  guess_.dialect = Dialect::kHf;
  SLIM_ASSIGN(File file, File::Open(path_));
  guess_.weight_files = {BaseName(path_)};
  guess_.container = ContainerOfFile(reads);
  if (guess_.container != Container::kSafetensors) {
    const bool gguf = guess_.container == Container::kGguf;
    const bool torch = guess_.container == Container::kTorch;
    guess_.dialect = gguf ? Dialect::kGguf : torch ? Dialect::kTorchBin : Dialect::kNpy;
    if (gguf) guess_.weight_files = GgufSplitFiles(BaseName(path_));
    ThreadPool pool(1);
    ReadFiles(pool);
    if (gguf) FinishContainer();
    return {};
  }
  auto header = ReadSafetensorsHeader(file);
  if (!header.ok()) {
    problems_.push_back(std::move(header).error());
    return {};
  }
  tensors_.reserve(header->tensors.size());
  AddShard({BaseName(path_), std::move(file), std::move(*header), nullptr, {}});
  return {};
}

Status Checkpoint::OpenDirectory(int threads) {
  SLIM_ASSIGN(listing_, ListDirectory(path_));
  ReadConfig();
  SLIM_ASSIGN(guess_, GuessDialect(path_, listing_, config()));
  // A thread costs more than the headers of a few shards.
  ThreadPool pool(guess_.weight_files.size() < kShardsWorthThreads ? 1 : std::max(threads, 1));
  ReadFiles(pool);
  CollectSideFiles();
  FinishContainer();
  return {};
}

void Checkpoint::ReadConfig() {
  if (!HasFile("config.json")) return;
  auto text = ReadSideFile("config.json");
  if (!text.ok()) {
    problems_.push_back(std::move(text).error());
    return;
  }
  SetConfig(std::move(*text), JoinPath(path_, "config.json"));
}

void Checkpoint::SetConfig(std::string text, const std::string& path) {
  config_text_ = std::move(text);
  auto json = ParseJson(config_text_);
  if (json.ok() && !json->is_object()) {
    json = InputError("CF-not-an-object",
                      fmt::format("holds {}, expected an object", json->KindName()));
  }
  if (json.ok()) {
    config_ = std::move(*json);
  } else {
    problems_.push_back(std::move(json).error().WithPath(path));
  }
}

// Index and description of a large model take as long to parse as all headers together: everything
// goes side by side, and the files that an index would name are expected to be those that are
// there.
void Checkpoint::ReadFiles(ThreadPool& pool) {
  constexpr size_t kTexts = 2;  // the longest tasks come first
  std::optional<Error> index_problem;
  std::optional<Error> description_problem;
  const std::vector<std::string>& expected = guess_.weight_files;
  OpenedShards shards(expected.size());
  pool.ParallelFor(kTexts + expected.size(), 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      if (i == 0) {
        index_problem = ReadIndex();
      } else if (i == 1) {
        description_problem = ReadDescription();
      } else {
        shards[i - kTexts] = OpenShard(expected[i - kTexts]);
      }
    }
  });
  if (description_problem) problems_.push_back(std::move(*description_problem));
  if (index_problem) problems_.push_back(std::move(*index_problem));
  if (index_ && index_->files() != expected) shards = ShardsOfIndex(std::move(shards));
  AddShards(std::move(shards));
}

std::optional<Error> Checkpoint::ReadDescription() {
  if (guess_.description_file.empty()) return {};
  const std::string path = JoinPath(path_, guess_.description_file);
  auto text = ReadWholeFile(path, kMaxIndexBytes);
  auto description = text.ok() ? QuantDescription::Parse(*text)
                               : Result<QuantDescription>(std::move(text).error());
  if (!description.ok()) return std::move(description).error().WithPath(path);
  description_ = std::move(*description);
  return {};
}

std::optional<Error> Checkpoint::ReadIndex() {
  if (guess_.index_file.empty()) return {};
  const std::string path = JoinPath(path_, guess_.index_file);
  auto text = ReadWholeFile(path, kMaxIndexBytes);
  auto index = text.ok() ? ParseShardIndex(std::move(*text), ContainerEnding(guess_.container))
                         : Result<ShardIndex>(std::move(text).error());
  if (!index.ok()) return std::move(index).error().WithPath(path);
  index_ = std::move(*index);
  return {};
}

// In the order of the index, whichever of them were expected and are open.
Checkpoint::OpenedShards Checkpoint::ShardsOfIndex(OpenedShards expected) const {
  std::unordered_map<std::string_view, size_t> position;
  for (size_t i = 0; i < expected.size(); ++i) position[guess_.weight_files[i]] = i;
  OpenedShards shards;
  for (const std::string& file : index_->files()) {
    const auto found = position.find(file);
    shards.push_back(found == position.end() ? OpenShard(file)
                                             : std::move(expected[found->second]));
  }
  return shards;
}

// In their order, whichever thread was first.
void Checkpoint::AddShards(OpenedShards shards) {
  size_t tensors = 0;
  for (const auto& shard : shards) tensors += shard->ok() ? (*shard)->header.tensors.size() : 0;
  tensors_.reserve(tensors);
  PreferLargePages(std::as_writable_bytes(std::span(tensors_.data(), tensors)));
  for (auto& shard : shards) {
    if (shard->ok()) {
      AddShard(std::move(**shard));
    } else {
      problems_.push_back(WhyNotOpen(std::move(*shard).error()));
    }
  }
}

Error Checkpoint::WhyNotOpen(Error error) const {
  if (error.rule != "IN-missing") return error;
  const std::string path = error.path;
  if (index_) {
    error =
        InputError("IX-missing-shard", "the index names this file, the directory does not have it");
  } else if (guess_.weight_files.size() > 1) {
    error = InputError("GG-split", fmt::format("is one of {} files of the model, and is missing",
                                               guess_.weight_files.size()));
  }
  return std::move(error).WithPath(path);
}

Result<Shard> Checkpoint::OpenShard(const std::string& name) const {
  const bool itself = single_file_ && name == BaseName(path_);
  const std::string path = itself ? path_ : JoinPath(directory(), name);
  auto file = File::Open(path);
  if (!file.ok()) return std::move(file).error().WithPath(path);
  switch (guess_.container) {
    case Container::kGguf:
      return OpenGgufShard(name, std::move(*file));
    case Container::kTorch:
      return OpenTorchShard(name, std::move(*file));
    case Container::kNpy:
      return OpenNpyShard(name, std::move(*file));
    case Container::kSafetensors:
      break;
  }
  SLIM_ASSIGN(SafetensorsHeader header, ReadSafetensorsHeader(*file));
  return Shard{name, std::move(*file), std::move(header), nullptr, {}};
}

void Checkpoint::AddShard(Shard shard) {
  const auto number = static_cast<uint32_t>(shards_.size());
  const uint64_t start = shard.header.data_start;
  // Ranks have the same names: their directory tells them apart.
  const size_t slash = shard.name.find('/');
  const std::string rank = slash == std::string::npos ? "" : shard.name.substr(0, slash + 1);
  for (HeaderTensor& tensor : shard.header.tensors) {
    const uint64_t size = tensor.strides.empty() ? tensor.end - tensor.begin
                                                 : ByteSize(tensor.dtype, tensor.shape).value();
    if (!rank.empty()) tensor.name.insert(0, rank);
    tensors_.push_back({std::move(tensor.name), tensor.dtype, std::move(tensor.shape), number,
                        start + tensor.begin, size, 0, std::move(tensor.strides)});
  }
  shard.header.tensors = {};
  shards_.push_back(std::move(shard));
}

void Checkpoint::CheckIndex() {
  const std::string path = JoinPath(path_, guess_.index_file);
  std::unordered_set<std::string_view> opened;
  for (const Shard& shard : shards_) opened.insert(shard.name);
  std::vector<bool> listed(tensors_.size());
  const auto& places = index_->weight_map();
  const auto check = [&](size_t i, const TensorEntry* entry) {
    const std::string& file = index_->FileOf(places[i]);
    if (entry != nullptr) listed[static_cast<size_t>(entry - tensors_.data())] = true;
    if (entry != nullptr && shards_[entry->shard].name == file) return;
    if (!opened.contains(file)) return;  // reported when it could not be opened
    if (entry == nullptr) {
      problems_.push_back(InputError("IX-missing-tensor",
                                     fmt::format("the index puts it in {}, no shard has it", file))
                              .WithTensor(places[i].tensor)
                              .WithPath(path));
    } else {
      problems_.push_back(
          InputError("IX-wrong-shard", fmt::format("the index puts it in {}, it is in {}", file,
                                                   shards_[entry->shard].name))
              .WithTensor(places[i].tensor)
              .WithPath(path));
    }
  };
  FindEach(
      places.size(), [&](size_t i) { return places[i].tensor; }, check);
  for (const TensorEntry& entry : tensors_) {
    // A name in two files counts as listed when either is.
    if (listed[static_cast<size_t>(&entry - tensors_.data())] ||
        listed[static_cast<size_t>(Find(entry.name) - tensors_.data())])
      continue;
    problems_.push_back(
        InputError("IX-unlisted-tensor",
                   fmt::format("is in {}, the index does not list it", shards_[entry.shard].name))
            .WithTensor(entry.name)
            .WithPath(path));
  }
}

void Checkpoint::CollectSideFiles() {
  std::unordered_set<std::string_view> own(guess_.weight_files.begin(), guess_.weight_files.end());
  own.insert(guess_.index_file);
  own.insert(guess_.description_file);
  for (const Shard& shard : shards_) own.insert(shard.name);
  for (const DirectoryEntry& entry : listing_) {
    if (entry.kind == FileKind::kRegular && !own.contains(entry.name)) side_files_.push_back(entry);
  }
}

const TensorEntry* Checkpoint::Find(std::string_view name) const {
  const uint32_t found =
      by_name_.Find(name, [&](uint32_t i) { return std::string_view(tensors_[i].name); });
  return found == NameTable::kNone ? nullptr : &tensors_[found];
}

void Checkpoint::FindEach(size_t count, const std::function<std::string_view(size_t)>& name_of,
                          const std::function<void(size_t, const TensorEntry*)>& found) const {
  by_name_.FindEach(
      count, name_of, [&](uint32_t i) { return std::string_view(tensors_[i].name); },
      [&](size_t i, uint32_t at) { found(i, at == NameTable::kNone ? nullptr : &tensors_[at]); });
}

std::optional<DType> Checkpoint::ModelDType() const {
  if (!config_) return {};
  for (const std::string_view key : {"torch_dtype", "dtype"}) {
    const Json* value = config_->Find(key);
    const auto dtype =
        value == nullptr ? std::nullopt : ParseModelDType(value->AsString().value_or(""));
    if (dtype) return dtype;
  }
  return {};
}

bool Checkpoint::HasFile(std::string_view name) const {
  const auto is_named = [&](const MadeFile& file) { return file.name == name; };
  if (shown_ && std::ranges::any_of(made_files_, is_named)) return true;
  return std::any_of(listing_.begin(), listing_.end(), [&](const DirectoryEntry& entry) {
    return entry.name == name && entry.kind == FileKind::kRegular;
  });
}

Result<std::string> Checkpoint::ReadSideFile(std::string_view name) const {
  const auto made = std::ranges::find(made_files_, name, &MadeFile::name);
  if (shown_ && made != made_files_.end()) return made->content;
  if (single_file_)
    return InputError("IN-missing", "a single file has no side files").WithPath(path_);
  return ReadWholeFile(JoinPath(path_, name));
}

Status Checkpoint::ReadBytes(const TensorEntry& entry, std::span<std::byte> to) const {
  return ReadPart(entry, to, 0);
}

Status Checkpoint::ReadPart(const TensorEntry& entry, std::span<std::byte> to,
                            uint64_t offset) const {
  if (shown_) return shown_->ReadPart(entry, to, offset);
  if (entry.fp8 != 0) return ReadFp8Part(entry, to, offset);
  if (!entry.strides.empty()) return ReadStrided(entry, to, offset);
  auto status = shards_[entry.shard].file.ReadExactAt(to, entry.offset + offset);
  if (!status.ok()) return std::move(status).error().WithTensor(entry.name);
  return {};
}

Result<Tensor> Checkpoint::Read(const TensorEntry& entry) const {
  Tensor tensor(entry.dtype, entry.shape);
  PreferLargePages(tensor.data.bytes());
  SLIM_TRY(ReadBytes(entry, tensor.data.bytes()));
  return tensor;
}

Result<Tensor> Checkpoint::Read(std::string_view name) const {
  const TensorEntry* entry = Find(name);
  if (entry == nullptr) {
    return InputError("CK-missing-tensor", "is not in the checkpoint")
        .WithTensor(name)
        .WithPath(path_);
  }
  return Read(*entry);
}

Result<Scheme> Checkpoint::SchemeOf(std::string_view module) const {
  if (shown_) return shown_->SchemeOf(module);
  if (!description_) return Scheme::kFloat;
  const std::string tensor = fmt::format("{}.weight", module);
  const std::string* label = description_->Label(tensor);
  const std::string path = JoinPath(path_, guess_.description_file);
  if (label == nullptr)
    return InputError("CK-missing-label", "has no entry in the description")
        .WithTensor(tensor)
        .WithPath(path);
  const auto scheme = ParseSchemeLabel(*label);
  if (!scheme) {
    return InputError("CK-unknown-label", fmt::format("has the unknown label {}", Quote(*label)))
        .WithTensor(tensor)
        .WithPath(path);
  }
  return *scheme;
}

Result<LinearRecord> Checkpoint::ReadLinear(std::string_view module) const {
  const LogicalLayer* shown = shown_ ? shown_->FindLinear(module) : nullptr;
  if (shown != nullptr) return shown_->ReadLinear(*shown);
  LinearRecord record;
  record.name = module;
  SLIM_ASSIGN(record.scheme, SchemeOf(module));
  for (size_t i = 0; i < kRoleCount; ++i) {
    const TensorEntry* entry = Find(fmt::format("{}.{}", module, RoleSuffix(static_cast<Role>(i))));
    if (entry == nullptr) continue;
    SLIM_ASSIGN(record.parts[i], Read(*entry));
  }
  auto status = UnpackWeight(record, traits().packs_int4);
  const bool added = record.scheme == Scheme::kW8A16 && AddsWeightOffset();
  if (status.ok() && added) status = NegateFloats(record[Role::kWeightOffset]);
  if (status.ok()) status = CheckRecord(record);
  if (!status.ok()) return std::move(status).error().WithPath(path_);
  return record;
}

Status Checkpoint::Amend(QuantDescription description, std::string config_text) {
  SLIM_ASSIGN(config_, ParseJson(config_text));
  config_text_ = std::move(config_text);
  description_ = std::move(description);
  return {};
}

Status Checkpoint::CheckUnchanged() const {
  if (shown_) return shown_->CheckUnchanged();
  for (const Shard& shard : shards_) SLIM_TRY(shard.file.CheckUnchanged());
  return {};
}

std::string Checkpoint::FilesIdentity() const {
  if (shown_) return shown_->FilesIdentity();
  std::string identity;
  for (const Shard& shard : shards_) {
    identity += fmt::format("{} {} {}\n", BaseName(shard.file.path()), shard.file.size(),
                            shard.file.changed_ns());
  }
  return identity;
}

}  // namespace slim
