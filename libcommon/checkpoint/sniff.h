// What a file that should be safetensors really is, from its first bytes: the commonest complaint
// about "header too large" is a git-lfs pointer or an error page (facts: reliability.md 2.6).
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace slim {

// "a git-lfs pointer (run git lfs pull)", "a PyTorch zip archive", "a pickle", "a GGUF file", "an
// HTML page", …; empty when nothing is recognised.
std::string SniffForeignFormat(std::span<const std::byte> head);

}  // namespace slim
