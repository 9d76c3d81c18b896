#include "os/journal.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <utility>

#include "base/text.h"
#include "os/file.h"
#include "os/system.h"

namespace slim {

Result<Journal> Journal::Open(const std::string& path) {
  Journal journal;
  journal.path_ = path;
  journal.fd_ =
      System().open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (journal.fd_ < 0) return SystemError(path, "cannot create", errno);
  if (::flock(journal.fd_, LOCK_EX | LOCK_NB) != 0)
    return SystemError(path, "another run works on it", 0);
  SLIM_ASSIGN(const std::string text, ReadWholeFile(path, UINT64_MAX));
  journal.lines_ = Split(text, '\n');
  const bool torn = !journal.lines_.back().empty();
  journal.lines_.pop_back();
  // What follows must not be glued to the rest of a cut line.
  if (torn) SLIM_TRY(journal.Append(""));
  return journal;
}

Journal::Journal(Journal&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      lines_(std::move(other.lines_)) {}

Journal::~Journal() {
  if (fd_ >= 0) System().close(fd_);
}

Status Journal::Append(std::string_view line) {
  std::string text(line);
  text += '\n';
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = System().write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError(path_, "cannot write", errno);
    rest.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

void Journal::Remove() { System().unlink(path_.c_str()); }

}  // namespace slim
