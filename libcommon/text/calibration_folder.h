// The questions of a C-Eval folder (source document S002): `dev/`, `val/` and `test/` with one CSV
// file a subject, whose columns are at least `question`, usually also A, B, C, D and answer. Owns
// the CSV reading (RFC 4180) and the order; knows nothing of tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

// One question a sample: the question, its choices a line each, and the answer where the file has
// it.
struct FolderSample {
  std::string text;
  std::string file;   // "dev/law_dev.csv"
  uint64_t line = 1;  // where its row begins
};

// At most `limit` questions: the first of every subject, then the second, …; from dev/ where that
// has any, else val/, else test/. Files in byte order of their names. Errors: CALIB-folder (none of
// the three folders, or no question in any), CALIB-csv and CALIB-utf8, which name file and line.
Result<std::vector<FolderSample>> ReadCalibrationFolder(const std::string& path, size_t limit);

// Rows of a CSV file with the line each begins in. A quoted field may hold commas, quotes (doubled)
// and line breaks.
struct CsvRow {
  uint64_t line = 1;
  std::vector<std::string> fields;
};
Result<std::vector<CsvRow>> ParseCsv(std::string_view content);

}  // namespace slim
