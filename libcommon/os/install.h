// Where the files that ship with slim are: beside the installed program or libslim.so
// (PREFIX/share/slim), or in the source tree when a program runs from a build folder inside it. No
// path is compiled in, so an installation can be moved.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace slim {

// The path of "calibration/default.jsonl" and the like. IN-missing names the places that were
// tried.
Result<std::string> FindInstalledFile(std::string_view relative);

}  // namespace slim
