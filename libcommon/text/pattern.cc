#include "text/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <cstdint>

#include "base/text.h"
#include "json/json.h"
#include "text/regex_translate.h"
#include "text/unicode.h"

namespace slim {
namespace {

constexpr size_t kMaxExpressionBytes = 64 << 10;
// A sane expression takes a few steps a character; these stop the others within seconds.
constexpr uint32_t kMatchLimit = 20'000'000;
constexpr uint32_t kHeapLimitKiB = 256 << 10;

struct FreeContext {
  void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
};

std::string MessageOf(int code) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  if (pcre2_get_error_message(code, buffer.data(), buffer.size()) < 0) return "unknown error";
  return reinterpret_cast<const char*>(buffer.data());
}

PCRE2_SPTR Subject(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

}  // namespace

struct Pattern::Compiled {
  std::unique_ptr<pcre2_code, FreeContext> code;
  std::unique_ptr<pcre2_match_context, FreeContext> context;
  bool jit = false;

  // Offsets of the first match at or after `from`; a result code of PCRE2.
  int Match(std::string_view text, size_t from, pcre2_match_data* data) const {
    if (jit) {
      const int result =
          pcre2_jit_match(code.get(), Subject(text), text.size(), from, 0, data, context.get());
      if (result != PCRE2_ERROR_JIT_STACKLIMIT) return result;
    }
    return pcre2_match(code.get(), Subject(text), text.size(), from,
                       PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data, context.get());
  }
};

Pattern Pattern::Literal(std::string_view text) {
  Pattern pattern;
  pattern.text_ = text;
  return pattern;
}

Result<Pattern> Pattern::Regex(std::string_view expression) {
  if (expression.size() > kMaxExpressionBytes) {
    return InputError("TOK-regex", fmt::format("a regular expression of {} bytes, more than {}",
                                               expression.size(), kMaxExpressionBytes));
  }
  SLIM_ASSIGN(const std::string translated, TranslateRegex(expression));
  std::unique_ptr<pcre2_compile_context, FreeContext> options(
      pcre2_compile_context_create(nullptr));
  auto compiled = std::make_shared<Compiled>();
  compiled->context.reset(pcre2_match_context_create(nullptr));
  if (!options || !compiled->context) return InternalError("out of memory");
  pcre2_set_newline(options.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE at = 0;
  compiled->code.reset(pcre2_compile(
      Subject(translated), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE,
      &error, &at, options.get()));
  if (!compiled->code) {
    return InputError(
        "TOK-regex", fmt::format("regular expression {}: {}", Quote(expression), MessageOf(error)));
  }
  compiled->jit = pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE) == 0;
  pcre2_set_match_limit(compiled->context.get(), kMatchLimit);
  pcre2_set_heap_limit(compiled->context.get(), kHeapLimitKiB);
  Pattern pattern;
  pattern.text_ = expression;
  pattern.regex_ = std::move(compiled);
  return pattern;
}

Result<Pattern> Pattern::FromJson(const Json& json) {
  if (const Json* text = json.Find("String"); text != nullptr && text->is_string()) {
    return Literal(text->text());
  }
  if (const Json* text = json.Find("Regex"); text != nullptr && text->is_string()) {
    return Regex(text->text());
  }
  return InputError("TOK-field", "a pattern must be {\"String\": …} or {\"Regex\": …}, it is " +
                                     std::string(json.KindName()));
}

Status Pattern::FindAll(std::string_view text, std::vector<TextSpan>& matches) const {
  matches.clear();
  if (regex_) return FindRegex(text, matches);
  FindLiteral(text, matches);
  return {};
}

void Pattern::FindLiteral(std::string_view text, std::vector<TextSpan>& matches) const {
  if (text_.empty()) {  // matches before every character and at the end, as an empty regex does
    for (size_t i = 0; i < text.size(); i += DecodeAt(text, i).bytes) matches.push_back({i, i});
    matches.push_back({text.size(), text.size()});
    return;
  }
  for (size_t at = text.find(text_); at != std::string_view::npos;
       at = text.find(text_, at + text_.size())) {
    matches.push_back({at, at + text_.size()});
  }
}

Status Pattern::FindRegex(std::string_view text, std::vector<TextSpan>& matches) const {
  const std::unique_ptr<pcre2_match_data, FreeContext> data(pcre2_match_data_create(1, nullptr));
  if (!data) return InternalError("out of memory");
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(data.get());
  size_t from = 0;
  while (from <= text.size()) {
    const int result = regex_->Match(text, from, data.get());
    if (result == PCRE2_ERROR_NOMATCH) break;
    if (result < 0) {
      return InputError("TOK-regex-limit",
                        fmt::format("regular expression {} gave up on the text: {}", Quote(text_),
                                    MessageOf(result)));
    }
    const size_t begin = offsets[0];
    const size_t end = offsets[1];
    if (begin == end && !matches.empty() && matches.back().end == end) {
      from += from < text.size() ? DecodeAt(text, from).bytes : 1;
      continue;
    }
    matches.push_back({begin, end});
    from = end;
  }
  return {};
}

}  // namespace slim
