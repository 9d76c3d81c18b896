// Selectors of tensors and layers: globs over the full dotted name as msModelSlim recipes use them
// (wcmatch with BRACE):
// `*` any characters including dots, `?` one, `[abc]` `[!a-z]` sets, `{a,b}` alternatives, `{1..5}`
// ranges. The whole name must match; case matters. Exact equality with the pattern matches first
// (facts: algorithms.md 1.5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace slim {

class Glob {
 public:
  // An unclosed brace or set is taken literally, as wcmatch does; only an expansion above 10 000
  // words is an error.
  static Result<Glob> Compile(std::string_view pattern);
  bool Matches(std::string_view name) const;
  const std::string& pattern() const { return pattern_; }

 private:
  std::string pattern_;
  std::vector<std::string> words_;  // the pattern after brace expansion
};

// A list of globs that counts what each one matched, so that a pattern that matched nothing can be
// reported.
class GlobSet {
 public:
  static Result<GlobSet> Compile(const std::vector<std::string>& patterns);
  bool Matches(std::string_view name);
  bool empty() const { return globs_.empty(); }
  std::vector<std::string> Unmatched() const;

 private:
  std::vector<Glob> globs_;
  std::vector<size_t> hits_;
};

}  // namespace slim
