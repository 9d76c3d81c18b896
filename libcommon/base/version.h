// The version of the suite, as --version, receipts and reports print it.
#pragma once

#include <string_view>

namespace slim {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace slim
