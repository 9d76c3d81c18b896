// Reading files: open once, regular files only, exact reads at an offset by pread loops (never
// mmap: an I/O error must be an error, not a signal). Also directory listings. Writing is
// os/output.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

// An open regular file. Thread-safe for reading. Movable.
class File {
 public:
  // A missing file is an input error with rule IN-missing; a directory, FIFO or device one with
  // rule IN-not-a-file.
  static Result<File> Open(const std::string& path);
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File();

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }
  unsigned mode() const { return mode_; }
  // Of the last change before Open, in nanoseconds since 1970.
  int64_t changed_ns() const { return mtime_ns_; }

  // Fills `to` from `offset`; the end of the file before that is an error ("file shrank").
  Status ReadExactAt(std::span<std::byte> to, uint64_t offset) const;
  // An error when size, mtime or inode differ from those at Open.
  Status CheckUnchanged() const;
  // Text that changes whenever the file is replaced or written to: device, inode, size, mtime.
  std::string Identity() const;
  // True when both are the same file on disk.
  bool SameFile(const File& other) const;

 private:
  File() = default;
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
  uint64_t inode_ = 0;
  uint64_t device_ = 0;
  int64_t mtime_ns_ = 0;
  unsigned mode_ = 0;
};

Result<std::string> ReadWholeFile(const std::string& path, uint64_t max_bytes = 64ULL << 20);
// All of standard input, up to max_bytes.
Result<std::string> ReadStandardInput(uint64_t max_bytes = 64ULL << 20);

enum class FileKind : uint8_t { kMissing, kRegular, kDirectory, kOther };
// Follows symbolic links. An error other than "missing" is kOther.
FileKind KindOf(const std::string& path);

struct DirectoryEntry {
  std::string name;
  FileKind kind =
      FileKind::kRegular;  // after following a symbolic link; a dangling one is kMissing
  uint64_t size = 0;
  unsigned mode = 0;  // permission bits
};
// Sorted by name; "." and ".." left out.
Result<std::vector<DirectoryEntry>> ListDirectory(const std::string& path);

std::string JoinPath(std::string_view directory, std::string_view name);
std::string BaseName(std::string_view path);
std::string DirectoryName(std::string_view path);  // "." when there is none
// The absolute path without symbolic links; for a path that does not exist, of its nearest existing
// parent plus the rest.
std::string CanonicalPath(const std::string& path);

}  // namespace slim
