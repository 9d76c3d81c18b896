#include "text/calibration_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "os/file.h"

namespace slim {
namespace {

constexpr uint64_t kMaxBytes = 64ULL << 20;  // of one CSV file
constexpr std::array<std::string_view, 3> kParts = {"dev", "val", "test"};
constexpr std::array<std::string_view, 4> kChoices = {"A", "B", "C", "D"};

class CsvReader {
 public:
  explicit CsvReader(std::string_view content) : content_(content) {}

  Result<std::vector<CsvRow>> Read() {
    while (at_ < content_.size()) {
      CsvRow row;
      row.line = line_;
      SLIM_TRY(ReadRow(row));
      const bool blank = row.fields.size() == 1 && row.fields[0].empty();
      if (!blank) rows_.push_back(std::move(row));
    }
    return std::move(rows_);
  }

 private:
  Status ReadRow(CsvRow& row) {
    while (true) {
      std::string field;
      if (at_ < content_.size() && content_[at_] == '"') {
        SLIM_TRY(ReadQuoted(field));
      } else {
        const size_t end = std::min(content_.find_first_of(",\r\n", at_), content_.size());
        field = content_.substr(at_, end - at_);
        at_ = end;
      }
      row.fields.push_back(std::move(field));
      if (at_ >= content_.size()) return {};
      const char next = content_[at_++];
      if (next == ',') continue;
      if (next == '\r' && at_ < content_.size() && content_[at_] == '\n') ++at_;
      if (next != '\n' && next != '\r')
        return InputError("CALIB-csv", fmt::format("line {}: text after a closing quote", line_));
      ++line_;
      return {};
    }
  }

  Status ReadQuoted(std::string& field) {
    const uint64_t opened = line_;
    for (++at_; at_ < content_.size(); ++at_) {
      const char c = content_[at_];
      if (c == '"') {
        if (at_ + 1 >= content_.size() || content_[at_ + 1] != '"') {
          ++at_;
          return {};
        }
        ++at_;
      }
      if (c == '\n') ++line_;
      field += c;
    }
    return InputError("CALIB-csv", fmt::format("line {}: a quote is never closed", opened));
  }

  std::string_view content_;
  size_t at_ = 0;
  uint64_t line_ = 1;
  std::vector<CsvRow> rows_;
};

std::optional<size_t> ColumnOf(const CsvRow& header, std::string_view name) {
  const auto found = std::find(header.fields.begin(), header.fields.end(), name);
  if (found == header.fields.end()) return std::nullopt;
  return static_cast<size_t>(found - header.fields.begin());
}

// The questions of one subject.
Result<std::vector<FolderSample>> ReadSubject(const std::string& path, const std::string& file) {
  SLIM_ASSIGN(const std::string bytes, ReadWholeFile(path, kMaxBytes));
  std::string_view content = bytes;
  if (content.starts_with("\xEF\xBB\xBF")) content.remove_prefix(3);
  if (!IsUtf8(content)) return InputError("CALIB-utf8", "is not UTF-8").WithPath(path);
  auto rows = ParseCsv(content);
  if (!rows.ok()) return std::move(rows).error().WithPath(path);
  std::vector<FolderSample> samples;
  if (rows->empty()) return samples;
  const CsvRow& header = rows->front();
  const auto question = ColumnOf(header, "question");
  if (!question)
    return InputError("CALIB-csv", "line 1: has no column \"question\"").WithPath(path);
  for (size_t i = 1; i < rows->size(); ++i) {
    const CsvRow& row = (*rows)[i];
    if (row.fields.size() != header.fields.size()) {
      return InputError("CALIB-csv", fmt::format("line {}: has {} fields, the first line {}",
                                                 row.line, row.fields.size(), header.fields.size()))
          .WithPath(path);
    }
    FolderSample sample{row.fields[*question], file, row.line};
    if (Trim(sample.text).empty()) continue;
    for (const std::string_view choice : kChoices) {
      const auto column = ColumnOf(header, choice);
      if (column) sample.text += fmt::format("\n{}. {}", choice, row.fields[*column]);
    }
    const auto answer = ColumnOf(header, "answer");
    if (answer) sample.text += fmt::format("\nAnswer: {}", row.fields[*answer]);
    samples.push_back(std::move(sample));
  }
  return samples;
}

Result<std::vector<FolderSample>> ReadPart(const std::string& path, std::string_view part,
                                           size_t limit) {
  SLIM_ASSIGN(const std::vector<DirectoryEntry> entries, ListDirectory(JoinPath(path, part)));
  std::vector<std::vector<FolderSample>> subjects;
  for (const DirectoryEntry& entry : entries) {
    if (entry.kind != FileKind::kRegular || !entry.name.ends_with(".csv")) continue;
    const std::string file = JoinPath(part, entry.name);
    SLIM_ASSIGN(std::vector<FolderSample> subject, ReadSubject(JoinPath(path, file), file));
    subjects.push_back(std::move(subject));
  }
  std::vector<FolderSample> samples;
  for (size_t i = 0, added = 1; added > 0; ++i) {
    added = 0;
    for (std::vector<FolderSample>& subject : subjects) {
      if (i >= subject.size()) continue;
      if (samples.size() == limit) return samples;
      samples.push_back(std::move(subject[i]));
      ++added;
    }
  }
  return samples;
}

}  // namespace

Result<std::vector<CsvRow>> ParseCsv(std::string_view content) { return CsvReader(content).Read(); }

Result<std::vector<FolderSample>> ReadCalibrationFolder(const std::string& path, size_t limit) {
  bool any = false;
  for (const std::string_view part : kParts) {
    if (KindOf(JoinPath(path, part)) != FileKind::kDirectory) continue;
    any = true;
    SLIM_ASSIGN(std::vector<FolderSample> samples, ReadPart(path, part, limit));
    if (!samples.empty()) return samples;
  }
  return InputError("CALIB-folder",
                    any ? "dev/, val/ and test/ hold no CSV file with a question"
                        : "is a folder without dev/, val/ or test/",
                    "a calibration folder is laid out as C-Eval's")
      .WithPath(path);
}

}  // namespace slim
