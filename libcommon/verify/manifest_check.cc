#include "verify/manifest_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "base/text.h"
#include "json/json.h"
#include "os/file.h"
#include "verify/manifest.h"
#include "verify/manifest_hash.h"

namespace slim {
namespace {

constexpr uint64_t kMaxManifestBytes = 1ULL << 30;

std::string JournalPath(const std::string& manifest) {
  return JoinPath(DirectoryName(manifest), fmt::format(".{}.slim-journal", BaseName(manifest)));
}

bool IsWeights(std::string_view name) {
  return name.ends_with(".safetensors") || name.ends_with(".gguf") || name.ends_with(".bin");
}

std::string Signature(const ManifestTensor& tensor) {
  return fmt::format("{}{}", DTypeName(tensor.dtype), ShapeText(tensor.shape));
}

std::string Shown(const Json* value) { return value == nullptr ? "" : DumpJson(*value); }

// "rope_scaling.factor", "architectures[0]": where two values differ, with both.
void Compare(const Json& was, const Json& is, const std::string& at,
             const std::function<void(const std::string&, const Json*, const Json*)>& report) {
  if (was == is) return;
  if (was.is_object() && is.is_object()) {
    const std::string prefix = at.empty() ? "" : at + '.';
    for (const auto& [key, value] : was.members()) {
      const Json* other = is.Find(key);
      if (other == nullptr) {
        report(prefix + key, &value, nullptr);
      } else {
        Compare(value, *other, prefix + key, report);
      }
    }
    for (const auto& [key, value] : is.members()) {
      if (was.Find(key) == nullptr) report(prefix + key, nullptr, &value);
    }
    return;
  }
  if (was.is_array() && is.is_array() && was.items().size() == is.items().size()) {
    for (size_t i = 0; i < was.items().size(); ++i)
      Compare(was.items()[i], is.items()[i], fmt::format("{}[{}]", at, i), report);
    return;
  }
  report(at, &was, &is);
}

// A manifest does not speak of itself, whatever its name, nor of the one that has the usual name.
bool IsManifest(const std::string& path, std::string_view name, const ManifestOptions& options) {
  if (name == kManifestFileName) return true;
  return !options.file.empty() &&
         CanonicalPath(CheckpointFilePath(path, name)) == CanonicalPath(options.file);
}

class Checker {
 public:
  Checker(const std::string& path, const Manifest& manifest, const ManifestOptions& options)
      : path_(path), manifest_(manifest), options_(options) {}

  Status Check(Listener& listener) {
    SLIM_ASSIGN(const std::vector<CheckpointFile> present, ListCheckpointFiles(path_));
    std::vector<CheckpointFile> wanted;
    for (const CheckpointFile& file : present) {
      if (manifest_.Find(file.name) != nullptr) {
        wanted.push_back(file);
      } else if (!IsManifest(path_, file.name, options_)) {
        ReportExtra(file);
      }
    }
    CheckMissing(wanted);
    const HashOptions hash = {.sha256 = manifest_.is_list || (options_.sha256 && HasSha256()),
                              .whole_files = manifest_.is_list,
                              .threads = options_.threads};
    SLIM_ASSIGN(const std::vector<HashedFile> hashed, HashFiles(path_, wanted, hash, listener));
    IndexDigests(hashed);
    for (const HashedFile& file : hashed) {
      bytes_ += file.file.bytes;
      CheckFile(file, *manifest_.Find(file.file.name));
    }
    SortFindings(findings_);
    return {};
  }

  std::vector<Finding> TakeFindings() { return std::move(findings_); }
  uint64_t bytes() const { return bytes_; }  // that were read

 private:
  struct Detail {
    std::string tensor = {};
    std::string found = {};
    std::string wanted = {};
    std::string message;
  };

  void Report(RuleName name, std::string_view file, Detail detail) {
    const Rule& rule = name.rule();
    findings_.push_back({.rule = std::string(rule.id),
                         .severity = rule.severity,
                         .path = CheckpointFilePath(path_, file),
                         .tensor = std::move(detail.tensor),
                         .found = std::move(detail.found),
                         .wanted = std::move(detail.wanted),
                         .message = std::move(detail.message),
                         .why = std::string(rule.why),
                         .fix = std::string(rule.fix)});
  }

  bool HasSha256() const {
    return std::any_of(manifest_.files.begin(), manifest_.files.end(),
                       [](const ManifestFile& file) { return !file.sha256.empty(); });
  }

  void ReportExtra(const CheckpointFile& file) {
    const std::string size = HumanSize(file.bytes);
    if (manifest_.is_list) {
      if (!IsWeights(file.name)) return;
      Report("MAN-unlisted-file", file.name,
             {.found = size, .message = fmt::format("({}) is not in the list", size)});
    } else if (IsWeights(file.name)) {
      Report("MAN-extra-weights", file.name,
             {.found = size, .message = fmt::format("({}) is not in the manifest", size)});
    } else {
      Report("MAN-extra-file", file.name,
             {.found = size, .message = fmt::format("({}) is not in the manifest", size)});
    }
  }

  void CheckMissing(const std::vector<CheckpointFile>& present) {
    for (const ManifestFile& file : manifest_.files) {
      const auto at = std::find_if(present.begin(), present.end(),
                                   [&](const auto& other) { return other.name == file.name; });
      if (at != present.end()) continue;
      const std::string what =
          file.is_weights ? fmt::format(" with {} tensors", file.tensors.size()) : "";
      Report("MAN-missing-file", file.name, {.message = fmt::format("is missing{}", what)});
    }
  }

  // Whose bytes a digest is, as the manifest knows them and as they are.
  void IndexDigests(const std::vector<HashedFile>& hashed) {
    for (const ManifestFile& file : manifest_.files) {
      for (const ManifestTensor& tensor : file.tensors) was_.try_emplace(tensor.xxh3, &tensor);
    }
    for (const HashedFile& file : hashed) {
      for (const ManifestTensor& tensor : file.file.tensors)
        is_.try_emplace(tensor.name, &file.file);
    }
  }

  void CheckFile(const HashedFile& hashed, const ManifestFile& wanted) {
    const ManifestFile& found = hashed.file;
    if (!hashed.problem.ok()) {
      Error problem = hashed.problem.error();
      Report("MAN-changed-file", wanted.name,
             {.message = fmt::format("is unsound: {} [{}]", problem.message, problem.rule)});
      return;
    }
    const size_t before = findings_.size();
    if (wanted.is_weights && found.is_weights) {
      CheckTensors(found, wanted);
    } else if (!wanted.xxh3.empty() && found.xxh3 != wanted.xxh3) {
      CheckText(found, wanted);
    }
    if (wanted.sha256.empty() || found.sha256.empty() || findings_.size() > before) return;
    if (found.sha256 == wanted.sha256) return;
    Report("MAN-changed-file", wanted.name,
           {.found = found.sha256,
            .wanted = wanted.sha256,
            .message = fmt::format("has the SHA-256 {}, wanted {}", found.sha256, wanted.sha256)});
  }

  void CheckTensors(const ManifestFile& found, const ManifestFile& wanted) {
    const size_t before = findings_.size();
    std::unordered_map<std::string_view, const ManifestTensor*> by_name;
    for (const ManifestTensor& tensor : found.tensors) by_name[tensor.name] = &tensor;
    for (const ManifestTensor& tensor : wanted.tensors) {
      const auto at = by_name.find(tensor.name);
      if (at == by_name.end()) {
        ReportMissingTensor(wanted, tensor);
      } else {
        CheckTensor(wanted, tensor, *at->second);
        by_name.erase(at);
      }
    }
    for (const auto& [name, tensor] : by_name) {
      Report("MAN-extra-tensor", wanted.name,
             {.tensor = std::string(name),
              .found = Signature(*tensor),
              .message = fmt::format("({}) is not in the manifest", Signature(*tensor))});
    }
    if (found.xxh3 == wanted.xxh3 || findings_.size() > before) return;
    Report("MAN-changed-header", wanted.name,
           {.found = found.xxh3,
            .wanted = wanted.xxh3,
            .message = "the tensors are the same, the header is not: their order, white space or "
                       "__metadata__"});
  }

  void ReportMissingTensor(const ManifestFile& file, const ManifestTensor& tensor) {
    const auto elsewhere = is_.find(tensor.name);
    Report("MAN-missing-tensor", file.name,
           {.tensor = tensor.name,
            .wanted = Signature(tensor),
            .message = elsewhere == is_.end()
                           ? "is missing"
                           : fmt::format("is in {}, not here", Quote(elsewhere->second->name))});
  }

  void CheckTensor(const ManifestFile& file, const ManifestTensor& was, const ManifestTensor& is) {
    if (Signature(was) != Signature(is)) {
      Report("MAN-changed-tensor", file.name,
             {.tensor = was.name,
              .found = Signature(is),
              .wanted = Signature(was),
              .message = fmt::format("is {}, was {}", Signature(is), Signature(was))});
      return;
    }
    if (was.xxh3 == is.xxh3) return;
    const auto owner = was_.find(is.xxh3);
    if (owner == was_.end()) {
      Report("MAN-changed-tensor", file.name,
             {.tensor = was.name,
              .found = is.xxh3,
              .wanted = was.xxh3,
              .message = "its bytes are not those of the manifest"});
    } else {
      Report("MAN-swapped-tensor", file.name,
             {.tensor = was.name,
              .found = owner->second->name,
              .wanted = was.name,
              .message = fmt::format("holds the bytes of {}", Quote(owner->second->name))});
    }
  }

  void CheckText(const ManifestFile& found, const ManifestFile& wanted) {
    const auto was = wanted.text ? ParseJson(*wanted.text) : Result<Json>(InternalError(""));
    const auto is = found.text ? ParseJson(*found.text) : Result<Json>(InternalError(""));
    size_t changed = 0;
    if (was.ok() && is.ok()) {
      Compare(*was, *is, "", [&](const std::string& at, const Json* before, const Json* now) {
        ++changed;
        const std::string verdict = before == nullptr ? fmt::format("is new: {}", Shown(now))
                                    : now == nullptr
                                        ? fmt::format("is gone, was {}", Shown(before))
                                        : fmt::format("is {}, was {}", Shown(now), Shown(before));
        Report(
            "MAN-changed-value", wanted.name,
            {.found = Shown(now),
             .wanted = Shown(before),
             .message = fmt::format("{} {}", Quote(at.empty() ? "value" : at), Escape(verdict))});
      });
    }
    if (changed > 0) return;
    Report("MAN-changed-file", wanted.name,
           {.found = found.xxh3,
            .wanted = wanted.xxh3,
            .message = found.bytes == wanted.bytes
                           ? std::string("its bytes are not those of the manifest")
                           : fmt::format("has {} bytes, had {}", found.bytes, wanted.bytes)});
  }

  const std::string& path_;
  const Manifest& manifest_;
  const ManifestOptions& options_;
  std::unordered_map<std::string_view, const ManifestTensor*> was_;  // by digest
  std::unordered_map<std::string_view, const ManifestFile*> is_;     // by tensor
  std::vector<Finding> findings_;
  uint64_t bytes_ = 0;
};

}  // namespace

Result<ManifestSummary> WriteManifest(const std::string& path, const ManifestOptions& options,
                                      const OutputOptions& write, Listener& listener) {
  const std::string target = options.file.empty() ? DefaultManifestPath(path) : options.file;
  SLIM_TRY(CheckFileAbsent(target, write));
  SLIM_ASSIGN(std::vector<CheckpointFile> listed, ListCheckpointFiles(path));
  std::erase_if(listed,
                [&](const CheckpointFile& file) { return IsManifest(path, file.name, options); });
  if (listed.empty()) return InputError("CK-no-weights", "holds no file").WithPath(path);
  for (const CheckpointFile& file : listed) {
    if (IsUtf8(file.name)) continue;
    return InputError(
               "MAN-malformed",
               fmt::format("the name {} is not UTF-8, which a manifest is", Quote(file.name)),
               "rename the file; a list of sha256sum holds any name")
        .WithPath(path);
  }
  const HashOptions hash = {
      .sha256 = options.sha256, .threads = options.threads, .journal = JournalPath(target)};
  SLIM_ASSIGN(std::vector<HashedFile> hashed, HashFiles(path, listed, hash, listener));
  Manifest manifest;
  for (HashedFile& file : hashed) {
    if (!file.problem.ok()) return std::move(file.problem).error();
    manifest.files.push_back(std::move(file.file));
  }
  SLIM_TRY(WriteFileAtomically(target, ManifestText(manifest), write));
  return ManifestSummary{.path = path,
                         .manifest = target,
                         .files = manifest.files.size(),
                         .tensors = manifest.TensorCount(),
                         .bytes = manifest.TotalBytes()};
}

Result<VerifyReport> CheckManifest(const std::string& path, const ManifestOptions& options,
                                   Listener& listener) {
  if (KindOf(path) == FileKind::kMissing)
    return InputError("IN-missing", "no such file or directory").WithPath(path);
  VerifyReport report;
  report.path = path;
  report.manifest = options.file.empty() ? DefaultManifestPath(path) : options.file;
  report.strict = options.strict;
  auto text = ReadWholeFile(report.manifest, kMaxManifestBytes);
  if (!text.ok()) {
    return std::move(text).error().WithHint(
        "slim-verify --manifest write makes a manifest, --manifest-file names another");
  }
  auto manifest = ParseManifest(*text);
  if (!manifest.ok()) return std::move(manifest).error().WithPath(report.manifest);
  Checker checker(path, *manifest, options);
  SLIM_TRY(checker.Check(listener));
  report.findings = checker.TakeFindings();
  report.tensors = manifest->TensorCount();
  report.bytes = checker.bytes();
  return report;
}

}  // namespace slim
