// Writing that is atomic and durable: a directory or a file appears under its name complete or not
// at all, whatever kills us (facts: reliability.md 7). Work happens in `.<name>.slim-partial`
// beside the target, locked by its writer; Commit() flushes and renames once; a destructor without
// Commit() removes everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "os/file.h"

namespace slim {

struct OutputOptions {
  bool force = false;  // replace an existing target, in one rename
  bool fsync = true;   // false gives up durability, not atomicity
  bool keep = false;   // what a killed run left stays in place: see OutputDirectory::found()
};

// One file being written inside an OutputDirectory. WriteAt is thread-safe on disjoint ranges.
class OutputFile {
 public:
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  Status WriteAt(std::span<const std::byte> bytes, uint64_t offset);
  // Flushes (unless fsync is off) and closes; any earlier failure is final.
  Status Close();

 private:
  friend class OutputDirectory;
  OutputFile() = default;
  std::string path_;
  int fd_ = -1;
  bool fsync_ = true;
};

class OutputDirectory {
 public:
  // Refuses an existing target unless it is an empty directory or `force`; takes the lock of the
  // partial directory; a partial directory that a killed run left is removed with a note.
  static Result<OutputDirectory> Create(const std::string& target, const OutputOptions& options,
                                        Listener& listener);
  OutputDirectory(OutputDirectory&& other) noexcept;
  OutputDirectory& operator=(OutputDirectory&&) = delete;
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;
  ~OutputDirectory();

  // An error when the file system has less than `bytes` free.
  Status CheckSpace(uint64_t bytes) const;
  // With `keep`: the partial directory was there, with what a killed run left in it.
  bool found() const { return found_; }
  // A file that a killed run left, at most `size` bytes long, to go on writing; an error where it
  // is not like that.
  Result<OutputFile> ReopenFile(std::string_view name, uint64_t size);
  // Removes everything in the partial directory but the files named.
  Status RemoveAllBut(const std::vector<std::string>& names);
  Status RemoveFile(std::string_view name);
  // A directory inside, for files that are then named "<name>/<file>". One level only.
  Status CreateSubdirectory(std::string_view name);
  // A new file of `size` bytes, allocated at once so that a full disk is noticed before the work.
  Result<OutputFile> CreateFile(std::string_view name, uint64_t size);
  Status WriteFile(std::string_view name, std::string_view content);
  Status CopyFile(const File& source, std::string_view name);
  // Where a file of this directory is before the rename.
  std::string PartialPath(std::string_view name) const;
  const std::string& target() const { return target_; }
  const std::string& partial() const { return partial_; }

  // Flushes the directory and gives it the target's name. Nothing may be written afterwards.
  Status Commit();

 private:
  OutputDirectory() = default;
  void Discard();

  std::string target_;
  std::string partial_;
  std::vector<std::string> subdirectories_;
  OutputOptions options_;
  int lock_fd_ = -1;
  bool replace_ = false;  // the target exists and is to be replaced
  bool found_ = false;
};

// The refusal of WriteFileAtomically for an existing file and for "-", to be had before long work.
Status CheckFileAbsent(const std::string& path, const OutputOptions& options);

// A single file, written whole: temporary name beside it, flush, rename. Refuses an existing file
// unless `force`.
Status WriteFileAtomically(const std::string& path, std::string_view content,
                           const OutputOptions& options);

}  // namespace slim
