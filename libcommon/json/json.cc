#include "json/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace slim {

Json::Json(std::string value) : kind_(Kind::kString), text_(std::move(value)) {}

Json Json::Real(double value) {
  if (std::isnan(value)) return Json("nan");
  if (std::isinf(value)) return Json(value > 0 ? "inf" : "-inf");
  Json json(Kind::kReal);
  json.text_ = fmt::format("{}", value);
  if (json.text_.find_first_of(".e") == std::string::npos) json.text_ += ".0";
  return json;
}

std::string_view Json::KindName() const {
  switch (kind_) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "boolean";
    case Kind::kInteger:
      return "integer";
    case Kind::kReal:
      return "number";
    case Kind::kString:
      return "string";
    case Kind::kArray:
      return "array";
    case Kind::kObject:
      return "object";
  }
  return "";
}

std::optional<bool> Json::AsBool() const {
  if (kind_ != Kind::kBool) return std::nullopt;
  return bool_;
}

std::optional<int64_t> Json::AsInteger() const {
  if (kind_ != Kind::kInteger) return std::nullopt;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
  if (error != std::errc() || end != text_.data() + text_.size()) return std::nullopt;
  return value;
}

std::optional<double> Json::AsDouble() const {
  if (!is_number()) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
  if (error != std::errc() || end != text_.data() + text_.size()) return std::nullopt;
  return value;
}

std::optional<std::string_view> Json::AsString() const {
  if (kind_ != Kind::kString) return std::nullopt;
  return text_;
}

const Json* Json::Find(std::string_view key) const {
  for (const Member& member : members_) {
    if (member.first == key) return &member.second;
  }
  return nullptr;
}

Json& Json::Push(Json value) {
  items_.push_back(std::move(value));
  return *this;
}

Json& Json::Set(std::string_view key, Json value) {
  for (Member& member : members_) {
    if (member.first == key) {
      member.second = std::move(value);
      return *this;
    }
  }
  members_.emplace_back(std::string(key), std::move(value));
  return *this;
}

bool Json::Remove(std::string_view key) {
  return std::erase_if(members_, [&](const Member& member) { return member.first == key; }) > 0;
}

bool Json::operator==(const Json& other) const {
  return kind_ == other.kind_ && bool_ == other.bool_ && text_ == other.text_ &&
         items_ == other.items_ && members_ == other.members_;
}

// Receives nlohmann's SAX events; stops at the first broken limit. nlohmann's DOM never sees the
// input.
class JsonBuilder {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  explicit JsonBuilder(const JsonLimits& limits) : limits_(limits) {}

  bool null() { return Add(Json()); }
  bool boolean(bool value) { return Add(Json(value)); }
  bool number_integer(number_integer_t value) { return Add(Json(value)); }
  bool number_unsigned(number_unsigned_t value) { return Add(Json(value)); }
  bool number_float(number_float_t /*value*/, const string_t& text) {
    Json json(Json::Kind::kReal);
    json.text_ = text;
    return Add(std::move(json));
  }
  bool string(string_t& value) { return Add(Json(std::move(value))); }
  bool binary(binary_t& /*value*/) { return false; }
  bool start_object(size_t /*elements*/) { return Open(Json::Object()); }
  bool start_array(size_t /*elements*/) { return Open(Json::Array()); }
  bool key(string_t& name) {
    keys_.push_back(std::move(name));
    return true;
  }
  bool end_object() { return CheckKeys(stack_.back()) && Close(); }
  bool end_array() { return Close(); }
  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::json::exception& e) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error …": keep what
    // is ours to say.
    std::string text = e.what();
    const size_t colon = text.find("column");
    const size_t detail = colon == std::string::npos ? std::string::npos : text.find(": ", colon);
    if (detail != std::string::npos) text = text.substr(detail + 2);
    if (const size_t last_read = text.find("; last read"); last_read != std::string::npos) {
      text.resize(last_read);
    }
    error_ = InputError("JSON-syntax", "not valid JSON: " + Escape(text));
    error_->offset = position > 0 ? position - 1 : 0;
    return false;
  }

  Json& root() { return root_; }
  std::optional<Error>& error() { return error_; }

 private:
  bool Fail(std::string_view rule, std::string message) {
    error_ = InputError(std::string(rule), std::move(message));
    return false;
  }

  bool Count() {
    if (++values_ <= limits_.max_values) return true;
    return Fail("JSON-too-many-values", fmt::format("more than {} values", limits_.max_values));
  }

  bool Add(Json value) {
    if (!Count()) return false;
    if (stack_.empty()) {
      root_ = std::move(value);
    } else {
      Attach(std::move(value));
    }
    return true;
  }

  void Attach(Json value) {
    Json& parent = stack_.back();
    if (parent.is_array()) {
      parent.items_.push_back(std::move(value));
    } else {
      parent.members_.emplace_back(std::move(keys_.back()), std::move(value));
      keys_.pop_back();
    }
  }

  bool Open(Json value) {
    if (!Count()) return false;
    if (stack_.size() >= static_cast<size_t>(limits_.max_depth)) {
      return Fail("JSON-too-deep", fmt::format("nested deeper than {} levels", limits_.max_depth));
    }
    stack_.push_back(std::move(value));
    return true;
  }

  bool Close() {
    Json value = std::move(stack_.back());
    stack_.pop_back();
    if (stack_.empty()) {
      root_ = std::move(value);
    } else {
      Attach(std::move(value));
    }
    return true;
  }

  bool CheckKeys(const Json& object) {
    std::vector<std::string_view> names;
    names.reserve(object.members_.size());
    for (const Json::Member& member : object.members_) names.push_back(member.first);
    std::sort(names.begin(), names.end());
    const auto twin = std::adjacent_find(names.begin(), names.end());
    if (twin == names.end()) return true;
    return Fail("JSON-duplicate-key",
                fmt::format("key {} occurs twice in one object", Quote(*twin)));
  }

  JsonLimits limits_;
  Json root_;
  std::vector<Json> stack_;
  std::vector<std::string> keys_;
  uint64_t values_ = 0;
  std::optional<Error> error_;
};

Result<Json> ParseJson(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return InputError("JSON-too-large", fmt::format("{} bytes, more than the limit of {}",
                                                    text.size(), limits.max_bytes));
  }
  if (text.starts_with("\xEF\xBB\xBF")) {
    return InputError("JSON-bom", "begins with a byte order mark", "save it as UTF-8 without BOM");
  }
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    Error error = InputError("JSON-nul", "contains a NUL byte");
    error.offset = nul;
    return error;
  }
  JsonBuilder builder(limits);
  bool ok = false;
  try {
    ok = nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  } catch (const nlohmann::json::exception& e) {
    return InputError("JSON-syntax", "not valid JSON: " + Escape(e.what()));
  }
  if (builder.error()) return std::move(*builder.error());
  if (!ok) return InputError("JSON-syntax", "not valid JSON");
  return std::move(builder.root());
}

void AppendJsonString(std::string& out, std::string_view text, bool ensure_ascii) {
  out += '"';
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x80 && ensure_ascii) {
      const size_t length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
      if (i + length > text.size() || !IsUtf8(text.substr(i, length))) {
        out += "\\ufffd";
        ++i;
        continue;
      }
      uint32_t point = c & (0x7FU >> length);
      for (size_t k = 1; k < length; ++k)
        point = (point << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3FU);
      if (point >= 0x10000) {
        point -= 0x10000;
        out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (point >> 10), 0xDC00 + (point & 0x3FF));
      } else {
        out += fmt::format("\\u{:04x}", point);
      }
      i += length;
      continue;
    }
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (c < 0x20 || (c == 0x7F && ensure_ascii)) {  // Python escapes DEL, too
          out += fmt::format("\\u{:04x}", c);
        } else {
          out += static_cast<char>(c);
        }
    }
    ++i;
  }
  out += '"';
}

namespace {

void Dump(const Json& value, const JsonStyle& style, int level, std::string& out) {
  const auto newline = [&](int depth) {
    if (style.indent < 0) return;
    out += '\n';
    out.append(static_cast<size_t>(depth) * static_cast<size_t>(style.indent), ' ');
  };
  const auto comma = [&] { out += style.indent < 0 && style.spaces ? ", " : ","; };
  switch (value.kind()) {
    case Json::Kind::kNull:
      out += "null";
      break;
    case Json::Kind::kBool:
      out += *value.AsBool() ? "true" : "false";
      break;
    case Json::Kind::kInteger:
    case Json::Kind::kReal:
      out += value.text();
      break;
    case Json::Kind::kString:
      AppendJsonString(out, value.text(), style.ensure_ascii);
      break;
    case Json::Kind::kArray:
      out += '[';
      for (size_t i = 0; i < value.items().size(); ++i) {
        if (i > 0) comma();
        newline(level + 1);
        Dump(value.items()[i], style, level + 1, out);
      }
      if (!value.items().empty()) newline(level);
      out += ']';
      break;
    case Json::Kind::kObject:
      out += '{';
      for (size_t i = 0; i < value.members().size(); ++i) {
        if (i > 0) comma();
        newline(level + 1);
        AppendJsonString(out, value.members()[i].first, style.ensure_ascii);
        out += style.indent >= 0 || style.spaces ? ": " : ":";
        Dump(value.members()[i].second, style, level + 1, out);
      }
      if (!value.members().empty()) newline(level);
      out += '}';
      break;
  }
}

}  // namespace

std::string DumpJson(const Json& value, const JsonStyle& style) {
  std::string out;
  Dump(value, style, 0, out);
  return out;
}

}  // namespace slim
