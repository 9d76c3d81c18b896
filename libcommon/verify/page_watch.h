// Pages that no writer of weights leaves: blocks of the file that were never written (a torn
// download, a crash before the data reached the disk) or that were written twice. Works on what the
// scans read anyway. Internal to verify/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace slim {

class PageWatcher {
 public:
  static constexpr uint64_t kPage = 4096;

  // Only a matrix with rows long enough to be told from chance is watched. `entry` must outlive the
  // watcher.
  explicit PageWatcher(const TensorEntry& entry);

  // The whole tensor in order, as ForEachPiece gives it.
  void Add(std::span<const std::byte> bytes, uint64_t offset);

  // Every byte so far; false where nothing is watched.
  bool all_zero() const { return row_bytes_ != 0 && all_zero_; }

  struct Run {
    uint64_t begin = 0;  // in the tensor
    uint64_t end = 0;
  };
  // The first zero bytes from one page border of the file to another that do not end with a row;
  // an end of the tensor counts as a border.
  const std::optional<Run>& zeroes() const { return zeroes_; }
  uint64_t zero_runs() const { return zero_runs_; }

  struct Twins {
    uint64_t first = 0;  // in the tensor
    uint64_t second = 0;
  };
  // The first two pages of the file that hold the same bytes and more than one value, and are
  // either not whole rows apart or equal from the border on only: rows that a model repeats are
  // equal from their begin on. Reads them again to be sure.
  Result<std::optional<Twins>> RepeatedPages(const Checkpoint& checkpoint) const;

 private:
  struct Seen {
    uint64_t signature = 0;
    uint64_t offset = 0;
    uint64_t before = 0;  // the eight bytes in front of it
  };

  bool IsCopy(const Seen& seen, uint64_t offset) const;
  void AddPage(const std::byte* page, uint64_t offset);
  void AddSignature(const std::byte* page, uint64_t offset);
  void EndRun(uint64_t end);

  const TensorEntry& entry_;
  uint64_t row_bytes_ = 0;  // 0: not watched
  bool all_zero_ = true;
  uint64_t last_word_ = 1;  // the eight bytes before the next page; not 0 at the tensor's begin
  std::optional<uint64_t> run_begin_;  // of the zero pages that end where the next page begins
  std::optional<Run> zeroes_;
  uint64_t zero_runs_ = 0;
  std::vector<Seen> seen_;  // by signature; what is met later takes the place
  std::optional<Twins> candidate_;
};

}  // namespace slim
