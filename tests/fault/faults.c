// Preloaded into the programs by the tests of this folder: makes chosen calls of the C library fail, come short or end the
// process, and counts them. strace can do the same for system calls, ten times slower, and not for malloc.
//
//   SLIM_FAULT="CALL FIRST STEP ACTION"   from the FIRST call on (1 is the first) every STEP-th; STEP 0: only that one.
//                                         ACTION: a positive errno; short; kill (before the call); killed (after it);
//                                         append, cut, swap: another process appends to the file being read, cuts it to
//                                         half, or renames FILE.new over it, just before this call
//   SLIM_FAULT_COUNTS=FILE                gets "CALL COUNT" lines at the end, and "fault" lines as they happen
//
// Only calls after main() began count. Of open, close and write those of outputs are called create, finish and output.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

enum { kOpen, kCreate, kClose, kFinish, kPread, kPwrite, kOutput, kStdout, kFallocate, kFsync, kRename, kMkdir, kUnlink, kMalloc, kCalls };
static const char *const kNames[kCalls] = {"open",   "create",    "close", "finish", "pread", "pwrite", "output",
                                           "stdout", "fallocate", "fsync", "rename", "mkdir", "unlink", "malloc"};
static long counts[kCalls];
static int active;
static int target = -1;
static long first, step;
static char action[16];
static int log_fd = -1;
static char is_output[4096];

static void Log(const char *text) {
  if (log_fd >= 0 && write(log_fd, text, strlen(text)) < 0) _exit(97);
}

// 0: go on; positive: fail with this errno; -1: come short; -2: kill after the call.
static int Decide(int call, int fd) {
  if (!active) return 0;
  const long number = __atomic_add_fetch(&counts[call], 1, __ATOMIC_RELAXED);
  if (call != target || number < first || (step == 0 ? number != first : (number - first) % step != 0)) return 0;
  active = 0;
  Log("fault\n");
  if (strcmp(action, "kill") == 0) kill(getpid(), SIGKILL);
  char link[64], path[4096];
  if (fd >= 0 && (action[0] == 'a' || action[0] == 'c' || strcmp(action, "swap") == 0)) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof path - 8);
    if (length < 0) _exit(98);
    path[length] = '\0';
    if (strcmp(action, "swap") == 0) {
      char other[4100];
      snprintf(other, sizeof other, "%s.new", path);
      if (rename(other, path) != 0 && errno != ENOENT) _exit(98);
    } else {
      struct stat info;
      if (stat(path, &info) != 0) _exit(98);
      if (truncate(path, action[0] == 'a' ? info.st_size + 8 : info.st_size / 2) != 0) _exit(98);
    }
    return 0;
  }
  active = 1;
  if (strcmp(action, "short") == 0) return -1;
  if (strcmp(action, "killed") == 0) return -2;
  return atoi(action);
}

static void After(int decided) {
  if (decided == -2) kill(getpid(), SIGKILL);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int (*real_main)(int, char **, char **);

static void Report(void) {
  active = 0;
  if (log_fd < 0) return;
  char line[64];
  for (int i = 0; i < kCalls; ++i) {
    snprintf(line, sizeof line, "%s %ld\n", kNames[i], counts[i]);
    Log(line);
  }
}

static int CountedMain(int argc, char **argv, char **environment) {
  const char *path = getenv("SLIM_FAULT_COUNTS");
  if (path) log_fd = fcntl(open(path, O_WRONLY | O_CREAT | O_APPEND, 0666), F_DUPFD_CLOEXEC, 900);
  const char *fault = getenv("SLIM_FAULT");
  char call[16] = "";
  if (fault && sscanf(fault, "%15s %ld %ld %15s", call, &first, &step, action) != 4) _exit(96);
  for (int i = 0; i < kCalls; ++i) {
    if (strcmp(call, kNames[i]) == 0) target = i;
  }
  if (fault && target < 0) _exit(96);
  atexit(Report);
  active = 1;
  return real_main(argc, argv, environment);
}

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                      void *stack_end) {
  real_main = main;
  __typeof__(&__libc_start_main) real = dlsym(RTLD_NEXT, "__libc_start_main");
  return real(CountedMain, argc, argv, init, fini, rtld_fini, stack_end);
}

int open(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const unsigned mode = flags & O_CREAT ? va_arg(arguments, unsigned) : 0;
  va_end(arguments);
  const int writes = (flags & O_ACCMODE) != O_RDONLY;
  const int decided = Decide(writes ? kCreate : kOpen, -1);
  if (decided > 0) return errno = decided, -1;
  const int fd = REAL(open)(path, flags, mode);
  if (fd >= 0 && fd < (int)sizeof is_output) is_output[fd] = (char)(writes && fd > 2);
  After(decided);
  return fd;
}

int close(int fd) {
  const int writes = fd >= 0 && fd < (int)sizeof is_output && is_output[fd];
  if (writes) is_output[fd] = 0;
  const int decided = Decide(writes ? kFinish : kClose, -1);
  const int result = REAL(close)(fd);
  After(decided);
  return decided > 0 ? (errno = decided, -1) : result;
}

ssize_t pread(int fd, void *to, size_t count, off_t offset) {
  const int decided = Decide(kPread, fd);
  if (decided > 0) return errno = decided, -1;
  return REAL(pread)(fd, to, decided == -1 ? (count + 1) / 2 : count, offset);
}

ssize_t pwrite(int fd, const void *from, size_t count, off_t offset) {
  const int decided = Decide(kPwrite, fd);
  if (decided > 0) return errno = decided, -1;
  const ssize_t result = REAL(pwrite)(fd, from, decided == -1 ? (count + 1) / 2 : count, offset);
  After(decided);
  return result;
}

ssize_t write(int fd, const void *from, size_t count) {
  const int decided = fd == 1 ? Decide(kStdout, fd) : fd > 2 && fd != log_fd ? Decide(kOutput, fd) : 0;
  if (decided > 0) return errno = decided, -1;
  const ssize_t result = REAL(write)(fd, from, decided == -1 ? (count + 1) / 2 : count);
  After(decided);
  return result;
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
  const int decided = Decide(kFallocate, fd);
  if (decided > 0) return errno = decided, -1;
  const int result = REAL(fallocate)(fd, mode, offset, length);
  After(decided);
  return result;
}

int fsync(int fd) {
  const int decided = Decide(kFsync, fd);
  if (decided > 0) return errno = decided, -1;
  const int result = REAL(fsync)(fd);
  After(decided);
  return result;
}

int rename(const char *from, const char *to) {
  const int decided = Decide(kRename, -1);
  if (decided > 0) return errno = decided, -1;
  const int result = REAL(rename)(from, to);
  After(decided);
  return result;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
  const int decided = Decide(kRename, -1);
  if (decided > 0) return errno = decided, -1;
  const int result = REAL(renameat2)(from_dir, from, to_dir, to, flags);
  After(decided);
  return result;
}

int mkdir(const char *path, mode_t mode) {
  const int decided = Decide(kMkdir, -1);
  if (decided > 0) return errno = decided, -1;
  const int result = REAL(mkdir)(path, mode);
  After(decided);
  return result;
}

int unlink(const char *path) {
  const int decided = Decide(kUnlink, -1);
  if (decided > 0) return errno = decided, -1;
  const int result = REAL(unlink)(path);
  After(decided);
  return result;
}

#define NO_MEMORY_OR(value) (Decide(kMalloc, -1) > 0 ? (errno = ENOMEM, (void *)0) : (value))

void *malloc(size_t size) { return NO_MEMORY_OR(__libc_malloc(size)); }
void *calloc(size_t count, size_t size) { return NO_MEMORY_OR(__libc_calloc(count, size)); }
void *realloc(void *block, size_t size) { return NO_MEMORY_OR(__libc_realloc(block, size)); }
void *memalign(size_t alignment, size_t size) { return NO_MEMORY_OR(__libc_memalign(alignment, size)); }
void *aligned_alloc(size_t alignment, size_t size) { return NO_MEMORY_OR(__libc_memalign(alignment, size)); }

int posix_memalign(void **block, size_t alignment, size_t size) {
  if (Decide(kMalloc, -1) > 0) return ENOMEM;
  *block = __libc_memalign(alignment, size);
  return *block ? 0 : ENOMEM;
}
