#include "text/pre_tokenizer.h"

#include <utility>

#include "base/text.h"
#include "text/byte_level.h"
#include "text/component.h"
#include "text/pattern.h"
#include "text/split.h"
#include "text/unicode.h"

namespace slim {
namespace {

constexpr std::string_view kKind = "pre_tokenizer";
// Radford et al. 2019 (GPT-2), as tokenizers' ByteLevel uses it.
constexpr std::string_view kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

using Piece = Pieces::Piece;

Status SplitAll(Pieces& pieces, const Pattern& pattern, SplitBehavior behavior, bool invert) {
  std::vector<Piece> out;
  std::vector<TextSpan> matches;
  for (const Piece& piece : pieces.items()) {
    SLIM_TRY(pattern.FindAll(piece.text, matches));
    SplitPiece(piece, matches, behavior, invert, out);
  }
  pieces.Replace(std::move(out));
  return {};
}

// Every character for which `is_match` holds is a match of its own.
template <class Predicate>
void SplitAtCharacters(Pieces& pieces, Predicate is_match, SplitBehavior behavior) {
  std::vector<Piece> out;
  std::vector<TextSpan> matches;
  for (const Piece& piece : pieces.items()) {
    matches.clear();
    for (size_t i = 0; i < piece.text.size();) {
      const CodePoint point = DecodeAt(piece.text, i);
      if (is_match(point.value)) matches.push_back({i, i + point.bytes});
      i += point.bytes;
    }
    SplitPiece(piece, matches, behavior, false, out);
  }
  pieces.Replace(std::move(out));
}

// Rewrites every piece into one new buffer. `append(out, piece)` adds the new text of a piece.
template <class Append>
Status Rewrite(Pieces& pieces, Append append) {
  std::string buffer;
  std::vector<size_t> ends;
  for (const Piece& piece : pieces.items()) {
    append(buffer, piece);
    ends.push_back(buffer.size());
    if (GrewTooMuch(pieces.input_size(), buffer.size())) return GrowthError(kKind);
  }
  const std::string_view text = pieces.Own(std::move(buffer));
  std::vector<Piece> out;
  size_t begin = 0;
  for (size_t i = 0; i < ends.size(); ++i) {
    out.push_back({text.substr(begin, ends[i] - begin), pieces.items()[i].at_start});
    begin = ends[i];
  }
  pieces.Replace(std::move(out));
  return {};
}

class SplitPreTokenizer : public PreTokenizer {
 public:
  SplitPreTokenizer(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  Status Apply(Pieces& pieces) const override {
    return SplitAll(pieces, pattern_, behavior_, invert_);
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class ByteLevelPreTokenizer : public PreTokenizer {
 public:
  ByteLevelPreTokenizer(bool add_prefix_space, std::optional<Pattern> pattern)
      : add_prefix_space_(add_prefix_space), pattern_(std::move(pattern)) {}
  Status Apply(Pieces& pieces) const override {
    if (add_prefix_space_) {
      SLIM_TRY(Rewrite(pieces, [](std::string& out, const Piece& piece) {
        if (!piece.text.starts_with(' ')) out += ' ';
        out += piece.text;
      }));
    }
    if (pattern_) SLIM_TRY(SplitAll(pieces, *pattern_, SplitBehavior::kIsolated, false));
    return Rewrite(pieces,
                   [](std::string& out, const Piece& piece) { AppendByteLevel(out, piece.text); });
  }

 private:
  bool add_prefix_space_;
  std::optional<Pattern> pattern_;
};

enum class PrependScheme { kAlways, kFirst, kNever };

class MetaspacePreTokenizer : public PreTokenizer {
 public:
  MetaspacePreTokenizer(char32_t replacement, PrependScheme scheme, bool split)
      : replacement_(replacement), scheme_(scheme), split_(split) {
    AppendUtf8(spelled_, replacement);
  }
  Status Apply(Pieces& pieces) const override {
    SLIM_TRY(Rewrite(pieces, [this](std::string& out, const Piece& piece) { Put(out, piece); }));
    if (split_) {
      SplitAtCharacters(
          pieces, [this](char32_t value) { return value == replacement_; },
          SplitBehavior::kMergedWithNext);
    }
    return {};
  }

 private:
  void Put(std::string& out, const Piece& piece) const {
    const bool wanted =
        scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && piece.at_start);
    const bool present = piece.text.starts_with(' ') || piece.text.starts_with(spelled_);
    if (wanted && !present) out += spelled_;
    for (const char c : piece.text) {
      if (c == ' ') {
        out += spelled_;
      } else {
        out += c;
      }
    }
  }

  char32_t replacement_;
  std::string spelled_;
  PrependScheme scheme_;
  bool split_;
};

// Digits, Punctuation, WhitespaceSplit, CharDelimiterSplit: one class of characters, one behavior.
template <class Predicate>
class CharacterPreTokenizer : public PreTokenizer {
 public:
  CharacterPreTokenizer(Predicate is_match, SplitBehavior behavior)
      : is_match_(is_match), behavior_(behavior) {}
  Status Apply(Pieces& pieces) const override {
    SplitAtCharacters(pieces, is_match_, behavior_);
    return {};
  }

 private:
  Predicate is_match_;
  SplitBehavior behavior_;
};

// \w+|[^\w\s]+ : runs of word characters and runs of the others; white space goes.
class WhitespacePreTokenizer : public PreTokenizer {
 public:
  Status Apply(Pieces& pieces) const override {
    std::vector<Piece> out;
    for (const Piece& piece : pieces.items()) CutRuns(piece, out);
    pieces.Replace(std::move(out));
    return {};
  }

 private:
  enum class Class { kSpace, kWord, kOther };
  static Class ClassOf(char32_t value) {
    if (IsWordCharacter(value)) return Class::kWord;
    return IsWhiteSpace(value) ? Class::kSpace : Class::kOther;
  }
  static void CutRuns(const Piece& piece, std::vector<Piece>& out) {
    size_t begin = 0;
    while (begin < piece.text.size()) {
      const CodePoint first = DecodeAt(piece.text, begin);
      const Class kind = ClassOf(first.value);
      size_t end = begin + first.bytes;
      while (end < piece.text.size()) {
        const CodePoint next = DecodeAt(piece.text, end);
        if (ClassOf(next.value) != kind) break;
        end += next.bytes;
      }
      if (kind != Class::kSpace) {
        out.push_back({piece.text.substr(begin, end - begin), piece.at_start && begin == 0});
      }
      begin = end;
    }
  }
};

class FixedLengthPreTokenizer : public PreTokenizer {
 public:
  explicit FixedLengthPreTokenizer(uint64_t length) : length_(length) {}
  Status Apply(Pieces& pieces) const override {
    std::vector<Piece> out;
    for (const Piece& piece : pieces.items()) {
      for (size_t begin = 0; begin < piece.text.size();) {
        size_t end = begin;
        for (uint64_t i = 0; i < length_ && end < piece.text.size(); ++i) {
          end += DecodeAt(piece.text, end).bytes;
        }
        out.push_back({piece.text.substr(begin, end - begin), piece.at_start && begin == 0});
        begin = end;
      }
    }
    pieces.Replace(std::move(out));
    return {};
  }

 private:
  uint64_t length_;
};

class SequencePreTokenizer : public PreTokenizer {
 public:
  explicit SequencePreTokenizer(std::vector<std::unique_ptr<PreTokenizer>> parts)
      : parts_(std::move(parts)) {}
  Status Apply(Pieces& pieces) const override {
    for (const auto& part : parts_) SLIM_TRY(part->Apply(pieces));
    return {};
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

using PreTokenizerResult = Result<std::unique_ptr<PreTokenizer>>;

template <class T, class... Args>
std::unique_ptr<PreTokenizer> Make(Args&&... args) {
  return std::make_unique<T>(std::forward<Args>(args)...);
}

template <class Predicate>
std::unique_ptr<PreTokenizer> AtCharacters(Predicate is_match, SplitBehavior behavior) {
  return std::make_unique<CharacterPreTokenizer<Predicate>>(is_match, behavior);
}

Result<SplitBehavior> ReadBehavior(const Component& part,
                                   std::optional<std::string_view> fallback = std::nullopt) {
  SLIM_ASSIGN(const std::string name, part.String("behavior", fallback));
  const std::optional<SplitBehavior> behavior = ParseSplitBehavior(name);
  if (!behavior) return part.Bad("unknown \"behavior\" " + Quote(name));
  return *behavior;
}

PreTokenizerResult ReadSplit(const Component& part) {
  const Json* pattern = part.Find("pattern");
  if (pattern == nullptr) return part.Bad("\"pattern\" is missing");
  SLIM_ASSIGN(Pattern compiled, Pattern::FromJson(*pattern));
  SLIM_ASSIGN(const SplitBehavior behavior, ReadBehavior(part));
  SLIM_ASSIGN(const bool invert, part.Bool("invert", false));
  return Make<SplitPreTokenizer>(std::move(compiled), behavior, invert);
}

PreTokenizerResult ReadByteLevel(const Component& part) {
  SLIM_ASSIGN(const bool add_prefix_space, part.Bool("add_prefix_space", true));
  SLIM_ASSIGN(const bool use_regex, part.Bool("use_regex", true));
  std::optional<Pattern> pattern;
  if (use_regex) {
    SLIM_ASSIGN(pattern, Pattern::Regex(kGpt2Expression));
  }
  return Make<ByteLevelPreTokenizer>(add_prefix_space, std::move(pattern));
}

PreTokenizerResult ReadMetaspace(const Component& part) {
  SLIM_ASSIGN(const char32_t replacement, part.Character("replacement"));
  SLIM_ASSIGN(const bool add_prefix_space, part.Bool("add_prefix_space", true));
  SLIM_ASSIGN(const std::string name,
              part.String("prepend_scheme", add_prefix_space ? "always" : "never"));
  SLIM_ASSIGN(const bool split, part.Bool("split", true));
  PrependScheme scheme = PrependScheme::kNever;
  if (name == "always") {
    scheme = PrependScheme::kAlways;
  } else if (name == "first") {
    scheme = PrependScheme::kFirst;
  } else if (name != "never") {
    return part.Bad("unknown \"prepend_scheme\" " + Quote(name));
  }
  return Make<MetaspacePreTokenizer>(replacement, scheme, split);
}

PreTokenizerResult ReadSequence(const Component& part) {
  SLIM_ASSIGN(const Json* items, part.Parts("pretokenizers"));
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  for (const Json& item : items->items()) {
    SLIM_ASSIGN(auto pre_tokenizer, PreTokenizer::FromJson(&item));
    if (pre_tokenizer) parts.push_back(std::move(pre_tokenizer));
  }
  return Make<SequencePreTokenizer>(std::move(parts));
}

PreTokenizerResult ReadDigits(const Component& part) {
  SLIM_ASSIGN(const bool individual, part.Bool("individual_digits", false));
  return AtCharacters(IsNumeric,
                      individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous);
}

PreTokenizerResult ReadCharDelimiter(const Component& part) {
  SLIM_ASSIGN(const char32_t delimiter, part.Character("delimiter"));
  return AtCharacters([delimiter](char32_t value) { return value == delimiter; },
                      SplitBehavior::kRemoved);
}

PreTokenizerResult ReadFixedLength(const Component& part) {
  SLIM_ASSIGN(const uint64_t length, part.Unsigned("length", 1ULL << 31));
  if (length == 0) return part.Bad("\"length\" must be positive");
  return Make<FixedLengthPreTokenizer>(length);
}

PreTokenizerResult MakeBert() {
  std::vector<std::unique_ptr<PreTokenizer>> parts;
  parts.push_back(AtCharacters(IsWhiteSpace, SplitBehavior::kRemoved));
  parts.push_back(AtCharacters(IsPunctuation, SplitBehavior::kIsolated));
  return Make<SequencePreTokenizer>(std::move(parts));
}

}  // namespace

PreTokenizerResult PreTokenizer::FromJson(const Json* json) {
  if (json == nullptr || json->is_null()) return std::unique_ptr<PreTokenizer>();
  SLIM_ASSIGN(const Component part, Component::Open(*json, kKind));
  const std::string& type = part.type();
  if (type == "Split") return ReadSplit(part);
  if (type == "ByteLevel") return ReadByteLevel(part);
  if (type == "Metaspace") return ReadMetaspace(part);
  if (type == "Digits") return ReadDigits(part);
  if (type == "Whitespace") return Make<WhitespacePreTokenizer>();
  if (type == "WhitespaceSplit") return AtCharacters(IsWhiteSpace, SplitBehavior::kRemoved);
  if (type == "CharDelimiterSplit") return ReadCharDelimiter(part);
  if (type == "FixedLength") return ReadFixedLength(part);
  if (type == "BertPreTokenizer") return MakeBert();
  if (type == "Sequence") return ReadSequence(part);
  if (type == "Punctuation") {
    SLIM_ASSIGN(const SplitBehavior behavior, ReadBehavior(part, "Isolated"));
    return AtCharacters(IsPunctuation, behavior);
  }
  return part.Unsupported();
}

}  // namespace slim
