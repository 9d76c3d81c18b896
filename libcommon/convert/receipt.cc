#include "convert/receipt.h"

#include <algorithm>
#include <optional>

#include "base/version.h"
#include "checkpoint/side_files.h"
#include "os/digest.h"
#include "os/interrupt.h"

namespace slim {
namespace {

Json FileList(const std::vector<FileDigest>& files) {
  Json list = Json::Array();
  for (const FileDigest& file : files) {
    Json item = Json::Object();
    item.Set("name", file.name);
    item.Set("bytes", file.bytes);
    item.Set("xxh3_128", file.xxh3_128);
    list.Push(std::move(item));
  }
  return list;
}

Result<FileDigest> DigestFile(const std::string& directory, const std::string& name,
                              const std::atomic<bool>* stopped) {
  SLIM_TRY(CheckInterrupt());
  SLIM_ASSIGN(const File file, File::Open(JoinPath(directory, name)));
  FileDigest digest{name, file.size(), ""};
  SLIM_ASSIGN(digest.xxh3_128, Xxh3File(file, stopped));
  return digest;
}

Result<std::vector<FileDigest>> DigestFiles(const std::string& directory,
                                            std::vector<std::string> names, ThreadPool& pool,
                                            const std::atomic<bool>* stopped = nullptr) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<std::optional<Result<FileDigest>>> digests(names.size());
  pool.ParallelFor(names.size(), 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i)
      digests[i].emplace(DigestFile(directory, names[i], stopped));
  });
  std::vector<FileDigest> files;
  for (std::optional<Result<FileDigest>>& digest : digests) {
    SLIM_ASSIGN(FileDigest file, *std::move(digest));
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace

std::string WriteReceipt(const Receipt& receipt) {
  // Written member by member: Json::Set() is linear, and there may be 90 000 tensors.
  std::string out = "{\n";
  const auto member = [&](std::string_view key, const Json& value, bool last = false) {
    out += "  ";
    AppendJsonString(out, key);
    out += ": ";
    for (const char c : DumpJson(value, {.indent = 2})) {
      out += c;
      if (c == '\n') out += "  ";
    }
    out += last ? "\n" : ",\n";
  };
  Json notes = Json::Array();
  for (const ReceiptNote& note : receipt.notes) {
    Json item = Json::Object();
    item.Set("layer", note.layer);
    item.Set("note", note.note);
    notes.Push(std::move(item));
  }
  member("tool", receipt.tool);
  member("version", kVersion);
  member("configuration", receipt.configuration);
  member("loss_class", receipt.loss_class);
  member("loss", receipt.loss);
  member("inputs", FileList(receipt.inputs));
  member("files", FileList(receipt.files));
  out += "  \"tensors\": {";
  bool first = true;
  for (const auto& [name, digest] : receipt.tensors) {
    out += first ? "\n    " : ",\n    ";
    first = false;
    AppendJsonString(out, name);
    out += ": ";
    AppendJsonString(out, digest);
  }
  out += first ? "},\n" : "\n  },\n";
  member("notes", notes, true);
  out += "}\n";
  return out;
}

Result<std::vector<FileDigest>> DigestInputs(const Checkpoint& source,
                                             const std::vector<std::string>& side_files,
                                             ThreadPool& pool, const std::atomic<bool>* stopped) {
  std::vector<std::string> names = side_files;
  for (const Shard& shard : source.shards()) names.push_back(shard.name);
  for (const std::string& name :
       {source.guess().index_file, source.guess().description_file, std::string("config.json")}) {
    if (!name.empty() && source.HasFile(name)) names.push_back(name);
  }
  return DigestFiles(source.directory(), std::move(names), pool, stopped);
}

Result<std::vector<FileDigest>> DigestOutputFiles(const std::string& directory, ThreadPool& pool) {
  SLIM_ASSIGN(const std::vector<DirectoryEntry> listing, ListDirectory(directory));
  std::vector<std::string> names;
  for (const DirectoryEntry& entry : listing) {
    if (entry.kind == FileKind::kRegular &&
        !entry.name.ends_with(ContainerEnding(Container::kSafetensors)) &&
        !entry.name.ends_with(ContainerEnding(Container::kGguf)) &&
        entry.name != kReceiptFileName) {
      names.push_back(entry.name);
    }
  }
  return DigestFiles(directory, std::move(names), pool);
}

Status WriteReceiptFile(CheckpointWriter& writer, Receipt receipt, ThreadPool& pool) {
  receipt.tensors = writer.digests();
  SLIM_ASSIGN(receipt.files, DigestOutputFiles(writer.PartialPath(), pool));
  return writer.WriteSideFile(kReceiptFileName, WriteReceipt(receipt));
}

}  // namespace slim
