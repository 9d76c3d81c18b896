// Opening a checkpoint: a directory (or one .safetensors file) becomes a dialect, a list of tensors
// and side files. Only headers and small JSON files are read; tensor data is read on demand, never
// a whole model. Inputs are never modified.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/name_table.h"
#include "base/result.h"
#include "checkpoint/dialects/dialect.h"
#include "checkpoint/dialects/gguf_config.h"
#include "checkpoint/gguf_header.h"
#include "checkpoint/quant_description.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/shard_index.h"
#include "json/json.h"
#include "linear/linear_record.h"
#include "os/file.h"
#include "tensor/tensor.h"

namespace slim {

class ShownLayers;
class ThreadPool;

struct Shard {
  std::string name;  // file name in the directory
  File file;
  SafetensorsHeader header;                // `tensors` moved out into Checkpoint::tensors()
  std::shared_ptr<const GgufHeader> gguf;  // of the container of that name
  std::vector<std::string> notes;          // what its reader left out
};

struct TensorEntry {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  uint32_t shard = 0;
  uint64_t offset = 0;  // absolute in the shard's file
  uint64_t size = 0;    // bytes
  // Of OpenFloat: 1 + the position of the FP8 weight behind it; offset is that weight's. 0: stored
  // as it is read.
  uint32_t fp8 = 0;
  Shape strides;  // in elements; empty: contiguous
  // Of OpenToCompute: 1 + the position of the layer that makes it. 0: stored as it is read.
  uint32_t shown = 0;
};

// Thread-safe for reading once open.
class Checkpoint {
 public:
  // Strict: the first structural problem is the error.
  static Result<Checkpoint> Open(const std::string& path);
  // The same for those who want float weights: an hf checkpoint of FP8 blocks
  // (checkpoint/fp8_block.h) shows its weights in the dtype that config.json names (BF16 where it
  // names none), dequantized as they are read, and no scales. Errors besides: FP8-scale.
  static Result<Checkpoint> OpenFloat(const std::string& path);
  // The same for those who compute: layers of the dialects of other ecosystems are shown in a form
  // that has an arithmetic (checkpoint/shown_layers.h), and the tokenizer that a container carries
  // is a side file.
  static Result<Checkpoint> OpenToCompute(const std::string& path);
  // A directory whose tensors are made of several checkpoints, which `layers` keeps.
  static Result<Checkpoint> OpenAssembled(const std::string& path,
                                          std::shared_ptr<const ShownLayers> layers);
  // The same for conversions, which also read the dialects of other ecosystems.
  static Result<Checkpoint> OpenForeign(const std::string& path);
  // The same for repairs, which write a new index: one that disagrees with its files is no error
  // where all files are there.
  static Result<Checkpoint> OpenForRepair(const std::string& path);
  // Lenient, for slim-verify: everything that can be opened is, and the rest is in problems(); the
  // dialects of other ecosystems, too, and directories of parts, which have no tensors of their
  // own. An error only when the path is no recognisable checkpoint. The result does not depend on
  // `threads`.
  static Result<Checkpoint> Inspect(const std::string& path, int threads);

  const std::string& path() const { return path_; }
  // Where the files are.
  std::string directory() const { return single_file_ ? DirectoryName(path_) : path_; }
  // True when the argument was a single file; there is no description or side file then, and a
  // config only where the file holds one.
  bool is_single_file() const { return single_file_; }
  Dialect dialect() const { return guess_.dialect; }
  const DialectTraits& traits() const { return TraitsOf(dialect()); }
  const DialectGuess& guess() const { return guess_; }

  const std::vector<TensorEntry>& tensors() const { return tensors_; }  // by shard, then offset
  const TensorEntry* Find(std::string_view name) const;
  // found(i, Find(name_of(i))) for every i below `count`, in order; faster for many.
  void FindEach(size_t count, const std::function<std::string_view(size_t)>& name_of,
                const std::function<void(size_t, const TensorEntry*)>& found) const;
  const std::vector<Shard>& shards() const { return shards_; }
  const std::optional<ShardIndex>& index() const { return index_; }
  const QuantDescription* description() const { return description_ ? &*description_ : nullptr; }

  // config.json, parsed and as text; null and empty when there is none.
  const Json* config() const { return config_ ? &*config_ : nullptr; }
  const std::string& config_text() const { return config_text_; }
  // torch_dtype or dtype of config.json, where it is one of a model.
  std::optional<DType> ModelDType() const;
  // Everything in the directory that is neither weights, index nor description.
  const std::vector<DirectoryEntry>& side_files() const { return side_files_; }
  const std::vector<DirectoryEntry>& listing() const { return listing_; }
  bool HasFile(std::string_view name) const;
  // Side files that the container carries and the directory has none of. The notes say what was
  // made from it, what could not be, and what layers that are shown otherwise leave out.
  const std::vector<MadeFile>& made_files() const { return made_files_; }
  const std::vector<std::string>& made_notes() const { return made_notes_; }
  // A side file's content; IN-missing when it is not there.
  Result<std::string> ReadSideFile(std::string_view name) const;

  // `to` has entry.size bytes.
  Status ReadBytes(const TensorEntry& entry, std::span<std::byte> to) const;
  // A range of it, from `offset` bytes into the tensor.
  Status ReadPart(const TensorEntry& entry, std::span<std::byte> to, uint64_t offset) const;
  Result<Tensor> Read(const TensorEntry& entry) const;
  // By name; CK-missing-tensor when it is not there.
  Result<Tensor> Read(std::string_view name) const;

  // QuantDescription::AddsWeightOffset(); false without a description. ReadLinear() gives such
  // offsets in logical form, to be subtracted.
  bool AddsWeightOffset() const { return description_ && description_->AddsWeightOffset(); }
  // The description's label of a module's weight; FLOAT without a description. An unknown label is
  // CK-unknown-label, a missing one CK-missing-label.
  Result<Scheme> SchemeOf(std::string_view module) const;
  // All parts of one linear layer, unpacked into logical form and checked (CheckRecord).
  Result<LinearRecord> ReadLinear(std::string_view module) const;

  // What description and config.json should have said, in place of what the files say: a conversion
  // that repairs them reads the rest by it. The files stay as they are. Errors: JSON-… for a config
  // that is no object.
  Status Amend(QuantDescription description, std::string config_text);

  // Every file still is what it was at Open.
  Status CheckUnchanged() const;
  // Name, size and time of change of every weight file, a line each: differs when one was replaced.
  std::string FilesIdentity() const;

  const std::vector<Error>& problems() const { return problems_; }

 private:
  // An FP8 weight with a scale a block.
  struct Fp8Weight {
    std::array<uint64_t, 2> block{};
    TensorEntry scale;
  };

  // What Open() does not read is opened for conversions, and single files for Inspect() only.
  enum class Reads : uint8_t { kOwn, kForeign, kAny };
  static Result<Checkpoint> OpenAny(const std::string& path, int threads, Reads reads);
  // The first problem, where there is one.
  Status Sound() const;
  void Show(std::shared_ptr<const ShownLayers> layers);
  void IndexNames();
  Status ShowFp8AsFloat();
  Status ReadFp8Part(const TensorEntry& entry, std::span<std::byte> to, uint64_t offset) const;
  Status OpenDirectory(int threads);
  Status OpenSingleFile(Reads reads);
  Result<Shard> OpenGgufShard(const std::string& name, File file) const;
  Result<Shard> OpenTorchShard(const std::string& name, File file) const;
  Result<Shard> OpenNpyShard(const std::string& name, File file) const;
  Status FinishGguf();
  // Labels by what each layer has; layers that show no type get none, and are problems.
  void DescribeNpy();
  void FinishContainer();
  // Of a single file, by its name.
  Container ContainerOfFile(Reads reads) const;
  Status ReadStrided(const TensorEntry& entry, std::span<std::byte> to, uint64_t offset) const;
  void SetConfig(std::string text, const std::string& path);
  void ReadConfig();
  using OpenedShards = std::vector<std::optional<Result<Shard>>>;
  void ReadFiles(ThreadPool& pool);
  std::optional<Error> ReadDescription();
  std::optional<Error> ReadIndex();
  // Reads nothing that ReadIndex() and ReadDescription() write.
  Result<Shard> OpenShard(const std::string& name) const;
  OpenedShards ShardsOfIndex(OpenedShards expected) const;
  void AddShards(OpenedShards shards);
  Error WhyNotOpen(Error error) const;
  void AddShard(Shard shard);
  void CheckIndex();
  void CollectSideFiles();

  std::string path_;
  bool single_file_ = false;
  DialectGuess guess_;
  std::vector<DirectoryEntry> listing_;
  std::vector<DirectoryEntry> side_files_;
  std::vector<Shard> shards_;
  std::vector<TensorEntry> tensors_;
  NameTable by_name_;  // positions in tensors_
  std::vector<Fp8Weight> fp8_;
  std::shared_ptr<const ShownLayers> shown_;
  std::optional<ShardIndex> index_;
  std::optional<QuantDescription> description_;
  std::optional<Json> config_;
  std::string config_text_;
  std::vector<MadeFile> made_files_;
  std::vector<std::string> made_notes_;
  std::vector<Error> problems_;
};

}  // namespace slim
