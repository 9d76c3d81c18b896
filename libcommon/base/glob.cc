#include "base/glob.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "base/text.h"

namespace slim {
namespace {

constexpr size_t kMaxWords = 10000;

// The position of the brace that closes the one at `open`, or npos.
size_t ClosingBrace(std::string_view s, size_t open) {
  int depth = 0;
  for (size_t i = open; i < s.size(); ++i) {
    if (s[i] == '{') ++depth;
    if (s[i] == '}' && --depth == 0) return i;
  }
  return std::string_view::npos;
}

// "1..5" -> its numbers; nothing when the text is no range.
std::optional<std::vector<std::string>> ExpandRange(std::string_view body) {
  const size_t dots = body.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const auto parse = [](std::string_view text) -> std::optional<int> {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  };
  const auto first = parse(body.substr(0, dots));
  const auto last = parse(body.substr(dots + 2));
  if (!first || !last) return std::nullopt;
  std::vector<std::string> words;
  const int step = *first <= *last ? 1 : -1;
  for (int64_t i = *first; words.size() <= kMaxWords; i += step) {
    words.push_back(std::to_string(i));
    if (i == *last) break;
  }
  return words;
}

std::vector<std::string> SplitTopLevel(std::string_view body) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : body) {
    if (c == '{') ++depth;
    if (c == '}') --depth;
    if (c == ',' && depth == 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

Status Expand(std::string_view pattern, std::vector<std::string>& words) {
  size_t open = pattern.find('{');
  while (open != std::string_view::npos) {
    const size_t close = ClosingBrace(pattern, open);
    if (close == std::string_view::npos) break;
    const std::string_view body = pattern.substr(open + 1, close - open - 1);
    std::vector<std::string> options = SplitTopLevel(body);
    if (options.size() == 1) {
      auto range = ExpandRange(body);
      if (!range) {
        open = pattern.find('{', open + 1);
        continue;
      }
      options = std::move(*range);
    }
    for (const std::string& option : options) {
      SLIM_TRY(Expand(
          std::string(pattern.substr(0, open)) + option + std::string(pattern.substr(close + 1)),
          words));
    }
    return {};
  }
  if (words.size() >= kMaxWords) {
    return UsageError(
        fmt::format("pattern {} expands to more than {} words", Quote(pattern), kMaxWords));
  }
  words.emplace_back(pattern);
  return {};
}

// Matches one set such as [a-z] at `p`; sets `length` to its length, 0 when the set is not closed.
bool MatchSet(std::string_view pattern, size_t p, char c, size_t& length) {
  size_t i = p + 1;
  const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  if (negated) ++i;
  const size_t close = pattern.find(']', i + 1);
  if (close == std::string_view::npos) {
    length = 0;
    return false;
  }
  bool found = false;
  for (; i < close; ++i) {
    if (i + 2 < close && pattern[i + 1] == '-') {
      found = found || (pattern[i] <= c && c <= pattern[i + 2]);
      i += 2;
    } else {
      found = found || pattern[i] == c;
    }
  }
  length = close - p + 1;
  return found != negated;
}

// Iterative matching with one backtrack point a star: linear in practice, never exponential.
bool MatchWord(std::string_view pattern, std::string_view name) {
  size_t p = 0;
  size_t n = 0;
  size_t star = std::string_view::npos;
  size_t star_name = 0;
  while (n < name.size()) {
    size_t step = 1;
    bool matched = false;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      star_name = n;
      continue;
    }
    if (p < pattern.size()) {
      matched = pattern[p] == '?' || pattern[p] == name[n];
      if (pattern[p] == '[') {
        size_t length = 0;
        const bool in_set = MatchSet(pattern, p, name[n], length);
        if (length > 0) {
          matched = in_set;
          step = length;
        }
      }
    }
    if (matched) {
      p += step;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++star_name;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

}  // namespace

Result<Glob> Glob::Compile(std::string_view pattern) {
  Glob glob;
  glob.pattern_ = pattern;
  SLIM_TRY(Expand(pattern, glob.words_));
  return glob;
}

bool Glob::Matches(std::string_view name) const {
  return name == pattern_ ||
         std::any_of(words_.begin(), words_.end(),
                     [&](const std::string& word) { return MatchWord(word, name); });
}

Result<GlobSet> GlobSet::Compile(const std::vector<std::string>& patterns) {
  GlobSet set;
  for (const std::string& pattern : patterns) {
    SLIM_ASSIGN(Glob glob, Glob::Compile(pattern));
    set.globs_.push_back(std::move(glob));
  }
  set.hits_.resize(set.globs_.size());
  return set;
}

bool GlobSet::Matches(std::string_view name) {
  bool matched = false;
  for (size_t i = 0; i < globs_.size(); ++i) {
    if (!globs_[i].Matches(name)) continue;
    ++hits_[i];
    matched = true;
  }
  return matched;
}

std::vector<std::string> GlobSet::Unmatched() const {
  std::vector<std::string> patterns;
  for (size_t i = 0; i < globs_.size(); ++i) {
    if (hits_[i] == 0) patterns.push_back(globs_[i].pattern());
  }
  return patterns;
}

}  // namespace slim
