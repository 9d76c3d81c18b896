// mindie-parts: sparse compressed checkpoints, one directory a tensor-parallel rank (facts:
// formats.md 7.4, source document S003). A directory of parts is no single checkpoint: each part is
// one, convert/parts.h reads and writes them together.
#pragma once

#include "checkpoint/dialects/dialect.h"

namespace slim {

extern const DialectTraits kMindIEPartsTraits;

// "part0-of-4" is {0, 4}; ranks from 1 to 1024, the rank may be beyond them.
struct PartDirectory {
  uint64_t rank = 0;
  uint64_t ranks = 0;
};
std::optional<PartDirectory> ParsePartDirectory(std::string_view name);
std::string PartDirectoryName(uint64_t rank, uint64_t ranks);

// Whether a directory holds part{i}-of-{n} directories.
bool HasParts(const std::string& path);
// Their paths, by rank. CV-parts where one is missing or there are two degrees.
Result<std::vector<std::string>> FindParts(const std::string& path);

}  // namespace slim
