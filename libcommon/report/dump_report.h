// What slim-diff found between two dumps: text for people, JSON, and CSV with msit's columns.
#pragma once

#include <string>

#include "diff/dumps.h"
#include "json/json.h"

namespace slim {

std::string DumpReportText(const DumpReport& report);
Json DumpReportJson(const DumpReport& report);
std::string DumpReportCsv(const DumpReport& report);

}  // namespace slim
