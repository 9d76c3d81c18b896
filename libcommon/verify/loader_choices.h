// The names of the loaders, separated by spaces, for the completions of --for. From profile.def.
#pragma once

#include <string_view>

namespace slim {

inline constexpr std::string_view kLoaderChoices = ""
#define SLIM_LOADER(enumerator, name, summary) name " "
#include "verify/profile.def"
    ;

}  // namespace slim
