// Whether a directory is one checkpoint that says what it holds: refuses weights or descriptions of
// several dialects side by side, and codes that nothing labels. Internal to convert/.
#pragma once

#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace slim {

// CV-mixed-dialects: which of two checkpoints in one directory is meant nobody can know.
Status CheckOneDialect(const Checkpoint& source);
// CV-mixed-dialects where descriptions of two dialects stand side by side.
Status CheckOneDescription(const Checkpoint& source);
// CV-unlabelled where a checkpoint passes for a float one and holds codes or scales.
Status CheckLabelled(const Checkpoint& source);

}  // namespace slim
