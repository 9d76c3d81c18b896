#include "quant/yaml_section.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace slim {

Result<YamlSection> YamlSection::Open(const Yaml& value, const std::string& source,
                                      std::string where) {
  YamlSection section(value, source, std::move(where));
  if (value.is_mapping() || value.is_null()) return section;
  return section.Refuse(
      fmt::format("{} is {}, wanted a mapping", section.where_, value.KindName()));
}

const Yaml* YamlSection::Take(std::string_view key) {
  known_.emplace_back(key);
  const Yaml* found = value_->Find(key);
  return found == nullptr || found->is_null() ? nullptr : found;
}

Result<std::optional<std::string>> YamlSection::Text(std::string_view key) {
  const Yaml* found = Take(key);
  if (found == nullptr) return std::optional<std::string>();
  if (const auto text = found->AsText()) return std::optional<std::string>(*text);
  return WrongKind(key, *found, "a text");
}

Result<std::optional<bool>> YamlSection::Bool(std::string_view key) {
  const Yaml* found = Take(key);
  if (found == nullptr) return std::optional<bool>();
  if (const auto value = found->AsBool()) return value;
  return WrongKind(key, *found, "true or false");
}

Result<std::optional<int64_t>> YamlSection::Integer(std::string_view key, int64_t minimum,
                                                    int64_t maximum) {
  const Yaml* found = Take(key);
  if (found == nullptr) return std::optional<int64_t>();
  const auto value = found->AsInteger();
  if (value && *value >= minimum && *value <= maximum) return value;
  return WrongKind(key, *found, fmt::format("an integer from {} to {}", minimum, maximum));
}

Result<std::optional<double>> YamlSection::Real(std::string_view key, double minimum,
                                                double maximum) {
  const Yaml* found = Take(key);
  if (found == nullptr) return std::optional<double>();
  const auto value = found->AsReal();
  if (value && *value >= minimum && *value <= maximum) return value;
  return WrongKind(key, *found, fmt::format("a number from {} to {}", minimum, maximum));
}

Result<std::vector<std::string>> YamlSection::Texts(std::string_view key) {
  const Yaml* found = Take(key);
  std::vector<std::string> texts;
  if (found == nullptr) return texts;
  if (found->kind() == Yaml::Kind::kScalar) texts.push_back(found->text());
  if (found->is_mapping()) return WrongKind(key, *found, "a list of texts");
  for (const Yaml& item : found->items()) {
    if (item.kind() != Yaml::Kind::kScalar) return WrongKind(key, item, "a list of texts");
    texts.push_back(item.text());
  }
  return texts;
}

Result<YamlSection> YamlSection::Inner(std::string_view key, std::string where) {
  static const Yaml kNothing;
  const Yaml* found = Take(key);
  return Open(found == nullptr ? kNothing : *found, *source_, std::move(where));
}

Status YamlSection::Done() const { return CheckKeys(false); }
Status YamlSection::DoneLeniently() const { return CheckKeys(true); }

Status YamlSection::CheckKeys(bool lenient) const {
  for (const auto& [key, value] : value_->members()) {
    if (std::find(known_.begin(), known_.end(), key.text()) != known_.end()) continue;
    const std::string near = NearestSpelling(key.text(), known_);
    if (lenient && (near.empty() || Has(near))) continue;
    std::vector<std::string> known = known_;
    std::sort(known.begin(), known.end());
    const std::string hint =
        near.empty() ? "known here: " + Join(known, ", ") : fmt::format("did you mean {}?", near);
    return InputError("RECIPE-key",
                      fmt::format("key {} of {} is not supported", Quote(key.text()), where_), hint)
        .WithPath(fmt::format("{}:{}", *source_, key.line()));
  }
  return {};
}

Error YamlSection::Refuse(const Yaml& at, std::string message, std::string hint) const {
  return InputError("RECIPE-value", std::move(message), std::move(hint))
      .WithPath(fmt::format("{}:{}", *source_, at.line()));
}

Error YamlSection::Refuse(std::string message, std::string hint) const {
  return Refuse(*value_, std::move(message), std::move(hint));
}

Error YamlSection::Missing(std::string_view key) const {
  for (const auto& [word, value] : value_->members()) {
    if (std::find(known_.begin(), known_.end(), word.text()) != known_.end()) continue;
    if (NearestSpelling(word.text(), {std::string(key)}).empty()) continue;
    return InputError("RECIPE-key",
                      fmt::format("key {} of {} is not supported", Quote(word.text()), where_),
                      fmt::format("did you mean {}?", key))
        .WithPath(fmt::format("{}:{}", *source_, word.line()));
  }
  return Refuse(fmt::format("{} has no {}", where_, key));
}

Error YamlSection::UnknownWord(std::string_view key, const Yaml& at,
                               std::vector<std::string> known) const {
  const std::string near = NearestSpelling(at.text(), known);
  return Refuse(
      at,
      fmt::format("{} {} of {} is not supported", key,
                  at.kind() == Yaml::Kind::kScalar ? Quote(at.text()) : std::string(at.KindName()),
                  where_),
      near.empty() ? "known: " + Join(known, ", ") : fmt::format("did you mean {}?", near));
}

Error YamlSection::WrongKind(std::string_view key, const Yaml& at, std::string_view wanted) const {
  const std::string found =
      at.kind() == Yaml::Kind::kScalar ? Quote(at.text()) : std::string(at.KindName());
  return Refuse(at, fmt::format("{} of {} is {}, wanted {}", key, where_, found, wanted));
}

}  // namespace slim
