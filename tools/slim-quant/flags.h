// The flag tables of slim-quant: its own, those of msModelSlim's two commands, and those of the
// scripts of MindIE's ATB models (source documents S000, S003, S004). What they mean is in
// options.cc and old_commands.cc.
#pragma once

#include <span>

#include "cli/flag.h"

namespace slim {

extern const Tool kQuantTool;

// Flags of the traditional scripts; any of them makes a command line a traditional one.
std::span<const Flag> TraditionalFlags();
// Those that mean nothing on a CPU or decide nothing here: accepted with a note.
std::span<const std::string_view> MeaninglessFlags();

}  // namespace slim
