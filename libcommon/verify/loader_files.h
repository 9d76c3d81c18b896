// The weight files that a loader opens: all .safetensors of the directory, or those that
// model.safetensors.index.json lists. Finds tensors among them; reads headers only until a value is
// asked for. Reports nothing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "verify/context.h"

namespace slim {

struct LoaderTensor {
  const Checkpoint* source = nullptr;
  const TensorEntry* entry = nullptr;
  explicit operator bool() const { return entry != nullptr; }
};

struct DuplicateTensor {
  std::string name;
  std::string file;   // that also has it
  std::string other;  // the checkpoint's own
};

class LoaderFiles {
 public:
  // `follows_index`: files that model.safetensors.index.json does not list are left out.
  LoaderFiles(const VerifyContext& context, bool follows_index);

  LoaderTensor Find(std::string_view name) const;
  bool Visible(const TensorEntry& entry) const { return visible_[entry.shard]; }

  const std::vector<std::string>& opened() const { return opened_; }
  // Of the index: files that are not there, and files of the directory that it leaves out.
  const std::vector<std::string>& missing() const { return missing_; }
  const std::vector<std::string>& left_out() const { return left_out_; }
  const std::vector<DuplicateTensor>& duplicates() const { return duplicates_; }
  // Files beside the checkpoint's own that cannot be read.
  const std::vector<Error>& unreadable() const { return unreadable_; }
  // Beside the checkpoint's own, in natural order.
  const std::vector<Checkpoint>& strays() const { return strays_; }

 private:
  void ReadIndex(const VerifyContext& context, std::vector<std::string>& listed, bool& found) const;
  void OpenStrays();

  const Checkpoint& checkpoint_;
  std::vector<char> visible_;  // parallel to shards
  std::vector<std::string> opened_;
  std::vector<std::string> missing_;
  std::vector<std::string> left_out_;
  std::vector<DuplicateTensor> duplicates_;
  std::vector<Error> unreadable_;
  std::vector<Checkpoint> strays_;
  std::map<std::string_view, LoaderTensor> overlay_;  // of strays; the last file wins
};

// Up to `limit` elements as doubles; empty when there are more, or they cannot be read.
std::vector<double> ReadValues(const VerifyContext& context, const LoaderTensor& tensor,
                               uint64_t limit = 1U << 20);

}  // namespace slim
