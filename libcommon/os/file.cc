#include "os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/text.h"
#include "os/memory.h"
#include "os/system.h"

namespace slim {
namespace {

constexpr uint64_t kMaxRead = 1ULL << 30;  // one Linux read moves at most 0x7ffff000 bytes

int64_t MtimeNs(const struct stat& info) {
  return static_cast<int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
}

FileKind KindOf(const struct stat& info) {
  if (S_ISREG(info.st_mode)) return FileKind::kRegular;
  if (S_ISDIR(info.st_mode)) return FileKind::kDirectory;
  return FileKind::kOther;
}

}  // namespace

Result<File> File::Open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must not hang; it has no effect on regular files.
  const int fd = System().open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
  if (fd < 0) {
    if (errno == ENOENT || errno == ENOTDIR)
      return InputError("IN-missing", "no such file").WithPath(path);
    return SystemError(path, "cannot open", errno);
  }
  File file;
  file.path_ = path;
  file.fd_ = fd;
  struct stat info = {};
  if (System().fstat(fd, &info) != 0) return SystemError(path, "cannot stat", errno);
  if (!S_ISREG(info.st_mode)) {
    return InputError("IN-not-a-file", S_ISDIR(info.st_mode) ? "is a directory, expected a file"
                                                             : "is not a regular file")
        .WithPath(path);
  }
  file.size_ = static_cast<uint64_t>(info.st_size);
  file.inode_ = info.st_ino;
  file.device_ = info.st_dev;
  file.mtime_ns_ = MtimeNs(info);
  file.mode_ = info.st_mode & 07777U;
  return file;
}

File::File(File&& other) noexcept { *this = std::move(other); }

File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  std::swap(size_, other.size_);
  std::swap(inode_, other.inode_);
  std::swap(device_, other.device_);
  std::swap(mtime_ns_, other.mtime_ns_);
  std::swap(mode_, other.mode_);
  return *this;
}

File::~File() {
  if (fd_ >= 0) System().close(fd_);
}

Status File::ReadExactAt(std::span<std::byte> to, uint64_t offset) const {
  uint64_t done = 0;
  while (done < to.size()) {
    const size_t want = std::min<uint64_t>(to.size() - done, kMaxRead);
    const ssize_t got =
        System().pread(fd_, to.data() + done, want, static_cast<off_t>(offset + done));
    if (got < 0) {
      if (errno == EINTR) continue;
      Error error = SystemError(path_, "cannot read", errno);
      error.offset = offset + done;
      return error;
    }
    if (got == 0) {
      Error error = SystemError(path_, "unexpected end of file, it shrank while being read", 0);
      error.offset = offset + done;
      return error;
    }
    done += static_cast<uint64_t>(got);
  }
  return {};
}

Status File::CheckUnchanged() const {
  struct stat info = {};
  if (System().fstat(fd_, &info) != 0) return SystemError(path_, "cannot stat", errno);
  if (static_cast<uint64_t>(info.st_size) != size_ || MtimeNs(info) != mtime_ns_) {
    return SystemError(path_, "changed while it was being read", 0);
  }
  return {};
}

std::string File::Identity() const {
  return fmt::format("{}-{}-{}-{}", device_, inode_, size_, mtime_ns_);
}

bool File::SameFile(const File& other) const {
  return inode_ == other.inode_ && device_ == other.device_;
}

Result<std::string> ReadWholeFile(const std::string& path, uint64_t max_bytes) {
  SLIM_ASSIGN(const File file, File::Open(path));
  if (file.size() > max_bytes) {
    return InputError("IN-too-large", fmt::format("{} is more than the limit of {}",
                                                  HumanSize(file.size()), HumanSize(max_bytes)))
        .WithPath(path);
  }
  std::string content;
  content.reserve(file.size());
  PreferLargePages(std::as_writable_bytes(std::span(content.data(), file.size())));
  content.resize(file.size());
  SLIM_TRY(file.ReadExactAt(std::as_writable_bytes(std::span(content)), 0));
  return content;
}

Result<std::string> ReadStandardInput(uint64_t max_bytes) {
  std::string content;
  char chunk[1 << 16];
  while (true) {
    const ssize_t got = ::read(STDIN_FILENO, chunk, sizeof(chunk));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError("standard input", "cannot read", errno);
    if (got == 0) return content;
    content.append(chunk, static_cast<size_t>(got));
    if (content.size() > max_bytes) {
      return InputError("IN-too-large",
                        fmt::format("more than the limit of {}", HumanSize(max_bytes)))
          .WithPath("standard input");
    }
  }
}

FileKind KindOf(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) {
    return errno == ENOENT || errno == ENOTDIR ? FileKind::kMissing : FileKind::kOther;
  }
  return KindOf(info);
}

Result<std::vector<DirectoryEntry>> ListDirectory(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) {
    if (errno == ENOENT)
      return InputError("IN-missing", "no such file or directory").WithPath(path);
    if (errno == ENOTDIR)
      return InputError("IN-not-a-directory", "is not a directory").WithPath(path);
    return SystemError(path, "cannot list", errno);
  }
  std::vector<DirectoryEntry> entries;
  while (true) {
    errno = 0;
    const dirent* item = ::readdir(directory.get());
    if (item == nullptr) {
      if (errno != 0) return SystemError(path, "cannot list", errno);
      break;
    }
    DirectoryEntry entry;
    entry.name = item->d_name;
    if (entry.name == "." || entry.name == "..") continue;
    struct stat info = {};
    if (::fstatat(::dirfd(directory.get()), item->d_name, &info, 0) != 0) {
      entry.kind = FileKind::kMissing;
    } else {
      entry.kind = KindOf(info);
      entry.size = static_cast<uint64_t>(info.st_size);
      entry.mode = info.st_mode & 07777U;
    }
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return entries;
}

std::string JoinPath(std::string_view directory, std::string_view name) {
  if (directory.empty()) return std::string(name);
  return fmt::format("{}{}{}", directory, directory.ends_with('/') ? "" : "/", name);
}

std::string BaseName(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  return std::string(slash == std::string_view::npos || path == "/" ? path
                                                                    : path.substr(slash + 1));
}

std::string DirectoryName(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string CanonicalPath(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> resolved(::realpath(path.c_str(), nullptr),
                                                        std::free);
  if (resolved) return resolved.get();
  if (path == "." || path == "/" || path.empty()) return path;
  const std::string parent = DirectoryName(path);
  if (parent == path) return path;
  return JoinPath(CanonicalPath(parent), BaseName(path));
}

}  // namespace slim
