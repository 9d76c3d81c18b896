#include "text/byte_level.h"

#include <array>

namespace slim {
namespace {

constexpr bool StandsForItself(uint32_t byte) {
  return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

constexpr uint32_t kAlphabetEnd = 0x100 + 68;  // 68 bytes do not stand for themselves

struct Table {
  std::array<uint16_t, 256> character{};
  std::array<int16_t, kAlphabetEnd> byte{};  // -1: none
};

constexpr Table MakeTable() {
  Table table;
  for (int16_t& byte : table.byte) byte = -1;
  uint32_t next = 0x100;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const uint32_t character = StandsForItself(byte) ? byte : next++;
    table.character[byte] = static_cast<uint16_t>(character);
    table.byte[character] = static_cast<int16_t>(byte);
  }
  return table;
}

constexpr Table kTable = MakeTable();

}  // namespace

void AppendByteLevel(std::string& out, std::string_view bytes) {
  for (const char c : bytes) {
    const uint32_t character = kTable.character[static_cast<unsigned char>(c)];
    if (character < 0x80) {
      out += static_cast<char>(character);
    } else {  // the alphabet ends below U+0800
      out += static_cast<char>(0xC0U | (character >> 6));
      out += static_cast<char>(0x80U | (character & 0x3FU));
    }
  }
}

std::optional<char> ByteOfCharacter(char32_t character) {
  if (character >= kAlphabetEnd || kTable.byte[character] < 0) return std::nullopt;
  return static_cast<char>(kTable.byte[character]);
}

}  // namespace slim
