#include "text/decoder.h"

#include <array>
#include <utility>

#include "text/byte_level.h"
#include "text/component.h"
#include "text/pattern.h"
#include "text/unicode.h"

namespace slim {
namespace {

constexpr std::string_view kKind = "decoder";
constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

using Tokens = std::vector<std::string>;

size_t TotalSize(const Tokens& tokens) {
  size_t total = 0;
  for (const std::string& token : tokens) total += token.size();
  return total;
}

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  size_t at = from.empty() ? std::string::npos : text.find(from);
  if (at == std::string::npos) return;
  std::string out;
  size_t copied = 0;
  for (; at != std::string::npos; at = text.find(from, copied)) {
    out.append(text, copied, at - copied);
    out += to;
    copied = at + from.size();
  }
  out.append(text, copied);
  text = std::move(out);
}

class ByteLevelDecoder : public Decoder {
 public:
  DecoderTraits traits() const override { return {.joins_tokens = true}; }
  Status Apply(Tokens& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) AppendBytes(bytes, token);
    std::string text;
    AppendLossy(text, bytes);
    tokens.assign(1, std::move(text));
    return {};
  }

 private:
  // A token with a character outside the alphabet stands for its own UTF-8.
  static void AppendBytes(std::string& bytes, const std::string& token) {
    const size_t before = bytes.size();
    for (size_t i = 0; i < token.size();) {
      const CodePoint point = DecodeAt(token, i);
      const std::optional<char> byte = ByteOfCharacter(point.value);
      if (!byte) {
        bytes.resize(before);
        bytes += token;
        return;
      }
      bytes += *byte;
      i += point.bytes;
    }
  }
};

class ByteFallbackDecoder : public Decoder {
 public:
  DecoderTraits traits() const override {
    return {.joins_tokens = true, .joins_byte_tokens = true};
  }
  Status Apply(Tokens& tokens) const override {
    Tokens out;
    std::string run;
    for (std::string& token : tokens) {
      if (const std::optional<char> byte = ByteOfToken(token); byte) {
        run += *byte;
        continue;
      }
      EndRun(run, out);
      out.push_back(std::move(token));
    }
    EndRun(run, out);
    tokens = std::move(out);
    return {};
  }

 private:
  // A run that is not UTF-8 as a whole becomes one U+FFFD a byte.
  static void EndRun(std::string& run, Tokens& out) {
    if (run.empty()) return;
    std::string lossy;
    AppendLossy(lossy, run);
    if (lossy == run) {
      out.push_back(run);
    } else {
      out.insert(out.end(), run.size(), std::string(kReplacementCharacter));
    }
    run.clear();
  }
};

class FuseDecoder : public Decoder {
 public:
  DecoderTraits traits() const override { return {.joins_tokens = true}; }
  Status Apply(Tokens& tokens) const override {
    std::string text;
    for (const std::string& token : tokens) text += token;
    tokens.assign(1, std::move(text));
    return {};
  }
};

class StripDecoder : public Decoder {
 public:
  StripDecoder(char32_t content, uint64_t start, uint64_t stop) : start_(start), stop_(stop) {
    AppendUtf8(content_, content);
  }
  DecoderTraits traits() const override { return {.looks_ahead = stop_ > 0}; }
  Status Apply(Tokens& tokens) const override {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (uint64_t i = 0; i < start_ && rest.starts_with(content_); ++i) {
        rest.remove_prefix(content_.size());
      }
      for (uint64_t i = 0; i < stop_ && rest.ends_with(content_); ++i) {
        rest.remove_suffix(content_.size());
      }
      token = std::string(rest);
    }
    return {};
  }

 private:
  std::string content_;
  uint64_t start_;
  uint64_t stop_;
};

class ReplaceDecoder : public Decoder {
 public:
  ReplaceDecoder(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  DecoderTraits traits() const override { return {.searches_text = true}; }
  Status Apply(Tokens& tokens) const override {
    std::vector<TextSpan> matches;
    const size_t before = TotalSize(tokens);
    size_t after = before;
    for (std::string& token : tokens) {
      SLIM_TRY(pattern_.FindAll(token, matches));
      if (matches.empty()) continue;
      after += matches.size() * content_.size();
      if (GrewTooMuch(before, after)) return GrowthError("decoder Replace");
      std::string replaced;
      size_t copied = 0;
      for (const TextSpan& match : matches) {
        replaced.append(token, copied, match.begin - copied);
        replaced += content_;
        copied = match.end;
      }
      replaced.append(token, copied);
      token = std::move(replaced);
    }
    return {};
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class MetaspaceDecoder : public Decoder {
 public:
  MetaspaceDecoder(char32_t replacement, bool prepends) : prepends_(prepends) {
    AppendUtf8(spelled_, replacement);
  }
  Status Apply(Tokens& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      ReplaceAll(tokens[i], spelled_, i == 0 && prepends_ ? "" : " ");
    }
    return {};
  }

 private:
  std::string spelled_;
  bool prepends_;
};

class WordPieceDecoder : public Decoder {
 public:
  WordPieceDecoder(std::string prefix, bool cleanup)
      : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  Status Apply(Tokens& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0) {
        if (tokens[i].starts_with(prefix_)) {
          tokens[i].erase(0, prefix_.size());
        } else {
          tokens[i].insert(tokens[i].begin(), ' ');
        }
      }
      if (cleanup_) tokens[i] = CleanUpSpaces(std::move(tokens[i]), true);
    }
    return {};
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class SuffixDecoder : public Decoder {  // BPEDecoder
 public:
  DecoderTraits traits() const override { return {.looks_ahead = true}; }
  explicit SuffixDecoder(std::string suffix) : suffix_(std::move(suffix)) {}
  Status Apply(Tokens& tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      ReplaceAll(tokens[i], suffix_, i + 1 == tokens.size() ? "" : " ");
    }
    return {};
  }

 private:
  std::string suffix_;
};

class CtcDecoder : public Decoder {
 public:
  CtcDecoder(std::string pad, std::string delimiter, bool cleanup)
      : pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}
  Status Apply(Tokens& tokens) const override {
    Tokens out;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0 && tokens[i] == tokens[i - 1]) continue;
      std::string text = tokens[i];
      ReplaceAll(text, pad_, "");
      if (cleanup_) {
        text = CleanUpSpaces(std::move(text), true);
        ReplaceAll(text, delimiter_, " ");
      }
      if (!text.empty()) out.push_back(std::move(text));
    }
    tokens = std::move(out);
    return {};
  }

 private:
  std::string pad_;
  std::string delimiter_;
  bool cleanup_;
};

class SequenceDecoder : public Decoder {
 public:
  explicit SequenceDecoder(std::vector<std::unique_ptr<Decoder>> parts)
      : parts_(std::move(parts)) {}
  Status Apply(Tokens& tokens) const override {
    const size_t before = TotalSize(tokens);
    for (const auto& part : parts_) {
      SLIM_TRY(part->Apply(tokens));
      if (GrewTooMuch(before, TotalSize(tokens))) return GrowthError(kKind);
    }
    return {};
  }
  DecoderTraits traits() const override {
    DecoderTraits all;
    for (const auto& part : parts_) {
      const DecoderTraits own = part->traits();
      all.looks_ahead |= own.looks_ahead || (own.searches_text && all.joins_tokens);
      all.joins_tokens |= own.joins_tokens;
      all.joins_byte_tokens |= own.joins_byte_tokens;
    }
    return all;
  }

 private:
  std::vector<std::unique_ptr<Decoder>> parts_;
};

using DecoderResult = Result<std::unique_ptr<Decoder>>;

template <class T, class... Args>
std::unique_ptr<Decoder> Make(Args&&... args) {
  return std::make_unique<T>(std::forward<Args>(args)...);
}

DecoderResult ReadStrip(const Component& part) {
  SLIM_ASSIGN(const char32_t content, part.Character("content"));
  SLIM_ASSIGN(const uint64_t start, part.Unsigned("start", 1ULL << 31));
  SLIM_ASSIGN(const uint64_t stop, part.Unsigned("stop", 1ULL << 31));
  return Make<StripDecoder>(content, start, stop);
}

DecoderResult ReadReplace(const Component& part) {
  const Json* pattern = part.Find("pattern");
  if (pattern == nullptr) return part.Bad("\"pattern\" is missing");
  SLIM_ASSIGN(Pattern compiled, Pattern::FromJson(*pattern));
  SLIM_ASSIGN(std::string content, part.String("content"));
  return Make<ReplaceDecoder>(std::move(compiled), std::move(content));
}

DecoderResult ReadMetaspace(const Component& part) {
  SLIM_ASSIGN(const char32_t replacement, part.Character("replacement"));
  SLIM_ASSIGN(const bool add_prefix_space, part.Bool("add_prefix_space", true));
  SLIM_ASSIGN(const std::string scheme,
              part.String("prepend_scheme", add_prefix_space ? "always" : "never"));
  return Make<MetaspaceDecoder>(replacement, scheme != "never");
}

DecoderResult ReadWordPiece(const Component& part) {
  SLIM_ASSIGN(std::string prefix, part.String("prefix", "##"));
  SLIM_ASSIGN(const bool cleanup, part.Bool("cleanup", true));
  return Make<WordPieceDecoder>(std::move(prefix), cleanup);
}

DecoderResult ReadCtc(const Component& part) {
  SLIM_ASSIGN(std::string pad, part.String("pad_token", "<pad>"));
  SLIM_ASSIGN(std::string delimiter, part.String("word_delimiter_token", "|"));
  SLIM_ASSIGN(const bool cleanup, part.Bool("cleanup", true));
  return Make<CtcDecoder>(std::move(pad), std::move(delimiter), cleanup);
}

DecoderResult ReadSequence(const Component& part) {
  SLIM_ASSIGN(const Json* items, part.Parts("decoders"));
  std::vector<std::unique_ptr<Decoder>> parts;
  for (const Json& item : items->items()) {
    SLIM_ASSIGN(auto decoder, Decoder::FromJson(&item));
    if (decoder) parts.push_back(std::move(decoder));
  }
  return Make<SequenceDecoder>(std::move(parts));
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::optional<char> ByteOfToken(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const int high = HexValue(token[3]);
  const int low = HexValue(token[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

std::string CleanUpSpaces(std::string text, bool of_wordpiece) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kBefore = {{
      {" .", "."},
      {" ?", "?"},
      {" !", "!"},
      {" ,", ","},
      {" ' ", "'"},
      {" n't", "n't"},
      {" 'm", "'m"},
  }};
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kAfter = {{
      {" 's", "'s"},
      {" 've", "'ve"},
      {" 're", "'re"},
  }};
  for (const auto& [from, to] : kBefore) ReplaceAll(text, from, to);
  if (of_wordpiece) ReplaceAll(text, " do not", " don't");
  for (const auto& [from, to] : kAfter) ReplaceAll(text, from, to);
  return text;
}

DecoderResult Decoder::FromJson(const Json* json) {
  if (json == nullptr || json->is_null()) return std::unique_ptr<Decoder>();
  SLIM_ASSIGN(const Component part, Component::Open(*json, kKind));
  const std::string& type = part.type();
  if (type == "ByteLevel") return Make<ByteLevelDecoder>();
  if (type == "ByteFallback") return Make<ByteFallbackDecoder>();
  if (type == "Fuse") return Make<FuseDecoder>();
  if (type == "Strip") return ReadStrip(part);
  if (type == "Replace") return ReadReplace(part);
  if (type == "Metaspace") return ReadMetaspace(part);
  if (type == "WordPiece") return ReadWordPiece(part);
  if (type == "CTC") return ReadCtc(part);
  if (type == "Sequence") return ReadSequence(part);
  if (type == "BPEDecoder") {
    SLIM_ASSIGN(std::string suffix, part.String("suffix", "</w>"));
    return Make<SuffixDecoder>(std::move(suffix));
  }
  return part.Unsupported();
}

}  // namespace slim
