#include "os/system.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace slim {
namespace {

int FreeBytes(const char* path, uint64_t* out) {
  struct statvfs info = {};
  if (::statvfs(path, &info) != 0) return -1;
  *out = static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
  return 0;
}

}  // namespace

SystemCalls RealSystemCalls() {
  SystemCalls calls = {};
  calls.open = [](const char* path, int flags, unsigned mode) { return ::open(path, flags, mode); };
  calls.close = ::close;
  calls.fstat = ::fstat;
  calls.pread = ::pread;
  calls.pwrite = ::pwrite;
  calls.write = ::write;
  calls.fallocate = [](int fd, off_t length) { return ::fallocate(fd, 0, 0, length); };
  calls.start_writeback = [](int fd, off_t offset, off_t length) {
    (void)::sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE);
  };
  calls.fsync = ::fsync;
  calls.rename = ::rename;
  calls.exchange = [](const char* a, const char* b) {
    return ::renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
  };
  calls.mkdir = [](const char* path, unsigned mode) { return ::mkdir(path, mode); };
  calls.unlink = ::unlink;
  calls.rmdir = ::rmdir;
  calls.free_bytes = FreeBytes;
  return calls;
}

SystemCalls& System() {
  static SystemCalls calls = RealSystemCalls();
  return calls;
}

}  // namespace slim
