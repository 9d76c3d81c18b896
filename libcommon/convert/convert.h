// A checkpoint in another dialect, streamed tensor by tensor: planned, written beside the target,
// verified with the rules of slim-verify, and renamed into place. Inputs are never modified.
#pragma once

#include <string>

#include "base/listener.h"
#include "base/result.h"
#include "convert/plan.h"
#include "os/output.h"
#include "parallel/thread_pool.h"

namespace slim {

// Peak memory: 2 × the largest tensor + 200 MB at most. Beyond the errors of PlanConversion():
// a lossy plan without allow_loss (CV-loss), an output that exists, is the input or lies in it, an
// input that changed meanwhile (code kSystem), an output that slim-verify finds an error in (the
// finding's rule; the source's fault where it has the same finding, else a bug).
Result<ConvertPlan> Convert(const std::string& input, const std::string& output,
                            const ConvertOptions& options, const OutputOptions& output_options,
                            ThreadPool& pool, Listener& listener);

}  // namespace slim
