// Text helpers shared by messages and reports: escaping names that come from files, sizes, joining,
// and nearest spelling. Knows no format.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slim {

// Control characters, DEL and bytes that are not UTF-8 as \xNN, backslash as \\ ; everything else
// as it is.
std::string Escape(std::string_view text);
// Escape() between single quotes, cut in the middle above 200 bytes.
std::string Quote(std::string_view text);

std::string Join(const std::vector<std::string>& parts, std::string_view separator);
std::vector<std::string> Split(std::string_view text, char separator);
std::string_view Trim(std::string_view text);
std::string ToLower(std::string_view ascii);
std::string ToUpper(std::string_view ascii);

bool IsUtf8(std::string_view text);

// 1536 -> "1.5 KiB"; exact below 1 KiB.
std::string HumanSize(uint64_t bytes);
// "4GiB", "500MB", "1024": units K M G T with optional iB (2^10) or B (10^3); nothing when it is no
// size.
std::optional<uint64_t> ParseSize(std::string_view text);

// The candidate nearest to `word` by edit distance, if near enough to be a typo; empty otherwise.
std::string NearestSpelling(std::string_view word, const std::vector<std::string>& candidates);

// Orders "layers.2" before "layers.10": runs of digits compare as numbers.
bool NaturalLess(std::string_view a, std::string_view b);

}  // namespace slim
