#include "text/normalizer.h"

#include <utility>
#include <vector>

#include "text/byte_level.h"
#include "text/component.h"
#include "text/pattern.h"
#include "text/unicode.h"

namespace slim {
namespace {

constexpr std::string_view kKind = "normalizer";

class FormNormalizer : public Normalizer {
 public:
  explicit FormNormalizer(NormalForm form) : form_(form) {}
  Status Apply(std::string& text, bool& /*at_start*/) const override {
    SLIM_ASSIGN(text, NormalizeForm(text, form_));
    return {};
  }

 private:
  NormalForm form_;
};

class LowercaseNormalizer : public Normalizer {
 public:
  Status Apply(std::string& text, bool& /*at_start*/) const override {
    std::string lower;
    lower.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
      const CodePoint point = DecodeAt(text, i);
      AppendLower(lower, point.value);
      i += point.bytes;
    }
    text = std::move(lower);
    return {};
  }
};

class StripNormalizer : public Normalizer {
 public:
  StripNormalizer(bool left, bool right) : left_(left), right_(right) {}
  Status Apply(std::string& text, bool& at_start) const override {
    size_t begin = 0;
    size_t end = text.size();
    while (left_ && begin < end && IsWhiteSpace(DecodeAt(text, begin).value)) {
      begin += DecodeAt(text, begin).bytes;
    }
    while (right_ && end > begin) {
      const size_t last = PreviousBoundary(text, end);
      if (!IsWhiteSpace(DecodeAt(text, last).value)) break;
      end = last;
    }
    if (begin > 0) at_start = false;
    text = text.substr(begin, end - begin);
    return {};
  }

 private:
  bool left_;
  bool right_;
};

class StripAccentsNormalizer : public Normalizer {
 public:
  Status Apply(std::string& text, bool& at_start) const override {
    std::string kept;
    kept.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
      const CodePoint point = DecodeAt(text, i);
      if (!IsMark(point.value)) {
        kept.append(text, i, point.bytes);
      } else if (i == 0) {
        at_start = false;
      }
      i += point.bytes;
    }
    text = std::move(kept);
    return {};
  }
};

class PrependNormalizer : public Normalizer {
 public:
  explicit PrependNormalizer(std::string prefix) : prefix_(std::move(prefix)) {}
  Status Apply(std::string& text, bool& /*at_start*/) const override {
    if (!text.empty()) text.insert(0, prefix_);
    return {};
  }

 private:
  std::string prefix_;
};

class ReplaceNormalizer : public Normalizer {
 public:
  ReplaceNormalizer(Pattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  Status Apply(std::string& text, bool& at_start) const override {
    std::vector<TextSpan> matches;
    SLIM_TRY(pattern_.FindAll(text, matches));
    if (matches.empty()) return {};
    if (GrewTooMuch(text.size(), text.size() + matches.size() * content_.size())) {
      return GrowthError("normalizer Replace");
    }
    if (content_.empty() && matches[0].begin == 0 && matches[0].end > 0) at_start = false;
    std::string replaced;
    size_t copied = 0;
    for (const TextSpan& match : matches) {
      replaced.append(text, copied, match.begin - copied);
      replaced += content_;
      copied = match.end;
    }
    replaced.append(text, copied);
    text = std::move(replaced);
    return {};
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class ByteLevelNormalizer : public Normalizer {
 public:
  Status Apply(std::string& text, bool& /*at_start*/) const override {
    std::string spelled;
    AppendByteLevel(spelled, text);
    text = std::move(spelled);
    return {};
  }
};

class SequenceNormalizer : public Normalizer {
 public:
  explicit SequenceNormalizer(std::vector<std::unique_ptr<Normalizer>> parts)
      : parts_(std::move(parts)) {}
  Status Apply(std::string& text, bool& at_start) const override {
    const size_t before = text.size();
    for (const auto& part : parts_) {
      SLIM_TRY(part->Apply(text, at_start));
      if (GrewTooMuch(before, text.size())) return GrowthError(kKind);
    }
    return {};
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

using NormalizerResult = Result<std::unique_ptr<Normalizer>>;

template <class T, class... Args>
std::unique_ptr<Normalizer> Make(Args&&... args) {
  return std::make_unique<T>(std::forward<Args>(args)...);
}

NormalizerResult ReadStrip(const Component& part) {
  SLIM_ASSIGN(const bool left, part.Bool("strip_left", true));
  SLIM_ASSIGN(const bool right, part.Bool("strip_right", true));
  return Make<StripNormalizer>(left, right);
}

NormalizerResult ReadReplace(const Component& part) {
  const Json* pattern = part.Find("pattern");
  if (pattern == nullptr) return part.Bad("\"pattern\" is missing");
  SLIM_ASSIGN(Pattern compiled, Pattern::FromJson(*pattern));
  SLIM_ASSIGN(std::string content, part.String("content"));
  return Make<ReplaceNormalizer>(std::move(compiled), std::move(content));
}

NormalizerResult ReadSequence(const Component& part) {
  SLIM_ASSIGN(const Json* items, part.Parts("normalizers"));
  std::vector<std::unique_ptr<Normalizer>> parts;
  for (const Json& item : items->items()) {
    SLIM_ASSIGN(auto normalizer, Normalizer::FromJson(&item));
    if (normalizer) parts.push_back(std::move(normalizer));
  }
  return Make<SequenceNormalizer>(std::move(parts));
}

}  // namespace

NormalizerResult Normalizer::FromJson(const Json* json) {
  if (json == nullptr || json->is_null()) return std::unique_ptr<Normalizer>();
  SLIM_ASSIGN(const Component part, Component::Open(*json, kKind));
  const std::string& type = part.type();
  if (type == "NFC") return Make<FormNormalizer>(NormalForm::kNfc);
  if (type == "NFD") return Make<FormNormalizer>(NormalForm::kNfd);
  if (type == "NFKC") return Make<FormNormalizer>(NormalForm::kNfkc);
  if (type == "NFKD") return Make<FormNormalizer>(NormalForm::kNfkd);
  if (type == "Lowercase") return Make<LowercaseNormalizer>();
  if (type == "StripAccents") return Make<StripAccentsNormalizer>();
  if (type == "ByteLevel") return Make<ByteLevelNormalizer>();
  if (type == "Strip") return ReadStrip(part);
  if (type == "Replace") return ReadReplace(part);
  if (type == "Sequence") return ReadSequence(part);
  if (type == "Prepend") {
    SLIM_ASSIGN(std::string prefix, part.String("prepend"));
    return Make<PrependNormalizer>(std::move(prefix));
  }
  return part.Unsupported();
}

}  // namespace slim
