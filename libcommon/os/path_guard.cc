#include "os/path_guard.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/text.h"
#include "os/file.h"

namespace slim {
namespace {

// What the directories down to a canonical path and it itself are, whatever mounts lead there: an
// existing directory is its device and inode, all else a name in one.
std::vector<std::string> Identities(const std::string& path) {
  const std::string parent = DirectoryName(path);
  std::vector<std::string> chain;
  if (parent != path) chain = Identities(parent);
  struct stat info = {};
  if (stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    chain.push_back(fmt::format("{}:{}", info.st_dev, info.st_ino));
  } else {
    chain.push_back(JoinPath(chain.empty() ? "" : chain.back(), BaseName(path)));
  }
  return chain;
}

bool Contains(const std::vector<std::string>& chain, const std::string& identity) {
  return std::ranges::find(chain, identity) != chain.end();
}

}  // namespace

Status CheckPlainFileName(std::string_view name, std::string_view suffix) {
  const auto refuse = [&](std::string_view why) {
    return InputError("PATH-not-a-plain-name", fmt::format("file name {} {}", Quote(name), why));
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > 255) return refuse("is longer than 255 bytes");
  if (name == "." || name == "..") return refuse("is a directory");
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F && c != '/' && c != '\\';
  });
  if (!plain) return refuse("has a path separator or control character");
  if (!name.ends_with(suffix)) return refuse(fmt::format("does not end in {}", suffix));
  return {};
}

Status CheckOutputApart(const std::string& input, const std::string& output) {
  const std::vector<std::string> from = Identities(CanonicalPath(input));
  const std::vector<std::string> to = Identities(CanonicalPath(output));
  const auto refuse = [&](std::string_view why) {
    return UsageError(fmt::format("output {} {} the input {}", Quote(output), why, Quote(input)),
                      "name another output: inputs are never modified");
  };
  if (from.back() == to.back()) return refuse("is");
  if (Contains(to, from.back())) return refuse("lies inside");
  if (Contains(from, to.back())) return refuse("contains");
  return {};
}

}  // namespace slim
