// Directories of tensor-parallel parts. Internal to verify/.
#pragma once

#include <functional>
#include <vector>

#include "verify/context.h"

namespace slim {

// Runs the rules of one part and keeps its findings.
using PartCheck = std::function<Status(const Checkpoint& part)>;

// Of a mindie-parts directory; nothing for other dialects. `parts` gets those that could be opened,
// by rank, before `check` is called with each of them.
Status CheckParts(VerifyContext& context, const PartCheck& check, std::vector<Checkpoint>& parts);

}  // namespace slim
