// The quant description as it should be: an entry for every tensor with the label that the tensors
// of its layer allow, and globals that agree with them. Internal to convert/.
#pragma once

#include <string>

#include "checkpoint/checkpoint.h"
#include "convert/repair.h"

namespace slim {

// Adds to repairs.done and repairs.unwanted.
QuantDescription RepairedDescription(const Checkpoint& source, Repairs& repairs);

// config.json for the loader; `description` is the repaired one. Every byte that no repair is about
// stays.
Result<std::string> RepairedConfig(const Checkpoint& source, const QuantDescription& description,
                                   Repairs& repairs);

}  // namespace slim
