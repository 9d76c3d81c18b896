// Planning and writing by layers: for conversions between dialects whose tensors differ, where a
// linear layer is read into logical form and written out of it. Internal to convert/.
#pragma once

#include "base/listener.h"
#include "base/result.h"
#include "convert/plan.h"

namespace slim {

// Whether this conversion goes by layers and not by tensors.
bool GoesByLayers(Dialect from, const ConvertOptions& options);

// As PlanConversion(). With options.measure every lossy layer is read and its loss known.
Result<ConvertPlan> PlanByLayers(const Checkpoint& source, const ConvertOptions& options,
                                 ThreadPool& pool, Listener& listener);

// Works on every layer once: writes it (`writer` not null) or only measures what it would lose.
// Losses end up in plan.tensors.
Status RunLayers(ConvertPlan& plan, CheckpointWriter* writer, ThreadPool& pool, Listener& listener);

// The output of a dialect that slim-verify has no rules for, read back layer by layer with the
// checks of its reader.
Status CheckWrittenLayers(const std::string& path, ThreadPool& pool, Listener& listener);

}  // namespace slim
