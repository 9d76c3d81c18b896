#include "checkpoint/dialects/rotary_factors.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/math.h"

namespace slim {
namespace {

constexpr float kTwoPi = 2 * std::numbers::pi_v<float>;
constexpr float kTolerance = 1e-5F;  // relative: float32 powers of other libraries

float Wavelength(double theta, uint64_t i, uint64_t half) {
  const float exponent = static_cast<float>(2 * i) / static_cast<float>(2 * half);
  return kTwoPi * static_cast<float>(PowD(theta, static_cast<double>(exponent)));
}

bool Agree(std::span<const float> factors, std::span<const float> wanted) {
  return std::ranges::equal(factors, wanted, [](float factor, float want) {
    return std::abs(factor - want) <= kTolerance * want;
  });
}

// What s of one factor between 1 and `scaling.factor` says of the original length.
double OriginalBy(float factor, float wavelength, const Llama3Scaling& scaling) {
  const double s =
      (1 / static_cast<double>(factor) - 1 / scaling.factor) / (1 - 1 / scaling.factor);
  const double range = scaling.high_frequency_factor - scaling.low_frequency_factor;
  return std::round(static_cast<double>(wavelength) * (s * range + scaling.low_frequency_factor));
}

}  // namespace

std::optional<Llama3Scaling> Llama3Scaling::Of(const Json& rope_scaling) {
  Llama3Scaling scaling;
  const std::pair<std::string_view, double*> entries[] = {
      {"factor", &scaling.factor},
      {"low_freq_factor", &scaling.low_frequency_factor},
      {"high_freq_factor", &scaling.high_frequency_factor},
      {"original_max_position_embeddings", &scaling.original_max_position}};
  for (const auto& [key, value] : entries) {
    const Json* entry = rope_scaling.Find(key);
    const auto number = entry == nullptr ? std::nullopt : entry->AsDouble();
    if (!number || !std::isfinite(*number) || *number <= 0) return std::nullopt;
    *value = *number;
  }
  if (scaling.high_frequency_factor <= scaling.low_frequency_factor) return std::nullopt;
  return scaling;
}

Json Llama3Scaling::ToJson() const {
  Json json = Json::Object();
  json.Set("rope_type", "llama3");
  json.Set("factor", Json::Real(factor));
  json.Set("low_freq_factor", Json::Real(low_frequency_factor));
  json.Set("high_freq_factor", Json::Real(high_frequency_factor));
  json.Set("original_max_position_embeddings", static_cast<int64_t>(original_max_position));
  return json;
}

std::vector<float> RotaryFactors(const Llama3Scaling& scaling, double theta, uint64_t half) {
  const auto factor = static_cast<float>(scaling.factor);
  const auto low = static_cast<float>(scaling.low_frequency_factor);
  const auto high = static_cast<float>(scaling.high_frequency_factor);
  const auto original = static_cast<float>(scaling.original_max_position);
  std::vector<float> factors(half, 1.0F);
  for (uint64_t i = 0; i < half; ++i) {
    const float wavelength = Wavelength(theta, i, half);
    if (wavelength < original / high) continue;
    const float s = (original / wavelength - low) / (high - low);
    factors[i] = wavelength > original / low ? factor : 1 / ((1 - s) / factor + s);
  }
  return factors;
}

std::optional<Llama3Scaling> ScalingOfRotaryFactors(std::span<const float> factors, double theta) {
  const uint64_t half = factors.size();
  if (half == 0 || !(factors.back() > 1) || !std::isfinite(factors.back())) return std::nullopt;
  Llama3Scaling scaling;
  scaling.factor = static_cast<double>(factors.back());
  const auto between = std::ranges::find_if(
      factors, [&](float factor) { return factor > 1 && factor < factors.back(); });
  if (between != factors.end()) {
    const auto i = static_cast<uint64_t>(between - factors.begin());
    scaling.original_max_position = OriginalBy(*between, Wavelength(theta, i, half), scaling);
  }
  if (!(scaling.original_max_position >= 1) || scaling.original_max_position > 1e12 ||
      !Agree(factors, RotaryFactors(scaling, theta, half)))
    return std::nullopt;
  return scaling;
}

}  // namespace slim
