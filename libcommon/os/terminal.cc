#include "os/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "os/system.h"

namespace slim {
namespace {

bool g_stdout_was_closed = false;

}  // namespace

bool IsTerminal(Stream stream) { return ::isatty(static_cast<int>(stream)) == 1; }

int TerminalColumns() {
  struct winsize size = {};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

Status WriteStream(Stream stream, std::string_view text) {
  const char* name = stream == Stream::kOut ? "standard output" : "standard error";
  if (stream == Stream::kOut && g_stdout_was_closed)
    return SystemError(name, "cannot write", EBADF);
  while (!text.empty()) {
    const ssize_t written = System().write(static_cast<int>(stream), text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return SystemError(name, "cannot write", errno);
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

Status CloseStandardOutput() {
  if (g_stdout_was_closed) return {};
  g_stdout_was_closed = true;
  if (System().close(STDOUT_FILENO) != 0 && errno != EBADF)
    return SystemError("standard output", "cannot close", errno);
  return {};
}

void GuardStandardDescriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    if (fd == STDOUT_FILENO) g_stdout_was_closed = true;
    // The lowest free number is `fd`, because the lower ones are open by now.
    if (::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd) return;
  }
}

}  // namespace slim
