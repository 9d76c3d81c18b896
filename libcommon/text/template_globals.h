// The functions of the environment: range, dict, namespace, raise_exception, strftime_now.
#pragma once

#include <optional>
#include <string_view>

#include "text/template_value.h"

namespace slim::tmpl {

// Called for every namespace made, so that the evaluator can empty it at the end.
using NamespaceSink = std::function<void(std::shared_ptr<NamespaceObject>)>;

// The function of that name, or nothing.
std::optional<Value> FindGlobal(std::string_view name, const NamespaceSink& sink);

// strftime of C in the C locale, for the conversions of Python's datetime; time zones are empty as
// for local times there.
Result<std::string> FormatTime(std::string_view format, const std::tm& time);

}  // namespace slim::tmpl
