// Methods of text, lists, tuples and dicts that a template may call. Methods that change their
// object are undefined, as in Jinja's immutable sandbox; methods of Python that are left out say so
// when called.
#pragma once

#include <optional>
#include <string_view>

#include "text/template_value.h"

namespace slim::tmpl {

std::optional<Value> FindMethod(const Value& receiver, std::string_view name);

}  // namespace slim::tmpl
