#include "run/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/math.h"

namespace slim {
namespace {

constexpr double kPi = std::numbers::pi;

// theta^(2 i / dim) in float32, i < dim / 2.
std::vector<float> Wavelengths(double theta, uint64_t half) {
  std::vector<float> values(half);
  const auto dim = static_cast<float>(2 * half);
  for (uint64_t i = 0; i < half; ++i) {
    const float exponent = static_cast<float>(2 * i) / dim;
    values[i] = static_cast<float>(PowD(theta, static_cast<double>(exponent)));
  }
  return values;
}

std::vector<float> Inverses(std::vector<float> values) {
  for (float& value : values) value = 1.0F / value;
  return values;
}

double YarnScale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * LogD(factor) + 1.0;
}

float YarnAttentionFactor(const RopeConfig& rope) {
  if (rope.attention_factor) return static_cast<float>(*rope.attention_factor);
  if (rope.mscale && rope.mscale_all_dim) {
    return static_cast<float>(YarnScale(rope.factor, *rope.mscale) /
                              YarnScale(rope.factor, *rope.mscale_all_dim));
  }
  return static_cast<float>(YarnScale(rope.factor, 1.0));
}

// Low frequencies are interpolated, high ones kept, a linear ramp between (find_correction_range).
std::vector<float> YarnFrequencies(const RopeConfig& rope, uint64_t half, uint64_t max_position) {
  const auto dim = static_cast<double>(2 * half);
  const auto original = static_cast<double>(rope.original_max_position.value_or(max_position));
  const auto correction = [&](double rotations) {
    return dim * LogD(original / (rotations * 2 * kPi)) / (2 * LogD(rope.theta));
  };
  double low = correction(rope.beta_fast);
  double high = correction(rope.beta_slow);
  if (rope.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dim - 1);
  if (low == high) high += 0.001;
  std::vector<float> frequencies = Wavelengths(rope.theta, half);
  for (uint64_t i = 0; i < half; ++i) {
    const float extrapolated = 1.0F / frequencies[i];
    const float interpolated = 1.0F / (static_cast<float>(rope.factor) * frequencies[i]);
    const float ramp =
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float keep = 1.0F - std::clamp(ramp, 0.0F, 1.0F);
    frequencies[i] = interpolated * (1.0F - keep) + extrapolated * keep;
  }
  return frequencies;
}

std::vector<float> Llama3Frequencies(const RopeConfig& rope, uint64_t half, uint64_t max_position) {
  const auto original = static_cast<double>(rope.original_max_position.value_or(max_position));
  const auto low_wavelength = static_cast<float>(original / rope.low_frequency_factor);
  const auto high_wavelength = static_cast<float>(original / rope.high_frequency_factor);
  const auto low = static_cast<float>(rope.low_frequency_factor);
  const auto range = static_cast<float>(rope.high_frequency_factor - rope.low_frequency_factor);
  const auto factor = static_cast<float>(rope.factor);
  std::vector<float> frequencies = Inverses(Wavelengths(rope.theta, half));
  for (float& frequency : frequencies) {
    const float wavelength = static_cast<float>(2 * kPi) / frequency;
    if (wavelength < high_wavelength) continue;
    if (wavelength > low_wavelength) {
      frequency /= factor;
      continue;
    }
    const float smooth = (static_cast<float>(original) / wavelength - low) / range;
    frequency = (1.0F - smooth) * frequency / factor + smooth * frequency;
  }
  return frequencies;
}

}  // namespace

RopeTable::RopeTable(const ModelConfig& config)
    : rope_(config.rope), half_(config.RopeDim() / 2), max_position_(config.max_position) {
  if (rope_.kind == RopeKind::kYarn) scaling_ = YarnAttentionFactor(rope_);
}

std::vector<float> RopeTable::InverseFrequencies(uint64_t length) const {
  switch (rope_.kind) {
    case RopeKind::kDefault:
      break;
    case RopeKind::kLinear: {
      std::vector<float> frequencies = Inverses(Wavelengths(rope_.theta, half_));
      for (float& frequency : frequencies) frequency /= static_cast<float>(rope_.factor);
      return frequencies;
    }
    case RopeKind::kDynamic: {
      // NTK: the base grows with the sequence, so that its longest wave still fits.
      if (half_ < 2) break;
      const auto longest = static_cast<double>(std::max(length, max_position_));
      const auto dim = static_cast<double>(2 * half_);
      const double growth =
          rope_.factor * longest / static_cast<double>(max_position_) - (rope_.factor - 1);
      return Inverses(Wavelengths(rope_.theta * PowD(growth, dim / (dim - 2)), half_));
    }
    case RopeKind::kYarn:
      return YarnFrequencies(rope_, half_, max_position_);
    case RopeKind::kLlama3:
      return Llama3Frequencies(rope_, half_, max_position_);
  }
  return Inverses(Wavelengths(rope_.theta, half_));
}

void RopeTable::Extend(uint64_t length) {
  if (length <= length_) return;
  const std::vector<float> frequencies = InverseFrequencies(length);
  rows_.resize(length * 2 * half_);
  for (uint64_t position = length_; position < length; ++position) {
    float* cosines = rows_.data() + position * 2 * half_;
    float* sines = cosines + half_;
    for (uint64_t i = 0; i < half_; ++i) {
      const double angle = static_cast<double>(static_cast<float>(position) * frequencies[i]);
      cosines[i] = static_cast<float>(CosD(angle)) * scaling_;
      sines[i] = static_cast<float>(SinD(angle)) * scaling_;
    }
  }
  length_ = length;
}

void RopeTable::Rotate(float* head, uint64_t position) const {
  const float* cosines = rows_.data() + position * 2 * half_;
  const float* sines = cosines + half_;
  float* low = head;
  float* high = head + half_;
  for (uint64_t i = 0; i < half_; ++i) {
    const float a = low[i];
    const float b = high[i];
    low[i] = a * cosines[i] - b * sines[i];
    high[i] = b * cosines[i] + a * sines[i];
  }
}

void RopeTable::RotatePairs(float* head, uint64_t position) const {
  const float* cosines = rows_.data() + position * 2 * half_;
  const float* sines = cosines + half_;
  for (uint64_t i = 0; i < half_; ++i) {
    const float a = head[2 * i];
    const float b = head[2 * i + 1];
    head[2 * i] = a * cosines[i] - b * sines[i];
    head[2 * i + 1] = b * cosines[i] + a * sines[i];
  }
}

}  // namespace slim
