// Completion scripts for shells, made from a tool's flag table like --help: the commands, every
// flag that --help shows, the words of choices. Other values and operands complete as files. Owns
// no flags; installs nothing.
#pragma once

#include <string>

#include "cli/flag.h"

namespace slim {

enum class Shell : uint8_t { kBash, kZsh, kFish };

// The script for one tool: for bash to be sourced or installed as completions/<tool>, for zsh as
// site-functions/_<tool>, for fish as vendor_completions.d/<tool>.fish.
std::string CompletionScript(const Tool& tool, Shell shell);

}  // namespace slim
