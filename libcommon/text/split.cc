#include "text/split.h"

namespace slim {
namespace {

struct Part {
  size_t begin;
  size_t end;
  bool is_match;
};

// Matches and what lies between them; covers the text.
std::vector<Part> Cover(size_t size, const std::vector<TextSpan>& matches, bool invert) {
  std::vector<Part> parts;
  parts.reserve(matches.size() * 2 + 1);
  size_t covered = 0;
  for (const TextSpan& match : matches) {
    if (match.begin > covered) parts.push_back({covered, match.begin, invert});
    parts.push_back({match.begin, match.end, !invert});
    covered = match.end;
  }
  if (covered < size) parts.push_back({covered, size, invert});
  return parts;
}

// Joins every part with its left neighbour where `join(part, neighbour_was_match)` says so.
template <class Join>
std::vector<Part> JoinLeft(const std::vector<Part>& parts, Join join) {
  std::vector<Part> joined;
  bool previous_match = false;
  for (const Part& part : parts) {
    if (!joined.empty() && join(part, previous_match)) {
      joined.back().end = part.end;
    } else {
      joined.push_back(part);
    }
    previous_match = part.is_match;
  }
  return joined;
}

// The mirror image: a match joins the part to its right, unless that is a match itself.
std::vector<Part> JoinRight(const std::vector<Part>& parts) {
  std::vector<Part> joined;
  bool pending = false;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (pending) {
      joined.back().end = parts[i].end;
    } else {
      joined.push_back(parts[i]);
    }
    const bool next_match = i + 1 < parts.size() && parts[i + 1].is_match;
    pending = parts[i].is_match && !next_match && i + 1 < parts.size();
  }
  return joined;
}

std::vector<Part> Arrange(std::vector<Part> parts, SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kRemoved:
      std::erase_if(parts, [](const Part& part) { return part.is_match; });
      return parts;
    case SplitBehavior::kIsolated:
      return parts;
    case SplitBehavior::kMergedWithPrevious:
      return JoinLeft(parts, [](const Part& part, bool previous_match) {
        return part.is_match && !previous_match;
      });
    case SplitBehavior::kContiguous:
      return JoinLeft(parts, [](const Part& part, bool previous_match) {
        return part.is_match == previous_match;
      });
    case SplitBehavior::kMergedWithNext:
      return JoinRight(parts);
  }
  return parts;
}

}  // namespace

std::optional<SplitBehavior> ParseSplitBehavior(std::string_view name) {
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return std::nullopt;
}

void SplitPiece(const Pieces::Piece& piece, const std::vector<TextSpan>& matches,
                SplitBehavior behavior, bool invert, std::vector<Pieces::Piece>& out) {
  for (const Part& part : Arrange(Cover(piece.text.size(), matches, invert), behavior)) {
    if (part.end == part.begin) continue;
    out.push_back(
        {piece.text.substr(part.begin, part.end - part.begin), piece.at_start && part.begin == 0});
  }
}

}  // namespace slim
