// The part of MindIE's loading that its two profiles share. Internal to verify/.
#pragma once

#include "verify/loader_judge.h"

namespace slim {

// mindie_llm/runtime from the description on; judge.dtype is set. `computes` is false for the atb
// runner, whose graphs are not part of it.
void JudgeRuntimeLoader(LoaderJudge& judge, bool computes);
void JudgePermissions(LoaderJudge& judge);

}  // namespace slim
