// Whether an array that a forward pass gave has no NaN and no infinity, looked at by all threads:
// the logits of a prompt are the largest array there is.
#pragma once

#include <cstdint>

#include "parallel/thread_pool.h"

namespace slim {

bool AllFiniteOn(ThreadPool& pool, const float* values, uint64_t count);

}  // namespace slim
