// What a run asks of its own output, by the rules of slim-verify. Reads, never changes.
#pragma once

#include <string>

#include "base/listener.h"
#include "base/result.h"
#include "quant/options.h"

namespace slim {

// QuantOptions::targets: would these loaders take the checkpoint at `path`? Needs headers, index,
// description and side files, no weights, so that it can be asked before the work. kUsage: the
// first finding of severity error. What a chmod undoes is a warning.
Status JudgeForLoaders(const std::string& path, const QuantOptions& options, Listener& listener);

// The complete checkpoint at `path` by the rules for everybody; a finding is an internal error.
Status VerifyWritten(const std::string& path, const QuantOptions& options);

}  // namespace slim
