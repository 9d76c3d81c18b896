#include "text/template_filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace slim::tmpl {
namespace {

constexpr std::array<std::string_view, 13> kLeftOut = {
    "attr",   "filesizeformat", "format",    "groupby", "pprint",   "random",     "striptags",
    "urlize", "urlencode",      "wordcount", "xmlattr", "wordwrap", "forceescape"};

const Filter* FindFilter(std::string_view name) {
  for (const std::vector<Filter>* table : {&TextFilters(), &SequenceFilters()}) {
    const auto found = std::find_if(table->begin(), table->end(),
                                    [&](const Filter& filter) { return filter.name == name; });
    if (found != table->end()) return &*found;
  }
  return nullptr;
}

}  // namespace

bool HasFilter(std::string_view name) {
  return FindFilter(name) != nullptr ||
         std::find(kLeftOut.begin(), kLeftOut.end(), name) != kLeftOut.end();
}

Result<Value> ApplyFilter(Runtime& runtime, std::string_view name, const Value& value,
                          const Arguments& arguments) {
  const Filter* filter = FindFilter(name);
  if (filter == nullptr) {
    if (HasFilter(name)) {
      return Unsupported(fmt::format("filter '{}' is not supported", name));
    }
    return SyntaxError(fmt::format("there is no filter {}", Quote(name)));
  }
  if (filter->call_raw != nullptr) return filter->call_raw(runtime, value, arguments);
  SLIM_ASSIGN(const BoundArguments bound, BoundArguments::Bind(fmt::format("filter '{}'", name),
                                                               arguments, filter->parameters));
  return filter->call(runtime, value, bound);
}

}  // namespace slim::tmpl
