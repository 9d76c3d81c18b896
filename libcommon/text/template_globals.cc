#include "text/template_globals.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "text/template_ops.h"
#include "text/template_print.h"

namespace slim::tmpl {
namespace {

class Function final : public CallableObject {
 public:
  using Body = std::function<Result<Value>(Runtime&, const Arguments&)>;
  Function(std::string_view function, Body body) : body_(std::move(body)) { name = function; }
  Result<Value> Call(Runtime& runtime, const Arguments& arguments) override {
    return body_(runtime, arguments);
  }

 private:
  Body body_;
};

Result<Value> Range(Runtime&, const Arguments& arguments) {
  const Values& given = arguments.positional;
  if (!arguments.keyword.empty() || given.empty() || given.size() > 3) {
    return TypeError("range takes one to three integers");
  }
  for (const Value& value : given) {
    if (value.IsUndefined()) return UndefinedError(value.text());
    if (!value.IsIntegral())
      return TypeError(fmt::format("range takes integers, not {}", TypeName(value)));
  }
  const int64_t start = given.size() == 1 ? 0 : given[0].integer();
  const int64_t stop = given.size() == 1 ? given[0].integer() : given[1].integer();
  const int64_t step = given.size() == 3 ? given[2].integer() : 1;
  if (step == 0) return ValueError("the step of a range is zero");
  constexpr uint64_t kMaxRange = 100'000;  // Jinja's sandbox
  Value range = Value::Range(start, stop, step);
  if (range.range().Length() > kMaxRange) {
    return Overflow(fmt::format("a range of more than {} numbers", kMaxRange));
  }
  return range;
}

// dict(other, a=1) or dict([(key, value)]).
Result<Entries> DictEntries(Runtime& runtime, const Arguments& arguments) {
  if (arguments.positional.size() > 1)
    return TypeError("dict takes at most one argument by position");
  Entries entries;
  if (!arguments.positional.empty() && arguments.positional[0].Is(Kind::kDict)) {
    entries = arguments.positional[0].entries();
    SLIM_TRY(runtime.budget.Steps(entries.size()));
  } else if (!arguments.positional.empty()) {
    SLIM_ASSIGN(const Values pairs, Elements(runtime.budget, arguments.positional[0]));
    for (const Value& pair : pairs) {
      SLIM_ASSIGN(const Values parts, Elements(runtime.budget, pair));
      if (parts.size() != 2) return ValueError("dict takes pairs of a key and a value");
      SLIM_TRY(SetKey(runtime.budget, entries, parts[0], parts[1]));
    }
  }
  for (const auto& [name, value] : arguments.keyword) {
    SLIM_TRY(SetKey(runtime.budget, entries, Value::String(name), value));
  }
  return entries;
}

Result<Value> Dict(Runtime& runtime, const Arguments& arguments) {
  SLIM_ASSIGN(Entries entries, DictEntries(runtime, arguments));
  return MakeDict(runtime.budget, std::move(entries));
}

Result<Value> Namespace(Runtime& runtime, const Arguments& arguments, const NamespaceSink& sink) {
  SLIM_ASSIGN(const Entries entries, DictEntries(runtime, arguments));
  auto object = std::make_shared<NamespaceObject>();
  for (const auto& [key, value] : entries) {
    if (!key.Is(Kind::kString)) return TypeError("the members of a namespace are named by text");
    if (key.text().starts_with('_')) {
      return InputError("TPL-sandbox",
                        fmt::format("a namespace may not have a member {}", Quote(key.text())));
    }
    object->Set(key.text(), value);
  }
  sink(object);
  return Value::Of(std::move(object));
}

Result<Value> RaiseException(Runtime& runtime, const Arguments& arguments) {
  SLIM_ASSIGN(const BoundArguments bound,
              BoundArguments::Bind("raise_exception", arguments, {"message"}));
  SLIM_ASSIGN(const std::string text, Str(runtime.budget, bound.Or(0, Value::String(""))));
  return InputError("TPL-raised", "the template refuses: " + Escape(text));
}

Result<Value> StrftimeNow(Runtime& runtime, const Arguments& arguments) {
  SLIM_ASSIGN(const BoundArguments bound,
              BoundArguments::Bind("strftime_now", arguments, {"format"}));
  if (!bound.Has(0) || !bound[0].Is(Kind::kString)) return TypeError("strftime_now takes a format");
  SLIM_ASSIGN(std::string text, FormatTime(bound[0].text(), runtime.clock()));
  return MakeString(runtime.budget, std::move(text));
}

constexpr std::array<std::string_view, 4> kLeftOut = {"cycler", "joiner", "lipsum", "self"};

}  // namespace

std::optional<Value> FindGlobal(std::string_view name, const NamespaceSink& sink) {
  Function::Body body;
  if (name == "range") {
    body = Range;
  } else if (name == "dict") {
    body = Dict;
  } else if (name == "raise_exception") {
    body = RaiseException;
  } else if (name == "strftime_now") {
    body = StrftimeNow;
  } else if (name == "namespace") {
    body = [sink](Runtime& runtime, const Arguments& arguments) {
      return Namespace(runtime, arguments, sink);
    };
  } else if (std::find(kLeftOut.begin(), kLeftOut.end(), name) != kLeftOut.end()) {
    body = [name = std::string(name)](Runtime&, const Arguments&) -> Result<Value> {
      return Unsupported(fmt::format("'{}' is not supported", name));
    };
  } else {
    return std::nullopt;
  }
  return Value::Of(std::make_shared<Function>(name, std::move(body)), 0);
}

Result<std::string> FormatTime(std::string_view format, const std::tm& time) {
  constexpr std::string_view kConversions = "aAbBcCdDeFgGhHIjklmMnprRStTuUVwWxXyY%";
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 >= format.size()) {
      out += format[i];
      continue;
    }
    std::string conversion = "%";
    ++i;
    if (format[i] == '-' && i + 1 < format.size()) conversion += format[i++];  // without padding
    conversion += format[i];
    if (format[i] == 'z' || format[i] == 'Z') continue;
    if (kConversions.find(format[i]) == std::string_view::npos) {
      return Unsupported(fmt::format("the time conversion {} is not supported", Quote(conversion)));
    }
    std::array<char, 128> buffer{};
    const size_t length = std::strftime(buffer.data(), buffer.size(), conversion.c_str(), &time);
    out.append(buffer.data(), length);
  }
  return out;
}

}  // namespace slim::tmpl
