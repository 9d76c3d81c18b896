#include "verify/manifest.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "base/version.h"
#include "json/json.h"
#include "json/scanner.h"
#include "os/file.h"
#include "verify/sha256_list.h"

namespace slim {
namespace {

constexpr int kMaxFolders = 8;
constexpr int kMaxDepth = 16;
constexpr size_t kXxh3Digits = 32;
constexpr size_t kSha256Digits = 64;

std::string JsonString(std::string_view text) {
  std::string out;
  AppendJsonString(out, text);
  return out;
}

void AppendTensors(std::string& out, const std::vector<ManifestTensor>& tensors) {
  out += ",\n      \"tensors\": {";
  for (size_t i = 0; i < tensors.size(); ++i) {
    const ManifestTensor& tensor = tensors[i];
    out += fmt::format("{}\n        {}: {{\"dtype\": \"{}\", \"shape\": [{}], \"xxh3\": \"{}\"}}",
                       i == 0 ? "" : ",", JsonString(tensor.name), DTypeName(tensor.dtype),
                       fmt::join(tensor.shape, ", "), tensor.xxh3);
  }
  out += tensors.empty() ? "}" : "\n      }";
}

// Reads what ManifestText() writes.
class ManifestReader {
 public:
  explicit ManifestReader(std::string_view text) : scanner_(text) {}

  Result<Manifest> Read() {
    SLIM_TRY(scanner_.Start());
    SLIM_TRY(scanner_.BeginObject());
    bool has_files = false;
    while (true) {
      std::string_view key;
      SLIM_ASSIGN(const bool more, scanner_.NextKey(key));
      if (!more) break;
      if (key != "files") {
        SLIM_TRY(scanner_.SkipValue(kMaxDepth));
        continue;
      }
      if (has_files) return Malformed("'files' occurs twice");
      has_files = true;
      SLIM_TRY(ReadFiles());
    }
    SLIM_TRY(scanner_.End());
    if (!has_files) return Malformed("has no 'files'");
    return std::move(manifest_);
  }

 private:
  Error Malformed(std::string message) const {
    return scanner_.Fail("MAN-malformed", std::move(message));
  }

  Status ReadFiles() {
    SLIM_TRY(scanner_.BeginObject());
    while (true) {
      std::string_view name;
      SLIM_ASSIGN(const bool more, scanner_.NextKey(name));
      if (!more) return {};
      SLIM_TRY(CheckManifestName(name));
      ManifestFile& file = manifest_.files.emplace_back();
      file.name = name;
      if (manifest_.files.size() > 1 && manifest_.files[manifest_.files.size() - 2].name >= name)
        return Malformed(fmt::format("file {} is not after the one before it", Quote(name)));
      SLIM_TRY(ReadFile(file));
    }
  }

  Status ReadFile(ManifestFile& file) {
    SLIM_TRY(scanner_.BeginObject());
    while (true) {
      std::string_view key;
      SLIM_ASSIGN(const bool more, scanner_.NextKey(key));
      if (!more) break;
      if (key == "bytes") {
        SLIM_ASSIGN(file.bytes, scanner_.Unsigned());
      } else if (key == "xxh3") {
        SLIM_ASSIGN(file.xxh3, ReadDigest(kXxh3Digits));
      } else if (key == "header_xxh3") {
        file.is_weights = true;
        SLIM_ASSIGN(file.xxh3, ReadDigest(kXxh3Digits));
      } else if (key == "sha256") {
        SLIM_ASSIGN(file.sha256, ReadDigest(kSha256Digits));
      } else if (key == "text") {
        SLIM_ASSIGN(file.text, scanner_.String());
      } else if (key == "tensors") {
        SLIM_TRY(ReadTensors(file));
      } else {
        return Malformed(
            fmt::format("file {} has the unknown field {}", Quote(file.name), Quote(key)));
      }
    }
    if (!file.xxh3.empty()) return {};
    return Malformed(fmt::format("file {} has no digest", Quote(file.name)));
  }

  Status ReadTensors(ManifestFile& file) {
    SLIM_TRY(scanner_.BeginObject());
    while (true) {
      std::string_view name;
      SLIM_ASSIGN(const bool more, scanner_.NextKey(name));
      if (!more) return {};
      ManifestTensor& tensor = file.tensors.emplace_back();
      tensor.name = name;
      SLIM_TRY(ReadTensor(tensor));
    }
  }

  Status ReadTensor(ManifestTensor& tensor) {
    SLIM_TRY(scanner_.BeginObject());
    while (true) {
      std::string_view key;
      SLIM_ASSIGN(const bool more, scanner_.NextKey(key));
      if (!more) break;
      if (key == "dtype") {
        SLIM_ASSIGN(const std::string_view word, scanner_.String());
        const auto dtype = ParseDType(word);
        if (!dtype) return Malformed(fmt::format("unknown dtype {}", Quote(word)));
        tensor.dtype = *dtype;
      } else if (key == "shape") {
        SLIM_TRY(ReadShape(tensor.shape));
      } else if (key == "xxh3") {
        SLIM_ASSIGN(tensor.xxh3, ReadDigest(kXxh3Digits));
      } else {
        return Malformed(fmt::format("unknown field {}", Quote(key)));
      }
    }
    if (!tensor.xxh3.empty()) return {};
    return Malformed(fmt::format("tensor {} has no digest", Quote(tensor.name)));
  }

  Status ReadShape(Shape& shape) {
    SLIM_TRY(scanner_.BeginArray());
    while (true) {
      SLIM_ASSIGN(const bool more, scanner_.NextElement());
      if (!more) return {};
      SLIM_ASSIGN(const uint64_t extent, scanner_.Unsigned());
      shape.push_back(extent);
    }
  }

  Result<std::string> ReadDigest(size_t digits) {
    SLIM_ASSIGN(const std::string_view text, scanner_.String());
    if (IsHexDigest(text, digits)) return ToLower(text);
    return Malformed(fmt::format("{} is no digest of {} hexadecimal digits", Quote(text), digits));
  }

  JsonScanner scanner_;
  Manifest manifest_;
};

Status AppendFolder(const std::string& path, const std::string& prefix, int depth,
                    std::vector<CheckpointFile>& files) {
  SLIM_ASSIGN(const std::vector<DirectoryEntry> entries, ListDirectory(path));
  for (const DirectoryEntry& entry : entries) {
    if (entry.name.starts_with('.')) continue;
    const std::string name = prefix + entry.name;
    if (entry.kind == FileKind::kRegular) {
      files.push_back({name, entry.size});
    } else if (entry.kind == FileKind::kDirectory) {
      if (depth == kMaxFolders) {
        return InputError("IN-not-a-file", fmt::format("more than {} folders deep", kMaxFolders))
            .WithPath(JoinPath(path, entry.name));
      }
      SLIM_TRY(AppendFolder(JoinPath(path, entry.name), name + '/', depth + 1, files));
    }  // A link to nowhere or a device is absent for whoever reads the checkpoint.
  }
  return {};
}

}  // namespace

uint64_t Manifest::TensorCount() const {
  uint64_t count = 0;
  for (const ManifestFile& file : files) count += file.tensors.size();
  return count;
}

uint64_t Manifest::TotalBytes() const {
  uint64_t bytes = 0;
  for (const ManifestFile& file : files) bytes += file.bytes;
  return bytes;
}

const ManifestFile* Manifest::Find(std::string_view name) const {
  const auto at =
      std::lower_bound(files.begin(), files.end(), name,
                       [](const ManifestFile& file, std::string_view n) { return file.name < n; });
  return at == files.end() || at->name != name ? nullptr : &*at;
}

std::string ManifestText(const Manifest& manifest) {
  std::string out =
      fmt::format("{{\n  \"tool\": \"slim-verify\",\n  \"version\": \"{}\",\n", kVersion);
  out += "  \"files\": {";
  for (size_t i = 0; i < manifest.files.size(); ++i) {
    const ManifestFile& file = manifest.files[i];
    out += fmt::format("{}\n    {}: {{\n      \"bytes\": {},\n      \"{}\": \"{}\"",
                       i == 0 ? "" : ",", JsonString(file.name), file.bytes,
                       file.is_weights ? "header_xxh3" : "xxh3", file.xxh3);
    if (!file.sha256.empty()) out += fmt::format(",\n      \"sha256\": \"{}\"", file.sha256);
    if (file.text) out += ",\n      \"text\": " + JsonString(*file.text);
    if (file.is_weights) AppendTensors(out, file.tensors);
    out += "\n    }";
  }
  out += manifest.files.empty() ? "}\n}\n" : "\n  }\n}\n";
  return out;
}

Result<Manifest> ParseManifest(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{') return ParseSha256List(text);
  return ManifestReader(text).Read();
}

Result<std::vector<CheckpointFile>> ListCheckpointFiles(const std::string& path) {
  std::vector<CheckpointFile> files;
  switch (KindOf(path)) {
    case FileKind::kMissing:
      return InputError("IN-missing", "no such file or directory").WithPath(path);
    case FileKind::kOther:
      return InputError("IN-not-a-file", "is neither a directory nor a regular file")
          .WithPath(path);
    case FileKind::kRegular: {
      SLIM_ASSIGN(const File file, File::Open(path));
      files.push_back({BaseName(path), file.size()});
      return files;
    }
    case FileKind::kDirectory:
      break;
  }
  SLIM_TRY(AppendFolder(path, "", 0, files));
  std::sort(files.begin(), files.end(),
            [](const CheckpointFile& a, const CheckpointFile& b) { return a.name < b.name; });
  return files;
}

std::string CheckpointFilePath(const std::string& path, std::string_view name) {
  return KindOf(path) == FileKind::kRegular ? path : JoinPath(path, name);
}

std::string DefaultManifestPath(const std::string& path) {
  if (KindOf(path) == FileKind::kRegular) return fmt::format("{}.{}", path, kManifestFileName);
  return JoinPath(path, kManifestFileName);
}

}  // namespace slim
