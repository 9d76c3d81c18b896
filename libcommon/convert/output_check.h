// Whose fault it is that slim-verify finds an error in what a conversion wrote. Internal to
// convert/.
#pragma once

#include <string>

#include "base/listener.h"
#include "base/result.h"
#include "verify/verify.h"

namespace slim {

// The error for a finding in the output. The source's fault (kInput) where slim-verify finds the
// same there, or, in a dialect of another ecosystem, anything that its own rules forbid, or where
// it cannot judge the source; else ours (kInternal), and said so.
Error OutputRefusal(const Finding& finding, const std::string& source, const std::string& output,
                    int threads);

// The output at `path`, which will be `output`, by the rules of slim-verify: OutputRefusal() of its
// first error; warnings go to the listener, one of each rule.
Status CheckOutput(const std::string& path, const std::string& source, const std::string& output,
                   int threads, Listener& listener);

}  // namespace slim
