// Llama 3's rotary scaling as GGUF keeps it: not the numbers of config.json's rope_scaling, but for
// every frequency the factor that divides it (tensor rope_freqs.weight). Both ways. The frequencies
// themselves are not computed here (run/rope.h).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace slim {

inline constexpr std::string_view kRotaryFactors = "rope_freqs.weight";

struct Llama3Scaling {
  double factor = 8;
  double low_frequency_factor = 1;
  double high_frequency_factor = 4;
  double original_max_position = 8192;

  // Null where an entry is missing or no positive number, or the factors are not in their order.
  static std::optional<Llama3Scaling> Of(const Json& rope_scaling);
  Json ToJson() const;
};

// [head_dim / 2]: 1 for wavelengths below original / high, `factor` for those above original / low,
// between them 1 / ((1 - s) / factor + s) with s = (original / wavelength - low) / (high - low),
// all in float32. Source: transformers' modeling_rope_utils.py, llama.cpp's convert_hf_to_gguf.py.
std::vector<float> RotaryFactors(const Llama3Scaling& scaling, double theta, uint64_t half);

// The scaling that `factors` were made by, of those with Llama's own low and high factors: found by
// making them again. Nothing where none gives them.
std::optional<Llama3Scaling> ScalingOfRotaryFactors(std::span<const float> factors, double theta);

}  // namespace slim
