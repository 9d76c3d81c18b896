#include "text/template_print.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "json/json.h"
#include "text/template_ops.h"
#include "text/template_text.h"

namespace slim::tmpl {
namespace {

// One text that grows; every piece is charged.
class Writer {
 public:
  explicit Writer(Budget& budget) : budget_(budget) {}

  Status Add(std::string_view text) {
    SLIM_TRY(budget_.Steps(1 + text.size() / 32));
    out_ += text;
    return budget_.Fits(out_.size());
  }
  std::string Finish() { return std::move(out_); }

 protected:
  Budget& budget_;
  std::string out_;
};

class ReprWriter : public Writer {
 public:
  using Writer::Writer;

  Status Write(const Value& value) {
    switch (value.kind()) {
      case Kind::kUndefined:
        return Add("Undefined");
      case Kind::kNone:
        return Add("None");
      case Kind::kBool:
        return Add(value.boolean() ? "True" : "False");
      case Kind::kInteger:
        return Add(std::to_string(value.integer()));
      case Kind::kFloat:
        return Add(ReprFloat(value.real()));
      case Kind::kString:
        return Add(value.markup() ? fmt::format("Markup({})", ReprText(value.text()))
                                  : ReprText(value.text()));
      case Kind::kList:
        return Sequence(value.items(), "[", "]");
      case Kind::kTuple:
        return Sequence(value.items(), "(", value.items().size() == 1 ? ",)" : ")");
      case Kind::kDict:
        return Mapping(value.entries());
      case Kind::kRange:
        return Add(RangeText(value.range()));
      case Kind::kView:
        return View(value.view());
      case Kind::kNamespace:
        return Namespace(value.name_space());
      case Kind::kLoop: {
        SLIM_ASSIGN(const std::string text, value.loop().Repr());
        return Add(text);
      }
      case Kind::kIterator:
        return Unsupported("an iterator cannot be printed; use the filter list");
      case Kind::kCallable:
        return Callable(value.callable());
    }
    return {};
  }

 private:
  Status Sequence(const Values& items, std::string_view open, std::string_view close) {
    SLIM_TRY(Add(open));
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) SLIM_TRY(Add(", "));
      SLIM_TRY(Write(items[i]));
    }
    return Add(close);
  }

  Status Mapping(const Entries& entries) {
    SLIM_TRY(Add("{"));
    for (size_t i = 0; i < entries.size(); ++i) {
      if (i > 0) SLIM_TRY(Add(", "));
      SLIM_TRY(Write(entries[i].first));
      SLIM_TRY(Add(": "));
      SLIM_TRY(Write(entries[i].second));
    }
    return Add("}");
  }

  // Namespaces may contain themselves, so their depth is counted here.
  Status Namespace(const NamespaceObject& object) {
    SLIM_TRY(budget_.Depth(++namespaces_));
    Entries entries;
    for (const auto& [name, member] : object.members) {
      entries.emplace_back(Value::String(name), member);
    }
    SLIM_TRY(Add("<Namespace "));
    SLIM_TRY(Mapping(entries));
    --namespaces_;
    return Add(">");
  }

  Status View(const ViewObject& view) {
    SLIM_ASSIGN(Values items, Elements(budget_, ViewValue(view)));
    SLIM_TRY(Add(fmt::format("dict_{}(", view.what)));
    SLIM_TRY(Sequence(items, "[", "]"));
    return Add(")");
  }

  static Value ViewValue(const ViewObject& view) { return Value::View(view.dict, view.what); }

  static std::string RangeText(const RangeObject& range) {
    return range.step == 1 ? fmt::format("range({}, {})", range.start, range.stop)
                           : fmt::format("range({}, {}, {})", range.start, range.stop, range.step);
  }

  Status Callable(const CallableObject& callable) {
    if (const auto text = callable.Repr()) return Add(*text);
    return Unsupported(fmt::format("function '{}' cannot be printed", callable.name));
  }

  int namespaces_ = 0;
};

class JsonWriter : public Writer {
 public:
  JsonWriter(Budget& budget, const JsonFormat& format) : Writer(budget), format_(format) {}

  Status Write(const Value& value, int level = 0) {
    switch (value.kind()) {
      case Kind::kNone:
        return Add("null");
      case Kind::kBool:
        return Add(value.boolean() ? "true" : "false");
      case Kind::kInteger:
        return Add(std::to_string(value.integer()));
      case Kind::kFloat:
        return Add(Real(value.real()));
      case Kind::kString:
        return Text(value.text());
      case Kind::kList:
      case Kind::kTuple:
        return Array(value.items(), level);
      case Kind::kDict:
        return Object(value.entries(), level);
      default:
        return TypeError(fmt::format("a value of type {} has no JSON", TypeName(value)));
    }
  }

 private:
  static std::string Real(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return ReprFloat(value);
  }

  Status Text(std::string_view text) {
    std::string quoted;
    AppendJsonString(quoted, text, format_.ensure_ascii);
    return Add(quoted);
  }

  Status NewLine(int level) {
    if (!format_.indent) return {};
    SLIM_TRY(Add("\n"));
    for (int i = 0; i < level; ++i) SLIM_TRY(Add(*format_.indent));
    return {};
  }

  Status Array(const Values& items, int level) {
    if (items.empty()) return Add("[]");
    SLIM_TRY(Add("["));
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) SLIM_TRY(Add(format_.item_separator));
      SLIM_TRY(NewLine(level + 1));
      SLIM_TRY(Write(items[i], level + 1));
    }
    SLIM_TRY(NewLine(level));
    return Add("]");
  }

  Status Object(const Entries& entries, int level) {
    if (entries.empty()) return Add("{}");
    SLIM_ASSIGN(const std::vector<size_t> order, Order(entries));
    SLIM_TRY(Add("{"));
    for (size_t i = 0; i < order.size(); ++i) {
      const auto& [key, value] = entries[order[i]];
      if (i > 0) SLIM_TRY(Add(format_.item_separator));
      SLIM_TRY(NewLine(level + 1));
      SLIM_TRY(Key(key));
      SLIM_TRY(Add(format_.key_separator));
      SLIM_TRY(Write(value, level + 1));
    }
    SLIM_TRY(NewLine(level));
    return Add("}");
  }

  Result<std::vector<size_t>> Order(const Entries& entries) {
    std::vector<size_t> order(entries.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    if (!format_.sort_keys) return order;
    Status failed;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      if (!failed.ok()) return false;
      auto less = Less(budget_, entries[a].first, entries[b].first);
      if (!less.ok()) failed = std::move(less).error();
      return failed.ok() && *less;
    });
    SLIM_TRY(std::move(failed));
    return order;
  }

  Status Key(const Value& key) {
    switch (key.kind()) {
      case Kind::kString:
        return Text(key.text());
      case Kind::kNone:
        return Text("null");
      case Kind::kBool:
        return Text(key.boolean() ? "true" : "false");
      case Kind::kInteger:
        return Text(std::to_string(key.integer()));
      case Kind::kFloat:
        return Text(Real(key.real()));
      default:
        return TypeError(fmt::format("a key of type {} has no JSON", TypeName(key)));
    }
  }

  const JsonFormat& format_;
};

}  // namespace

Result<std::string> Repr(Budget& budget, const Value& value) {
  ReprWriter writer(budget);
  SLIM_TRY(writer.Write(value));
  return writer.Finish();
}

Result<std::string> Str(Budget& budget, const Value& value) {
  if (value.IsUndefined()) return std::string();
  if (!value.Is(Kind::kString)) return Repr(budget, value);
  SLIM_TRY(budget.Text(value.text().size()));
  return value.text();
}

Result<std::string> ToJson(Budget& budget, const Value& value, const JsonFormat& format) {
  JsonWriter writer(budget, format);
  SLIM_TRY(writer.Write(value));
  return writer.Finish();
}

}  // namespace slim::tmpl
