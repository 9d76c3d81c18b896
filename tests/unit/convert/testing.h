// What the tests of convert/ share: scratch folders, files of a checkpoint, conversions.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "convert/convert.h"
#include "os/file.h"

namespace slim {

class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "slim-convert-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string Path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline std::string Slurp(const std::string& path) { return ReadWholeFile(path).value(); }
inline void Spit(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string Golden(const std::string& name) {
  return std::string(SLIM_TESTDATA) + "/golden/" + name;
}

// Everything in a directory but the receipt, by name.
inline std::map<std::string, std::string> FilesOf(const std::string& directory) {
  std::map<std::string, std::string> files;
  const auto listing = ListDirectory(directory);
  for (const DirectoryEntry& entry : *listing) {
    if (entry.name != kReceiptFileName) files[entry.name] = Slurp(JoinPath(directory, entry.name));
  }
  return files;
}

// Names of the files in which two directories differ, for short messages.
inline std::vector<std::string> Differences(const std::string& a, const std::string& b) {
  auto files_a = FilesOf(a);
  const auto files_b = FilesOf(b);
  std::vector<std::string> names;
  for (const auto& [name, content] : files_b) {
    if (files_a[name] != content) names.push_back(name);
  }
  for (const auto& [name, content] : files_a) {
    if (!files_b.contains(name)) names.push_back(name);
  }
  return names;
}

inline Result<ConvertPlan> ConvertTo(const std::string& input, const std::string& output,
                                     ConvertOptions options) {
  ThreadPool pool(2);
  return Convert(input, output, options, {.force = true, .fsync = false}, pool, SilentListener());
}

// With a message where it fails; the receipt is removed, so that nothing can lean on it.
inline void MustConvert(const std::string& input, const std::string& output,
                        const ConvertOptions& options) {
  const auto plan = ConvertTo(input, output, options);
  ASSERT_TRUE(plan.ok()) << plan.error().ToString();
  std::filesystem::remove(output + "/" + std::string(kReceiptFileName));
}

inline ConvertOptions To(Dialect dialect) {
  ConvertOptions options;
  options.to = dialect;
  return options;
}

inline void CopyFolder(const std::string& from, const std::string& to) {
  std::filesystem::copy(from, to);
  for (const auto& file : std::filesystem::directory_iterator(to))
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
}

// Changes bytes of one tensor in place.
inline void Poke(const std::string& checkpoint, const std::string& tensor, uint64_t at,
                 const std::string& bytes) {
  const auto source = Checkpoint::Open(checkpoint);
  ASSERT_TRUE(source.ok());
  const TensorEntry* entry = source->Find(tensor);
  ASSERT_NE(entry, nullptr);
  std::fstream file(JoinPath(checkpoint, source->shards()[entry->shard].name),
                    std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(entry->offset + at));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace slim
