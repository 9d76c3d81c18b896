#include "verify/manifest_hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <optional>

#include "base/text.h"
#include "checkpoint/gguf_header.h"
#include "checkpoint/safetensors_header.h"
#include "os/digest.h"
#include "os/file.h"
#include "os/interrupt.h"
#include "os/journal.h"
#include "parallel/thread_pool.h"
#include "tensor/tensor.h"

namespace slim {
namespace {

constexpr uint64_t kPiece = 1ULL << 20;

// Consecutive bytes of a file that get a digest of their own: the header, a tensor, or a whole file
// that is neither safetensors nor GGUF.
struct Range {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::string* digest = nullptr;
};

struct OpenFile {
  File file;
  std::string key;            // of the journal: name and what tells that it is the same file still
  std::vector<Range> ranges;  // cover the file
  HashedFile* out = nullptr;
};

// What one thread does at a time: some ranges of one file, or all with the SHA-256 of the file.
struct Task {
  size_t file = 0;
  size_t first = 0;
  size_t count = 0;
  bool sha256 = false;
  uint64_t bytes = 0;
};

Result<std::optional<std::string>> SmallText(const File& file) {
  std::optional<std::string> text;
  if (!file.path().ends_with(".json") || file.size() > kMaxManifestText) return text;
  text.emplace(file.size(), '\0');
  SLIM_TRY(file.ReadExactAt(std::as_writable_bytes(std::span(*text)), 0));
  if (!IsUtf8(*text)) text.reset();
  return text;
}

// A tensor's range takes the alignment behind it along. Blocks of codes are bytes: Q8_0 [n, k] is
// U8 [n, 34 · k / 32], as it is read.
Status AddGgufRanges(OpenFile& opened) {
  SLIM_ASSIGN(GgufHeader header, ReadGgufHeader(opened.file));
  std::ranges::sort(header.tensors, {}, &GgufTensor::offset);
  ManifestFile& out = opened.out->file;
  out.is_weights = true;
  out.tensors.resize(header.tensors.size());
  opened.ranges.push_back({0, header.data_start, &out.xxh3});
  for (size_t i = 0; i < header.tensors.size(); ++i) {
    GgufTensor& from = header.tensors[i];
    const bool q8 = from.type->id == kGgmlQ8_0;
    const Shape shape = q8                 ? StoredQ8_0Shape(from.shape)
                        : from.type->dtype ? from.shape
                                           : Shape{from.size};
    out.tensors[i] = {std::move(from.name), from.type->dtype.value_or(DType::kU8), shape, {}};
    const bool last = i + 1 == header.tensors.size();
    const uint64_t end =
        last ? opened.file.size() : header.data_start + header.tensors[i + 1].offset;
    opened.ranges.push_back({header.data_start + from.offset, end, &out.tensors[i].xxh3});
  }
  // Metadata alone: nothing else covers what stands behind it.
  if (header.tensors.empty()) opened.ranges.back().end = opened.file.size();
  return {};
}

Result<OpenFile> Open(const std::string& path, const CheckpointFile& listed, bool whole,
                      HashedFile& out) {
  SLIM_ASSIGN(File file, File::Open(CheckpointFilePath(path, listed.name)));
  out.file.name = listed.name;
  out.file.bytes = file.size();
  OpenFile opened{.file = std::move(file), .key = {}, .ranges = {}, .out = &out};
  opened.key = fmt::format("{} {}", opened.file.Identity(), listed.name);
  if (!whole && listed.name.ends_with(".gguf")) {
    SLIM_TRY(AddGgufRanges(opened));
    return opened;
  }
  if (whole || !listed.name.ends_with(".safetensors")) {
    SLIM_ASSIGN(out.file.text, SmallText(opened.file));
    opened.ranges.push_back({0, opened.file.size(), &out.file.xxh3});
    return opened;
  }
  SLIM_ASSIGN(SafetensorsHeader header, ReadSafetensorsHeader(opened.file));
  out.file.is_weights = true;
  out.file.tensors.resize(header.tensors.size());
  opened.ranges.push_back({0, header.data_start, &out.file.xxh3});
  for (size_t i = 0; i < header.tensors.size(); ++i) {
    HeaderTensor& from = header.tensors[i];
    ManifestTensor& to = out.file.tensors[i];
    to = {std::move(from.name), from.dtype, std::move(from.shape), {}};
    opened.ranges.push_back(
        {header.data_start + from.begin, header.data_start + from.end, &to.xxh3});
  }
  return opened;
}

class Hasher {
 public:
  Hasher(std::vector<OpenFile> files, const HashOptions& options, Listener& listener)
      : files_(std::move(files)), options_(options), listener_(listener) {}

  Status Run() {
    if (!options_.journal.empty()) {
      SLIM_ASSIGN(Journal journal, Journal::Open(options_.journal));
      journal_.emplace(std::move(journal));
      TakeUp();
    }
    const std::vector<Task> tasks = Plan();
    for (const Task& task : tasks) total_ += task.bytes;
    ThreadPool pool(std::max(options_.threads, 1));
    pool.ParallelFor(tasks.size(), 1, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) RunTask(tasks[i]);
    });
    if (!failure_.ok()) return std::move(failure_).error();
    if (journal_) journal_->Remove();
    return {};
  }

 private:
  // Lines of the journal: "<digest> <number of the range, or sha256> <identity> <name>".
  static std::string Line(std::string_view digest, std::string_view what, const OpenFile& file) {
    return fmt::format("{} {} {}", digest, what, Escape(file.key));
  }

  void TakeUp() {
    std::map<std::string_view, OpenFile*> by_key;
    std::vector<std::string> keys;
    keys.reserve(files_.size());
    for (OpenFile& file : files_) by_key[keys.emplace_back(Escape(file.key))] = &file;
    uint64_t taken = 0;
    for (const std::string& line : journal_->lines()) {
      const size_t first = line.find(' ');
      const size_t second = first == std::string::npos ? first : line.find(' ', first + 1);
      if (second == std::string::npos) continue;
      const std::string digest = line.substr(0, first);
      const std::string what = line.substr(first + 1, second - first - 1);
      const auto found = by_key.find(std::string_view(line).substr(second + 1));
      if (found == by_key.end() || digest.size() % 32 != 0) continue;
      taken += Put(*found->second, what, digest) ? 1 : 0;
    }
    if (taken > 0)
      listener_.Note(
          fmt::format("going on where an earlier run stopped: {} digests were done", taken));
  }

  static bool Put(OpenFile& file, const std::string& what, const std::string& digest) {
    if (what == "sha256") {
      file.out->file.sha256 = digest;
      return digest.size() == 64;
    }
    size_t number = 0;
    const auto [end, error] = std::from_chars(what.data(), what.data() + what.size(), number);
    if (error != std::errc() || end != what.data() + what.size()) return false;
    if (number >= file.ranges.size() || digest.size() != 32) return false;
    *file.ranges[number].digest = digest;
    return true;
  }

  std::vector<Task> Plan() const {
    std::vector<Task> tasks;
    for (size_t i = 0; i < files_.size(); ++i) {
      const OpenFile& file = files_[i];
      if (options_.sha256) {
        if (file.out->file.sha256.empty() || !AllDone(file))
          tasks.push_back({i, 0, file.ranges.size(), true, file.file.size()});
        continue;
      }
      for (size_t k = 0; k < file.ranges.size(); ++k) {
        const Range& range = file.ranges[k];
        if (range.digest->empty()) tasks.push_back({i, k, 1, false, range.end - range.begin});
      }
    }
    // The largest first, so that no thread ends with a long one.
    std::stable_sort(tasks.begin(), tasks.end(),
                     [](const Task& a, const Task& b) { return a.bytes > b.bytes; });
    return tasks;
  }

  static bool AllDone(const OpenFile& file) {
    return std::all_of(file.ranges.begin(), file.ranges.end(),
                       [](const Range& range) { return !range.digest->empty(); });
  }

  void RunTask(const Task& task) {
    {
      const std::lock_guard lock(mutex_);
      if (!failure_.ok()) return;
    }
    OpenFile& file = files_[task.file];
    std::optional<Sha256Hasher> sha256;
    if (task.sha256) sha256.emplace();
    Status status;
    for (size_t k = task.first; k < task.first + task.count && status.ok(); ++k)
      status = HashRange(file, file.ranges[k], sha256 ? &*sha256 : nullptr);
    if (status.ok() && sha256) {
      auto digest = sha256->Finish();
      if (digest.ok()) {
        file.out->file.sha256 = std::move(*digest);
      } else {
        status = std::move(digest).error();
      }
    }
    const std::lock_guard lock(mutex_);
    if (status.ok()) status = Keep(task);
    if (!status.ok() && failure_.ok()) failure_ = std::move(status);
    done_ += task.bytes;
    listener_.Progress("hash", done_, total_);
  }

  static Status HashRange(const OpenFile& file, const Range& range, Sha256Hasher* sha256) {
    thread_local Buffer buffer(kPiece);
    Xxh3Hasher hasher;
    for (uint64_t at = range.begin; at < range.end;) {
      SLIM_TRY(CheckInterrupt());
      const auto piece = buffer.bytes().first(std::min(kPiece, range.end - at));
      SLIM_TRY(file.file.ReadExactAt(piece, at));
      hasher.Update(piece);
      if (sha256 != nullptr) SLIM_TRY(sha256->Update(piece));
      at += piece.size();
    }
    *range.digest = hasher.Finish();
    return {};
  }

  Status Keep(const Task& task) {
    if (!journal_) return {};
    const OpenFile& file = files_[task.file];
    for (size_t k = task.first; k < task.first + task.count; ++k) {
      SLIM_TRY(journal_->Append(Line(*file.ranges[k].digest, std::to_string(k), file)));
    }
    return task.sha256 ? journal_->Append(Line(file.out->file.sha256, "sha256", file)) : Status();
  }

  std::vector<OpenFile> files_;
  const HashOptions& options_;
  Listener& listener_;
  std::optional<Journal> journal_;
  std::mutex mutex_;  // guards what follows, and the order of lines in the journal
  Status failure_;
  uint64_t done_ = 0;
  uint64_t total_ = 0;
};

}  // namespace

Result<std::vector<HashedFile>> HashFiles(const std::string& path,
                                          const std::vector<CheckpointFile>& files,
                                          const HashOptions& options, Listener& listener) {
  std::vector<HashedFile> hashed(files.size());
  std::vector<OpenFile> opened;
  for (size_t i = 0; i < files.size(); ++i) {
    auto file = Open(path, files[i], options.whole_files, hashed[i]);
    if (file.ok()) {
      opened.push_back(std::move(*file));
    } else if (file.error().code == ErrorCode::kInput) {
      hashed[i].file.name = files[i].name;
      hashed[i].problem = std::move(file).error();
    } else {
      return std::move(file).error();
    }
  }
  SLIM_TRY(Hasher(std::move(opened), options, listener).Run());
  return hashed;
}

}  // namespace slim
