// How values are written: str() and repr() of Python, and json.dumps as the filter tojson of
// transformers calls it.
#pragma once

#include <string>

#include "base/result.h"
#include "text/template_value.h"

namespace slim::tmpl {

Result<std::string> Str(Budget& budget, const Value& value);
Result<std::string> Repr(Budget& budget, const Value& value);

struct JsonFormat {
  bool ensure_ascii = false;
  std::optional<std::string> indent;  // the text of one level; none: one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool sort_keys = false;
};
Result<std::string> ToJson(Budget& budget, const Value& value, const JsonFormat& format);

}  // namespace slim::tmpl
