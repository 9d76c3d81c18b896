// The list of a zip archive's entries, for archives that only hold stored (uncompressed) ones, as
// torch.save writes them. Both headers of an entry must agree, and entries must lie apart: readers
// that disagree about an archive are how scanners are fooled (facts: reliability.md 4). Inflates
// nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/pickle.h"

namespace slim {

struct ZipEntry {
  std::string name;
  uint64_t offset = 0;  // of the data
  uint64_t size = 0;
};

// In the order of the directory. Rules ZIP-…: ZIP-end, ZIP-directory, ZIP-entry, ZIP-compressed,
// ZIP-duplicate, ZIP-overlap.
Result<std::vector<ZipEntry>> ReadZipEntries(const ByteSource& source);

}  // namespace slim
