// Writing a checkpoint in any dialect: the plan fixes names, dtypes, shapes and order, so every
// byte has its place before the first tensor is written; tensors then arrive in any order from any
// thread; the directory appears when all is there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/dialects/dialect.h"
#include "checkpoint/dialects/gguf_config.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/write_journal.h"
#include "os/output.h"

namespace slim {

struct PlannedTensor {
  TensorSpec spec;
  std::string label;   // of the description
  uint32_t shard = 0;  // only with WritePlan::keep_shards
};

struct WritePlan {
  Dialect dialect = Dialect::kAscendV1;
  DescriptionGlobals globals;  // model_quant_type names the files of traditional dialects, too
  std::vector<PlannedTensor>
      tensors;  // modules in model order; OrderForDialect() sorts the rest out
  // Shards: either `tensors[i].shard` of `shard_count` is kept, or tensors fill parts of at most
  // `part_size` bytes in order (0: one file). `shard_names`: file names carry -0000i-of-0000N even
  // for one file.
  bool keep_shards = false;
  uint32_t shard_count = 1;
  uint64_t part_size = 0;
  bool shard_names = false;
  std::vector<std::pair<std::string, std::string>> metadata;  // of every safetensors header
  GgufMetadata gguf_metadata;  // of the GGUF container, which has one file

  uint64_t TotalBytes() const;
};

// Puts tensors in the order of the dialect's description: sections (embeddings, decoder layers,
// rest), modules in the order of first mention, roles by the dialect's table. Stable.
void OrderForDialect(Dialect dialect, std::vector<PlannedTensor>& tensors);

class CheckpointWriter {
 public:
  // Lays everything out, checks free space, creates the files. The plan is ordered here.
  static Result<CheckpointWriter> Create(WritePlan plan, const std::string& target,
                                         const OutputOptions& options, Listener& listener);

  // The same, with a journal, so that a run that is killed can be taken up: `key` identifies plan,
  // configuration and inputs. With options.keep, what a killed run of the same key left is checked
  // against its digests and taken up, with a note; what one of another key left is removed, with a
  // note.
  static Result<CheckpointWriter> CreateResumable(WritePlan plan, const std::string& target,
                                                  const OutputOptions& options,
                                                  const std::string& key, Listener& listener);
  // The tensor is in its place already: writing it again does nothing.
  bool Has(std::string_view name) const { return kept_.contains(std::string(name)); }
  // Keeps a line of the run's own, which says something about tensors written after it. Only of
  // CreateResumable(). Thread-safe.
  Status AddNote(std::string_view line);
  // Those that the killed run kept, in order; they are kept on.
  const std::vector<std::string>& notes() const { return notes_; }
  // Keeps what a run needs to go on after `tag`, in place of what was kept before. Only of
  // CreateResumable().
  Status SaveState(const std::string& tag, const std::vector<std::span<const std::byte>>& parts);
  // The state that the killed run kept, and its bytes; empty when there is none, or it is damaged.
  const std::optional<SavedState>& saved_state() const { return state_; }
  Result<std::string> ReadSavedState() const;

  // The whole data of one planned tensor. Thread-safe. Twice, or of another size, is an internal
  // error.
  Status Write(std::string_view name, std::span<const std::byte> bytes);
  // The same, fetched in chunks through `read(part, offset in the tensor)`: for tensors that only
  // travel.
  using ReadPart = std::function<Status(std::span<std::byte> part, uint64_t offset)>;
  Status Copy(std::string_view name, const ReadPart& read);
  // What Copy() holds in memory at most: a block that the C library does not map anew each time.
  static constexpr uint64_t kCopyBytes = 1020ULL << 10;
  Status WriteSideFile(std::string_view name, std::string_view content);
  Status CopySideFile(const File& source, std::string_view name);

  // Writes index and description, which the plan determines, ahead of Finish(): headers, index and
  // description can then be verified before any weight is written.
  Status Describe();
  // Flushes the weights, writes index and description. Everything planned must have been written.
  Status Finish();
  // The directory that Finish() completed and Commit() will rename: for verification of what was
  // written.
  std::string PartialPath() const { return output_.PartialPath(""); }
  Status Commit() { return output_.Commit(); }

  // XXH3-128 of each tensor written, by name; complete after Finish().
  const std::map<std::string, std::string>& digests() const { return *digests_; }
  const WritePlan& plan() const { return plan_; }

 private:
  struct Place {
    uint32_t shard = 0;
    uint64_t offset = 0;
    uint64_t size = 0;
  };
  CheckpointWriter(WritePlan plan, OutputDirectory output)
      : plan_(std::move(plan)), output_(std::move(output)) {}
  Status LayOut();
  Status OpenFiles();
  Status TakeUp(const std::string& key, Listener& listener);
  bool IsWhole(std::string_view name, const std::string& digest) const;
  Result<const Place*> FindPlace(std::string_view name) const;
  Status Remember(std::string_view name, std::string digest);
  Status WriteIndex();
  Status WriteDescription();
  std::string Stem() const;
  // File names carry -0000i-of-0000N, and there is an index.
  bool HasShardNames() const;

  WritePlan plan_;
  OutputDirectory output_;
  std::vector<OutputFile> files_;
  std::vector<std::string> file_names_;
  std::vector<SafetensorsLayout> layouts_;
  std::unordered_map<std::string, Place> places_;
  std::unique_ptr<std::mutex> mutex_ = std::make_unique<std::mutex>();
  std::unique_ptr<std::map<std::string, std::string>> digests_ =
      std::make_unique<std::map<std::string, std::string>>();
  // Of CreateResumable().
  std::optional<WriteJournal> journal_;
  std::optional<SavedState> state_;
  std::vector<std::string> notes_;
  bool described_ = false;
  uint64_t states_ = 0;
  std::set<std::string> kept_;
};

}  // namespace slim
