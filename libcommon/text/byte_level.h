// The spelling of bytes as printable characters that GPT-2 introduced: bytes 33–126, 161–172 and
// 174–255 stand for themselves, the others for U+0100 and up, in order (space is U+0120, "Ġ").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slim {

// Appends the spelling of every byte of `bytes`.
void AppendByteLevel(std::string& out, std::string_view bytes);
// The byte a character stands for; empty for other characters.
std::optional<char> ByteOfCharacter(char32_t character);

}  // namespace slim
