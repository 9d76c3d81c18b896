// Text and JSON of conversions: what a plan would change, what a run wrote, which edges there are.
// Decides nothing.
#pragma once

#include <optional>
#include <string>

#include "convert/plan.h"
#include "json/json.h"

namespace slim {

// Lines for people: the edge and its loss class, what changes tensor by tensor, config.json, side
// files, notes. Tensors that are copied as they are count in one line unless `all_tensors`.
std::string ConvertPlanText(const ConvertPlan& plan, bool all_tensors);

// schemas/convert_plan.schema.json. Without `output` a plan, with it the result of a run. Every
// tensor is listed.
std::string ConvertPlanJson(const ConvertPlan& plan, const std::optional<std::string>& output);

// One line of what was written.
std::string ConvertSummary(const ConvertPlan& plan, const std::string& output);

// Why a side file was not copied, and how to get it.
std::string LeftBehindText(const SideFile& file);

// Dialects, the loss class of each cell, and what --dtype does to it.
std::string ConvertListText();
std::string ConvertListJson();  // schemas/convert_list.schema.json

}  // namespace slim
