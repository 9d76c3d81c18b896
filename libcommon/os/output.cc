#include "os/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/text.h"
#include "os/interrupt.h"
#include "os/path_guard.h"
#include "os/system.h"

namespace slim {
namespace {

constexpr uint64_t kMaxWrite = 1ULL << 30;
constexpr uint64_t kWorthStarting = 512ULL << 10;

Status WriteAll(int fd, const std::string& path, std::span<const std::byte> bytes,
                uint64_t offset) {
  uint64_t done = 0;
  while (done < bytes.size()) {
    const size_t want = std::min<uint64_t>(bytes.size() - done, kMaxWrite);
    const ssize_t written =
        System().pwrite(fd, bytes.data() + done, want, static_cast<off_t>(offset + done));
    if (written < 0) {
      if (errno == EINTR) continue;
      return SystemError(path, "cannot write", errno);
    }
    done += static_cast<uint64_t>(written);
  }
  return {};
}

Status SyncDirectory(const std::string& path) {
  const int fd = System().open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (fd < 0) return SystemError(path, "cannot open", errno);
  const int synced = System().fsync(fd);
  const int saved = errno;
  System().close(fd);
  // Some file systems cannot flush a directory and say EINVAL.
  if (synced != 0 && saved != EINVAL) return SystemError(path, "cannot flush", saved);
  return {};
}

void RemoveTree(const std::string& path) {
  auto entries = ListDirectory(path);
  if (entries.ok()) {
    for (const DirectoryEntry& entry : *entries) {
      const std::string child = JoinPath(path, entry.name);
      struct stat info = {};
      if (::lstat(child.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
        RemoveTree(child);
      } else {
        System().unlink(child.c_str());
      }
    }
  }
  System().rmdir(path.c_str());
}

bool IsEmptyDirectory(const std::string& path) {
  const auto entries = ListDirectory(path);
  return entries.ok() && entries->empty();
}

// False when the directory was renamed or removed since it was opened: its writer finished
// meanwhile.
bool IsSameDirectory(int fd, const std::string& path) {
  struct stat opened = {};
  struct stat named = {};
  return System().fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

// A symbolic link stays: what it names is written.
std::string FollowLink(const std::string& path) {
  struct stat info = {};
  const bool link = ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
  return link ? CanonicalPath(path) : path;
}

// What takes the place of something gets its mode and, as far as that is allowed, its owner.
void CopyModeAndOwner(const std::string& from, int to_fd) {
  struct stat info = {};
  if (::stat(from.c_str(), &info) != 0) return;
  struct stat own = {};
  const bool foreign =
      System().fstat(to_fd, &own) == 0 && (own.st_uid != info.st_uid || own.st_gid != info.st_gid);
  if (foreign && ::fchown(to_fd, info.st_uid, info.st_gid) != 0) return;
  (void)::fchmod(to_fd, info.st_mode & 07777);
}

Error ExistsError(const std::string& path) {
  return SystemError(path, "already exists", 0).WithHint("--force replaces it");
}

// What streams nothing must not surprise with a file of that name.
Status CheckIsPath(const std::string& output) {
  if (output.empty()) return UsageError("the output path is empty");
  if (output != "-") return {};
  return UsageError("this output cannot go to standard output", "give it a name; ./- is one, too");
}

}  // namespace

OutputFile::OutputFile(OutputFile&& other) noexcept { *this = std::move(other); }

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(fsync_, other.fsync_);
  return *this;
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) System().close(fd_);
}

Status OutputFile::WriteAt(std::span<const std::byte> bytes, uint64_t offset) {
  SLIM_TRY(WriteAll(fd_, path_, bytes, offset));
  // What will be flushed goes to the disk while the next tensors are computed, not all at the end.
  if (fsync_ && bytes.size() >= kWorthStarting)
    System().start_writeback(fd_, static_cast<off_t>(offset), static_cast<off_t>(bytes.size()));
  return {};
}

Status OutputFile::Close() {
  // A failed fsync is final: the kernel may have dropped the dirty pages already.
  if (fsync_ && System().fsync(fd_) != 0) return SystemError(path_, "cannot flush", errno);
  const int fd = std::exchange(fd_, -1);
  if (System().close(fd) != 0) return SystemError(path_, "cannot close", errno);
  return {};
}

Result<OutputDirectory> OutputDirectory::Create(const std::string& target,
                                                const OutputOptions& options, Listener& listener) {
  SLIM_TRY(CheckIsPath(target));
  std::string name = target;
  while (name.size() > 1 && name.ends_with('/')) name.pop_back();
  name = FollowLink(name);
  const std::string parent = DirectoryName(name);
  if (KindOf(parent) != FileKind::kDirectory) {
    return SystemError(parent, "is no directory to put the output in", 0);
  }
  const FileKind kind = KindOf(name);
  const bool exists = kind != FileKind::kMissing && !IsEmptyDirectory(name);
  if (exists && !options.force) return ExistsError(name);
  if (exists && kind != FileKind::kDirectory)
    return SystemError(name, "is a file, the output is a directory", 0);

  OutputDirectory directory;
  directory.target_ = name;
  directory.options_ = options;
  directory.replace_ = exists;
  const std::string partial = JoinPath(parent, fmt::format(".{}.slim-partial", BaseName(name)));
  const bool stale = System().mkdir(partial.c_str(), 0777) != 0;
  if (stale && errno != EEXIST) return SystemError(partial, "cannot create", errno);
  directory.lock_fd_ =
      System().open(partial.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0);
  if (directory.lock_fd_ < 0) {
    const int saved = errno;
    if (!stale) System().rmdir(partial.c_str());
    return SystemError(partial, "cannot open", saved);
  }
  if (::flock(directory.lock_fd_, LOCK_EX | LOCK_NB) != 0 ||
      !IsSameDirectory(directory.lock_fd_, partial)) {
    return SystemError(name, "another slim process is writing this output", 0);
  }
  directory.partial_ = partial;  // from here on ours to remove
  directory.found_ = stale && options.keep;
  if (stale && !options.keep) {
    listener.Note(fmt::format("removing {}, left by an interrupted run", partial));
    SLIM_TRY(directory.RemoveAllBut({}));
  }
  return directory;
}

OutputDirectory::OutputDirectory(OutputDirectory&& other) noexcept {
  std::swap(target_, other.target_);
  std::swap(partial_, other.partial_);
  std::swap(subdirectories_, other.subdirectories_);
  std::swap(options_, other.options_);
  std::swap(lock_fd_, other.lock_fd_);
  std::swap(replace_, other.replace_);
  std::swap(found_, other.found_);
}

OutputDirectory::~OutputDirectory() { Discard(); }

void OutputDirectory::Discard() {
  if (!partial_.empty()) RemoveTree(partial_);
  partial_.clear();
  if (lock_fd_ >= 0) System().close(lock_fd_);
  lock_fd_ = -1;
}

Status OutputDirectory::CheckSpace(uint64_t bytes) const {
  uint64_t free_bytes = 0;
  if (System().free_bytes(partial_.c_str(), &free_bytes) != 0)
    return SystemError(partial_, "cannot stat", errno);
  if (free_bytes >= bytes) return {};
  return SystemError(
      target_,
      fmt::format("needs {}, the file system has {} free", HumanSize(bytes), HumanSize(free_bytes)),
      ENOSPC);
}

std::string OutputDirectory::PartialPath(std::string_view name) const {
  return JoinPath(partial_, name);
}

Status OutputDirectory::RemoveAllBut(const std::vector<std::string>& names) {
  SLIM_ASSIGN(const std::vector<DirectoryEntry> entries, ListDirectory(partial_));
  for (const DirectoryEntry& entry : entries) {
    if (std::find(names.begin(), names.end(), entry.name) != names.end()) continue;
    if (entry.kind == FileKind::kDirectory) {
      RemoveTree(PartialPath(entry.name));
    } else {
      SLIM_TRY(RemoveFile(entry.name));
    }
  }
  return {};
}

Status OutputDirectory::RemoveFile(std::string_view name) {
  const std::string path = PartialPath(name);
  if (System().unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return SystemError(path, "cannot remove", errno);
}

Result<OutputFile> OutputDirectory::ReopenFile(std::string_view name, uint64_t size) {
  SLIM_TRY(CheckPlainFileName(name));
  OutputFile file;
  file.path_ = PartialPath(name);
  file.fsync_ = options_.fsync;
  file.fd_ = System().open(file.path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0);
  if (file.fd_ < 0) return SystemError(file.path_, "cannot open", errno);
  struct stat info = {};
  if (System().fstat(file.fd_, &info) != 0) return SystemError(file.path_, "cannot stat", errno);
  if (!S_ISREG(info.st_mode) || static_cast<uint64_t>(info.st_size) > size)
    return SystemError(file.path_, "is not what an interrupted run of this kind leaves", 0);
  // A run killed before the file had its size.
  if (static_cast<uint64_t>(info.st_size) < size &&
      System().fallocate(file.fd_, static_cast<off_t>(size)) != 0 && errno != EOPNOTSUPP) {
    return SystemError(file.path_, fmt::format("cannot allocate {}", HumanSize(size)), errno);
  }
  return file;
}

Status OutputDirectory::CreateSubdirectory(std::string_view name) {
  const size_t slash = name.rfind('/');
  const bool inside = slash != std::string_view::npos;
  if (inside && std::find(subdirectories_.begin(), subdirectories_.end(), name.substr(0, slash)) ==
                    subdirectories_.end()) {
    return InternalError(fmt::format("no directory for {} was created", Quote(name)));
  }
  SLIM_TRY(CheckPlainFileName(inside ? name.substr(slash + 1) : name));
  const std::string path = PartialPath(name);
  if (System().mkdir(path.c_str(), 0777) != 0) return SystemError(path, "cannot create", errno);
  subdirectories_.emplace_back(name);
  return {};
}

Result<OutputFile> OutputDirectory::CreateFile(std::string_view name, uint64_t size) {
  std::string_view plain = name;
  for (const std::string& directory : subdirectories_) {
    if (name.starts_with(directory + "/")) plain = name.substr(directory.size() + 1);
  }
  SLIM_TRY(CheckPlainFileName(plain));
  OutputFile file;
  file.path_ = PartialPath(name);
  file.fsync_ = options_.fsync;
  file.fd_ =
      System().open(file.path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (file.fd_ < 0) return SystemError(file.path_, "cannot create", errno);
  if (size > 0 && System().fallocate(file.fd_, static_cast<off_t>(size)) != 0 &&
      errno != EOPNOTSUPP) {
    return SystemError(file.path_, fmt::format("cannot allocate {}", HumanSize(size)), errno);
  }
  return file;
}

Status OutputDirectory::WriteFile(std::string_view name, std::string_view content) {
  SLIM_ASSIGN(OutputFile file, CreateFile(name, content.size()));
  SLIM_TRY(file.WriteAt(std::as_bytes(std::span(content)), 0));
  return file.Close();
}

Status OutputDirectory::CopyFile(const File& source, std::string_view name) {
  SLIM_ASSIGN(OutputFile file, CreateFile(name, source.size()));
  std::vector<std::byte> chunk(std::min<uint64_t>(source.size(), 1 << 20));
  for (uint64_t offset = 0; offset < source.size(); offset += chunk.size()) {
    SLIM_TRY(CheckInterrupt());
    const std::span<std::byte> part(chunk.data(),
                                    std::min<uint64_t>(chunk.size(), source.size() - offset));
    SLIM_TRY(source.ReadExactAt(part, offset));
    SLIM_TRY(file.WriteAt(part, offset));
  }
  SLIM_TRY(source.CheckUnchanged());
  return file.Close();
}

Status OutputDirectory::Commit() {
  for (const std::string& directory : subdirectories_) {
    if (options_.fsync) SLIM_TRY(SyncDirectory(PartialPath(directory)));
  }
  if (options_.fsync) SLIM_TRY(SyncDirectory(partial_));
  if (replace_) {
    CopyModeAndOwner(target_, lock_fd_);
    if (System().exchange(partial_.c_str(), target_.c_str()) != 0)
      return SystemError(target_, "cannot replace", errno);
  } else if (System().rename(partial_.c_str(), target_.c_str()) != 0) {
    if (errno == ENOTEMPTY || errno == EEXIST) return ExistsError(target_);
    return SystemError(target_, "cannot rename into place", errno);
  }
  const std::string old = std::exchange(partial_, "");
  if (replace_) RemoveTree(old);
  if (options_.fsync) SLIM_TRY(SyncDirectory(DirectoryName(target_)));
  Discard();
  return {};
}

Status CheckFileAbsent(const std::string& path, const OutputOptions& options) {
  SLIM_TRY(CheckIsPath(path));
  if (!options.force && KindOf(path) != FileKind::kMissing) return ExistsError(path);
  return {};
}

Status WriteFileAtomically(const std::string& named, std::string_view content,
                           const OutputOptions& options) {
  SLIM_TRY(CheckFileAbsent(named, options));
  const std::string path = FollowLink(named);
  const std::string partial =
      JoinPath(DirectoryName(path), fmt::format(".{}.slim-partial", BaseName(path)));
  const int fd =
      System().open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd < 0) return SystemError(path, "cannot create", errno);
  CopyModeAndOwner(path, fd);
  Status status = WriteAll(fd, path, std::as_bytes(std::span(content)), 0);
  if (status.ok() && options.fsync && System().fsync(fd) != 0)
    status = SystemError(path, "cannot flush", errno);
  if (System().close(fd) != 0 && status.ok()) status = SystemError(path, "cannot close", errno);
  if (status.ok() && System().rename(partial.c_str(), path.c_str()) != 0) {
    status = SystemError(path, "cannot rename into place", errno);
  }
  if (!status.ok()) {
    System().unlink(partial.c_str());
    return status;
  }
  return options.fsync ? SyncDirectory(DirectoryName(path)) : Status();
}

}  // namespace slim
