// The filters and tests of the environment. A filter or test that Jinja has and we leave out is
// TPL-unsupported by name.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/template_value.h"

namespace slim::tmpl {

Result<Value> ApplyFilter(Runtime& runtime, std::string_view name, const Value& value,
                          const Arguments& arguments);
Result<bool> ApplyTest(Runtime& runtime, std::string_view name, const Value& value,
                       const Arguments& arguments);
bool HasFilter(std::string_view name);
bool HasTest(std::string_view name);

// One filter: with parameters to bind, or with its arguments as they were given.
struct Filter {
  std::string_view name;
  std::vector<std::string_view> parameters;
  Result<Value> (*call)(Runtime&, const Value&, const BoundArguments&) = nullptr;
  Result<Value> (*call_raw)(Runtime&, const Value&, const Arguments&) = nullptr;
};
// The tables behind ApplyFilter, by topic.
const std::vector<Filter>& TextFilters();      // template_text_filters.cc
const std::vector<Filter>& SequenceFilters();  // template_sequence_filters.cc

}  // namespace slim::tmpl
