#include "json/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <sstream>

#include "base/text.h"

namespace slim {
namespace {

constexpr std::string_view kMergeKey = "<<";

// Thrown through yaml-cpp's parser by our event handler, caught in ParseYaml.
struct Refusal {
  std::string rule;
  std::string message;
  uint64_t line;
};

uint64_t LineOf(const YAML::Mark& mark) {
  return mark.line < 0 ? 1 : static_cast<uint64_t>(mark.line) + 1;
}

bool OneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  const std::string lower = ToLower(text);
  for (const std::string_view word : words) {
    if (lower == word) return true;
  }
  return false;
}

}  // namespace

class YamlBuilder : public YAML::EventHandler {
 public:
  explicit YamlBuilder(const YamlLimits& limits) : limits_(limits) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Yaml value;
    value.line_ = LineOf(mark);
    Count(1, value.line_);
    Finish(std::move(value), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end())
      throw Refusal{"YAML-alias", "an alias stands inside what it names", LineOf(mark)};
    Count(known->second.values, LineOf(mark));
    if (static_cast<int>(open_.size()) + known->second.depth > limits_.max_depth)
      throw Refusal{"YAML-depth", DepthText(), LineOf(mark)};
    Finish(known->second.value, 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    Yaml value;
    value.kind_ = Yaml::Kind::kScalar;
    value.line_ = LineOf(mark);
    value.text_ = text;
    value.quoted_ = tag == "!" || tag.ends_with(":str");
    if (!value.quoted_ && (text.empty() || text == "~" || OneOf(text, {"null"})))
      value.kind_ = Yaml::Kind::kNull;
    Count(1, value.line_);
    Finish(std::move(value), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Yaml::Kind::kSequence, LineOf(mark), anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Yaml::Kind::kMapping, LineOf(mark), anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapEnd() override { Close(); }

  bool complete() const { return complete_; }
  Yaml TakeRoot() { return std::move(root_); }

 private:
  struct Opened {
    Yaml value;
    std::optional<Yaml> key;  // of a mapping: read, its value not yet
    YAML::anchor_t anchor = 0;
    uint64_t values_before = 0;
    int deepest = 0;  // levels below this one
  };
  struct Anchored {
    Yaml value;
    uint64_t values = 1;
    int depth = 0;
  };

  std::string DepthText() const {
    return fmt::format("nested deeper than {} levels", limits_.max_depth);
  }

  void Count(uint64_t values, uint64_t line) {
    values_ += values;
    if (values_ > limits_.max_values) {
      throw Refusal{"YAML-values",
                    fmt::format("holds more than {} values, aliases counted as what they stand for",
                                limits_.max_values),
                    line};
    }
  }

  void Open(Yaml::Kind kind, uint64_t line, YAML::anchor_t anchor) {
    if (static_cast<int>(open_.size()) >= limits_.max_depth)
      throw Refusal{"YAML-depth", DepthText(), line};
    Opened opened;
    opened.value.kind_ = kind;
    opened.value.line_ = line;
    opened.anchor = anchor;
    opened.values_before = values_;
    Count(1, line);
    open_.push_back(std::move(opened));
  }

  void Close() {
    Opened opened = std::move(open_.back());
    open_.pop_back();
    if (opened.value.is_mapping()) Merge(opened.value);
    if (opened.anchor != 0) {
      anchors_[opened.anchor] = {opened.value, values_ - opened.values_before, opened.deepest + 1};
    }
    if (!open_.empty()) open_.back().deepest = std::max(open_.back().deepest, opened.deepest + 1);
    Place(std::move(opened.value));
  }

  void Finish(Yaml value, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = {value, 1, 0};
    Place(std::move(value));
  }

  void Place(Yaml value) {
    if (open_.empty()) {
      root_ = std::move(value);
      complete_ = true;
      return;
    }
    Opened& parent = open_.back();
    if (parent.value.is_sequence()) {
      parent.value.items_.push_back(std::move(value));
    } else if (!parent.key) {
      CheckKey(parent.value, value);
      if (parent.value.members_.size() >= limits_.max_keys)
        throw Refusal{"YAML-values",
                      fmt::format("a mapping holds more than {} keys", limits_.max_keys),
                      value.line()};
      parent.key = std::move(value);
    } else {
      parent.value.members_.emplace_back(std::move(*parent.key), std::move(value));
      parent.key.reset();
    }
  }

  static void CheckKey(const Yaml& mapping, const Yaml& key) {
    if (key.kind() != Yaml::Kind::kScalar)
      throw Refusal{"YAML-key", "a key is not a word", key.line()};
    if (const Yaml* earlier = mapping.Find(key.text()); earlier != nullptr) {
      throw Refusal{
          "YAML-duplicate-key",
          fmt::format("key {} stands twice, first in line {}", Quote(key.text()), earlier->line()),
          key.line()};
    }
  }

  void Merge(Yaml& mapping) {
    const auto merge = std::find_if(
        mapping.members_.begin(), mapping.members_.end(),
        [](const Yaml::Member& m) { return !m.first.quoted_ && m.first.text_ == kMergeKey; });
    if (merge == mapping.members_.end()) return;
    const Yaml base = std::move(merge->second);
    mapping.members_.erase(merge);
    std::vector<const Yaml*> sources;
    if (base.is_sequence()) {
      for (const Yaml& item : base.items()) sources.push_back(&item);
    } else {
      sources.push_back(&base);
    }
    for (const Yaml* source : sources) {
      if (!source->is_mapping())
        throw Refusal{"YAML-merge", "<< takes a mapping or a list of them", base.line()};
      for (const Yaml::Member& member : source->members()) {
        if (mapping.Find(member.first.text()) == nullptr) mapping.members_.push_back(member);
      }
    }
  }

  const YamlLimits& limits_;
  std::vector<Opened> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  uint64_t values_ = 0;
  Yaml root_;
  bool complete_ = false;
};

std::string_view Yaml::KindName() const {
  constexpr std::array<std::string_view, 4> kNames = {"nothing", "a single value", "a list",
                                                      "a mapping"};
  return kNames[static_cast<size_t>(kind_)];
}

std::optional<bool> Yaml::AsBool() const {
  if (kind_ != Kind::kScalar || quoted_) return std::nullopt;
  if (OneOf(text_, {"true", "yes", "on"})) return true;
  if (OneOf(text_, {"false", "no", "off"})) return false;
  return std::nullopt;
}

std::optional<int64_t> Yaml::AsInteger() const {
  if (kind_ != Kind::kScalar || quoted_) return std::nullopt;
  std::string_view digits = text_;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

std::optional<double> Yaml::AsReal() const {
  if (kind_ != Kind::kScalar || quoted_) return std::nullopt;
  std::string_view digits = text_;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

std::optional<std::string_view> Yaml::AsText() const {
  if (kind_ != Kind::kScalar) return std::nullopt;
  return text_;
}

const Yaml* Yaml::Find(std::string_view key) const {
  for (const Member& member : members_) {
    if (member.first.text_ == key) return &member.second;
  }
  return nullptr;
}

Result<Yaml> ParseYaml(std::string_view text, const std::string& source, const YamlLimits& limits) {
  const auto refuse = [&](std::string rule, std::string message, uint64_t line) {
    return InputError(std::move(rule), std::move(message))
        .WithPath(fmt::format("{}:{}", source, line));
  };
  if (text.size() > limits.max_bytes)
    return refuse("YAML-size", fmt::format("larger than {}", HumanSize(limits.max_bytes)), 1);
  if (text.find('\0') != std::string_view::npos || !IsUtf8(text))
    return refuse("YAML-utf8", "is not UTF-8 text", 1);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    YamlBuilder builder(limits);
    if (!parser.HandleNextDocument(builder) || !builder.complete())
      return refuse("YAML-empty", "holds nothing", 1);
    Yaml root = builder.TakeRoot();
    YamlBuilder rest(limits);
    if (parser.HandleNextDocument(rest))
      return refuse("YAML-documents", "holds more than one document", root.line());
    return root;
  } catch (const Refusal& refusal) {
    return refuse(refusal.rule, refusal.message, refusal.line);
  } catch (const YAML::Exception& error) {
    return refuse("YAML-syntax", fmt::format("is not YAML: {}", error.msg), LineOf(error.mark));
  } catch (const std::bad_alloc&) {
    return InternalError("out of memory");
  } catch (const std::exception& error) {
    return refuse("YAML-syntax", fmt::format("is not YAML: {}", Escape(error.what())), 1);
  }
}

}  // namespace slim
