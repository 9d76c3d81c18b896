#include "verify/sha256_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/text.h"

namespace slim {
namespace {

constexpr size_t kDigits = 64;
constexpr std::string_view kBsdWord = "SHA256 (";

Error Malformed(size_t line, std::string_view what) {
  return InputError("MAN-malformed", fmt::format("line {}: {}", line, what),
                    "a line is '<sha256>  <file>', as sha256sum writes it");
}

// "\n" and "\\" of a name that sha256sum escaped.
std::string Unescaped(std::string_view name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '\\' || i + 1 == name.size()) {
      out += name[i];
    } else {
      ++i;
      out += name[i] == 'n' ? '\n' : name[i] == 'r' ? '\r' : name[i];
    }
  }
  return out;
}

struct Line {
  std::string digest;
  std::string name;
};

std::optional<Line> ParseBsd(std::string_view line) {
  const size_t end = line.rfind(") = ");
  if (!line.starts_with(kBsdWord) || end == std::string_view::npos) return {};
  return Line{std::string(line.substr(end + 4)),
              std::string(line.substr(kBsdWord.size(), end - kBsdWord.size()))};
}

std::optional<Line> ParseLine(std::string_view line) {
  if (const auto bsd = ParseBsd(line)) return bsd;
  const bool escaped = line.starts_with('\\');
  if (escaped) line.remove_prefix(1);
  if (line.size() < kDigits + 3 || line[kDigits] != ' ') return {};
  if (line[kDigits + 1] != ' ' && line[kDigits + 1] != '*') return {};
  const std::string_view name = line.substr(kDigits + 2);
  return Line{std::string(line.substr(0, kDigits)), escaped ? Unescaped(name) : std::string(name)};
}

}  // namespace

bool IsHexDigest(std::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isxdigit(c) != 0;
         });
}

Status CheckManifestName(std::string_view name) {
  for (const std::string& part : Split(name, '/')) {
    if (!part.empty() && part != "." && part != ".." && part.find('\0') == std::string::npos)
      continue;
    return InputError("MAN-malformed", fmt::format("{} is no file of the checkpoint", Quote(name)),
                      "names are relative to the checkpoint and stay inside it");
  }
  return {};
}

Result<Manifest> ParseSha256List(std::string_view text) {
  Manifest manifest;
  manifest.is_list = true;
  size_t number = 0;
  for (const std::string& raw : Split(text, '\n')) {
    ++number;
    std::string_view line = raw;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (Trim(line).empty() || line.starts_with('#')) continue;
    auto entry = ParseLine(line);
    if (!entry || !IsHexDigest(entry->digest, kDigits))
      return Malformed(number, "is neither a SHA-256 digest with a file nor a comment");
    while (entry->name.starts_with("./")) entry->name.erase(0, 2);
    SLIM_TRY(CheckManifestName(entry->name));
    ManifestFile& file = manifest.files.emplace_back();
    file.name = std::move(entry->name);
    file.sha256 = ToLower(entry->digest);
  }
  if (manifest.files.empty()) return Malformed(number, "the list names no file");
  auto& files = manifest.files;
  std::sort(files.begin(), files.end(),
            [](const ManifestFile& a, const ManifestFile& b) { return a.name < b.name; });
  const auto twin = std::adjacent_find(
      files.begin(), files.end(), [](const auto& a, const auto& b) { return a.name == b.name; });
  if (twin != files.end())
    return Malformed(number, fmt::format("{} has two digests", Quote(twin->name)));
  return manifest;
}

}  // namespace slim
