#include "os/install.h"

#include <unistd.h>

#include <climits>
#include <vector>

#include "base/text.h"
#include "os/file.h"

namespace slim {

Result<std::string> FindInstalledFile(std::string_view relative) {
  char buffer[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", buffer, sizeof(buffer));
  std::string directory =
      length > 0 ? DirectoryName(std::string(buffer, static_cast<size_t>(length))) : ".";
  std::vector<std::string> tried = {JoinPath(directory, JoinPath("../share/slim", relative))};
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
