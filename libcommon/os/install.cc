#include "os/install.h"

#include <dlfcn.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <vector>

#include "base/text.h"
#include "os/file.h"

namespace slim {
namespace {

// Of libslim.so in a program that links it, else of the program itself.
std::string LibraryDirectory() {
  static const char kHere = 0;
  Dl_info info{};
  char buffer[PATH_MAX];
  if (::dladdr(&kHere, &info) == 0 || info.dli_fname == nullptr) return "";
  if (::realpath(info.dli_fname, buffer) == nullptr) return "";
  return DirectoryName(buffer);
}

std::string ProgramDirectory() {
  char buffer[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", buffer, sizeof(buffer));
  if (length > 0) return DirectoryName(std::string(buffer, static_cast<size_t>(length)));
  // Where /proc is not mounted, as in a bare chroot: the path that the program was started by.
  const auto* started = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
  if (started == nullptr || ::realpath(started, buffer) == nullptr) return ".";
  return DirectoryName(buffer);
}

}  // namespace

Result<std::string> FindInstalledFile(std::string_view relative) {
  std::string directory = ProgramDirectory();
  std::vector<std::string> tried = {JoinPath(directory, JoinPath("../share/slim", relative))};
  // PREFIX/lib, or PREFIX/lib/x86_64-linux-gnu.
  if (const std::string library = LibraryDirectory(); !library.empty() && library != directory) {
    tried.push_back(JoinPath(library, JoinPath("../share/slim", relative)));
    tried.push_back(JoinPath(library, JoinPath("../../share/slim", relative)));
  }
  while (directory != "/" && directory != ".") {
    directory = DirectoryName(directory);
    tried.push_back(JoinPath(directory, JoinPath("testdata", relative)));
    tried.push_back(JoinPath(directory, relative));
  }
  for (const std::string& path : tried) {
    if (KindOf(path) == FileKind::kRegular) return path;
  }
  return InputError("IN-missing",
                    "a file that ships with slim is missing, looked for " + Join(tried, ", "),
                    "reinstall slim, or name a file of your own")
      .WithPath(relative);
}

}  // namespace slim
