// Whether a directory is one checkpoint that says what it holds: refuses weights or descriptions of
// several dialects side by side, and codes that nothing labels. Internal to convert/.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace slim {

// CV-mixed-dialects: which of two checkpoints in one directory is meant nobody can know. With
// `repairs` float weights beside quantized ones pass: they do not travel.
Status CheckOneDialect(std::span<const DirectoryEntry> listing, const std::string& path,
                       bool repairs = false);
// CV-mixed-dialects where descriptions of two dialects stand side by side.
Status CheckOneDescription(std::span<const DirectoryEntry> listing, const std::string& path);
// DE-missing where a checkpoint passes for a float one and holds codes or scales.
Status CheckLabelled(const Checkpoint& source);

}  // namespace slim
