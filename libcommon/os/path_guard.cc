#include "os/path_guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/text.h"
#include "os/file.h"

namespace slim {
namespace {

bool IsInside(const std::string& path, const std::string& directory) {
  return path.starts_with(directory + "/");
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
  const std::string from = CanonicalPath(input);
  const std::string to = CanonicalPath(output);
  const auto refuse = [&](std::string_view why) {
    return UsageError(fmt::format("output {} {} the input {}", Quote(output), why, Quote(input)),
                      "name another output: inputs are never modified");
  };
  if (from == to) return refuse("is");
  if (IsInside(to, from)) return refuse("lies inside");
  if (IsInside(from, to)) return refuse("contains");
  return {};
}

}  // namespace slim
