// Names that come out of files must not leave their directory: one plain file name, nothing that a
// path can express.
#pragma once

#include <string_view>

#include "base/result.h"

namespace slim {

// Non-empty, at most 255 bytes, no '/', '\', NUL or other control character, not "." or "..", ends
// in `suffix`.
Status CheckPlainFileName(std::string_view name, std::string_view suffix = "");

// The output must not be the input, lie inside it or contain it, by whatever spelling, link or
// mount.
Status CheckOutputApart(const std::string& input, const std::string& output);

}  // namespace slim
