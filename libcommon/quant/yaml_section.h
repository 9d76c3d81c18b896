// Reading the keys of one YAML mapping strictly: each key is asked for by name and kind, and what
// was not asked for is an error that names file, line and key, with the nearest known one. Owns the
// wording of those errors, no meaning of any key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/yaml.h"

namespace slim {

class YamlSection {
 public:
  // `where` is how errors call the mapping: "spec", "iter_smooth". `value` and `source` must
  // outlive the section. An error when `value` is no mapping (null counts as an empty one).
  static Result<YamlSection> Open(const Yaml& value, const std::string& source, std::string where);

  // The value of a key, or null; marks the key as known.
  const Yaml* Take(std::string_view key);
  // Absent, or null: empty. Another kind of value: an error.
  Result<std::optional<std::string>> Text(std::string_view key);
  Result<std::optional<bool>> Bool(std::string_view key);
  Result<std::optional<int64_t>> Integer(std::string_view key, int64_t minimum, int64_t maximum);
  Result<std::optional<double>> Real(std::string_view key, double minimum, double maximum);
  // A list of texts; one text alone counts as a list of one. Absent is the empty list.
  Result<std::vector<std::string>> Texts(std::string_view key);
  // A section within; empty when absent.
  Result<YamlSection> Inner(std::string_view key, std::string where);

  bool Has(std::string_view key) const { return value_->Find(key) != nullptr; }
  // An error for the first key that nobody asked for.
  Status Done() const;
  // The same, but only for a key that is nearly spelled like one that is absent: where other keys
  // may stand.
  Status DoneLeniently() const;

  // "FILE:LINE: message", for a value or for the section itself.
  Error Refuse(const Yaml& at, std::string message, std::string hint = "") const;
  Error Refuse(std::string message, std::string hint = "") const;
  // The error for a key that must be there; one that is nearly spelled like it is named instead.
  Error Missing(std::string_view key) const;
  // The error for a word that is none of `known`: "method 'minmx' of weight is unknown".
  Error UnknownWord(std::string_view key, const Yaml& at, std::vector<std::string> known) const;
  const Yaml& value() const { return *value_; }
  const std::string& where() const { return where_; }
  const std::string& source() const { return *source_; }

 private:
  YamlSection(const Yaml& value, const std::string& source, std::string where)
      : value_(&value), source_(&source), where_(std::move(where)) {}
  Error WrongKind(std::string_view key, const Yaml& at, std::string_view wanted) const;
  Status CheckKeys(bool lenient) const;

  const Yaml* value_;
  const std::string* source_;
  std::string where_;
  std::vector<std::string> known_;
};

}  // namespace slim
