// Zstandard as spans of bytes. Knows no file and no format.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/result.h"

namespace slim {

// One frame with the checksum of its content, so that a flipped bit is an error. The same bytes for
// the same input and library version.
Result<std::vector<std::byte>> ZstdCompress(std::span<const std::byte> bytes, int level);

// Exactly out.size() bytes; anything else, and a damaged frame, is an input error (ZSTD-frame).
Status ZstdDecompress(std::span<const std::byte> frame, std::span<std::byte> out);

}  // namespace slim
