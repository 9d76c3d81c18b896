// The regular expressions of tokenizer.json are Oniguruma's, in Ruby syntax; ours run on PCRE2.
// Rewrites what the two read differently: \s \w \d \h and POSIX classes as Unicode properties,
// \uHHHH, (?m) as dot-all, class intersections [a&&[^b]]. Refuses by name what has no counterpart.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace slim {

// The PCRE2 pattern (options UTF, UCP, MULTILINE, newline LF) that matches what `pattern` matches
// in Oniguruma. Error: TOK-regex.
Result<std::string> TranslateRegex(std::string_view pattern);

}  // namespace slim
