// YAML of recipes, read strictly: one document, UTF-8, no duplicate keys, limited size, depth and
// number of values (aliases count as what they stand for). Every value knows its line, so that
// errors can name it. Plain scalars are typed as YAML 1.1 does, which is what msModelSlim's reader
// does. Writes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace slim {

class Yaml {
 public:
  enum class Kind : uint8_t { kNull, kScalar, kSequence, kMapping };
  using Member = std::pair<Yaml, Yaml>;  // a key, which is a scalar, and its value

  Kind kind() const { return kind_; }
  std::string_view KindName() const;
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_sequence() const { return kind_ == Kind::kSequence; }
  bool is_mapping() const { return kind_ == Kind::kMapping; }
  uint64_t line() const { return line_; }  // from 1

  // Empty when the value is of another kind. AsReal takes integers too; a quoted scalar is text
  // only.
  std::optional<bool> AsBool() const;
  std::optional<int64_t> AsInteger() const;
  std::optional<double> AsReal() const;
  std::optional<std::string_view> AsText() const;
  const std::string& text() const { return text_; }

  const std::vector<Yaml>& items() const { return items_; }
  const std::vector<Member>& members() const { return members_; }
  // The value of a key of a mapping, or null.
  const Yaml* Find(std::string_view key) const;

 private:
  friend class YamlBuilder;
  Kind kind_ = Kind::kNull;
  bool quoted_ = false;
  uint64_t line_ = 1;
  std::string text_;
  std::vector<Yaml> items_;
  std::vector<Member> members_;
};

struct YamlLimits {
  uint64_t max_bytes = 1ULL << 20;
  int max_depth = 32;
  uint64_t max_values = 100'000;
  uint64_t max_keys = 4096;  // of one mapping
};

// Merge keys (`<<: *base`) are resolved: a key of the mapping itself wins. Errors carry rule YAML-…
// and the path "source:line".
Result<Yaml> ParseYaml(std::string_view text, const std::string& source,
                       const YamlLimits& limits = {});

}  // namespace slim
