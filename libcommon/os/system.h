// The seam to the operating system: every call that can fail for reasons outside the program goes
// through this table, so that a test can fail the N-th write, shorten a read or drop a rename.
// Nothing else in libcommon includes <unistd.h>.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

struct stat;
struct statvfs;

namespace slim {

struct SystemCalls {
  int (*open)(const char* path, int flags, unsigned mode);
  int (*close)(int fd);
  int (*fstat)(int fd, struct stat* out);
  ssize_t (*pread)(int fd, void* to, size_t count, off_t offset);
  ssize_t (*pwrite)(int fd, const void* from, size_t count, off_t offset);
  ssize_t (*write)(int fd, const void* from, size_t count);
  int (*fallocate)(int fd, off_t length);
  // sync_file_range(SYNC_FILE_RANGE_WRITE): the disk may begin; a hint, whose failure means
  // nothing.
  void (*start_writeback)(int fd, off_t offset, off_t length);
  int (*fsync)(int fd);
  int (*rename)(const char* from, const char* to);
  int (*exchange)(const char* a, const char* b);  // renameat2(RENAME_EXCHANGE)
  int (*mkdir)(const char* path, unsigned mode);
  int (*unlink)(const char* path);
  int (*rmdir)(const char* path);
  int (*free_bytes)(const char* path, uint64_t* out);
};

// The real calls, unless a test put its own in place.
SystemCalls& System();
// The table of real calls, to start a test's own from.
SystemCalls RealSystemCalls();

}  // namespace slim
