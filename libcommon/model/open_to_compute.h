// The way in for those who compute: a checkpoint of any layout that can run, no conversion before.
#pragma once

#include <string>

#include "base/result.h"
#include "checkpoint/checkpoint.h"

namespace slim {

// Checkpoint::OpenToCompute, and directories of tensor-parallel parts, joined as they are read.
// Errors: those of both.
Result<Checkpoint> OpenToCompute(const std::string& path);

}  // namespace slim
