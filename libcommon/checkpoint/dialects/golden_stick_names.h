// Files of golden-stick by name, for the reader and for telling dialects apart.
#pragma once

#include <string_view>

namespace slim {

inline constexpr std::string_view kGoldenStickDescription = "quantization_description.json";

}  // namespace slim
