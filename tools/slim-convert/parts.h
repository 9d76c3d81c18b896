// Requests that lead to or from mindie-parts: several directories, which go their own way.
#pragma once

#include "base/listener.h"
#include "options.h"
#include "parallel/thread_pool.h"

namespace slim {

bool IsOfParts(const ConvertRequest& request);
// Writes nothing where the request asks for a plan.
Result<ConvertPlan> ConvertParts(const ConvertRequest& request, ThreadPool& pool,
                                 Listener& listener);

}  // namespace slim
