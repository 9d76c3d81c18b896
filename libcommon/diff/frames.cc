#include "diff/frames.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <utility>

#include "model/modules.h"

namespace slim {
namespace {

// Share of the difference that factors leave in half of the channels, where there was smoothing.
constexpr double kUnexplained = 0.25;

const Norm* FindNorm(const BlockParts& parts, std::string_view name) {
  for (const Norm* norm : parts.norms) {
    if (norm->name == name) return norm;
  }
  return nullptr;
}

bool AllEqual(const std::vector<float>& values, float wanted) {
  return std::all_of(values.begin(), values.end(), [&](float value) { return value == wanted; });
}

double Median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Least squares of x2 = s x1 for every channel; empty where nothing was smoothed.
std::vector<float> FitScale(const float* x1, const float* x2, uint64_t t, uint64_t k) {
  std::vector<double> product(k), square(k), other(k);
  for (uint64_t i = 0; i < t; ++i) {
    for (uint64_t j = 0; j < k; ++j) {
      const double a = x1[i * k + j];
      const double b = x2[i * k + j];
      product[j] += a * b;
      square[j] += a * a;
      other[j] += b * b;
    }
  }
  std::vector<float> scale(k, 1.0F);
  std::vector<double> distance, remainder;
  for (uint64_t j = 0; j < k; ++j) {
    if (square[j] == 0 || product[j] <= 0) continue;
    const double factor = product[j] / square[j];
    scale[j] = static_cast<float>(factor);
    distance.push_back(std::fabs(factor - 1));
    const double before = other[j] - 2 * product[j] + square[j];
    const double after = other[j] - factor * product[j];
    remainder.push_back(before > 0 ? after / before : 1);
  }
  if (distance.empty()) return {};
  // Large errors of the layers before move the factors, too, but are not explained by them.
  if (Median(distance) < kFitTolerance || Median(remainder) > kUnexplained) return {};
  return scale;
}

bool EndsWith(std::string_view name, std::string_view suffix) { return name.ends_with(suffix); }

// "a.o_proj" -> "a.v_proj", "b.down_proj" -> "b.up_proj".
std::string Feeder(std::string_view linear) {
  const size_t dot = linear.rfind('.');
  const std::string_view last = EndsWith(linear, ".o_proj") ? "v_proj" : "up_proj";
  return std::string(linear.substr(0, dot + 1)) + std::string(last);
}

}  // namespace

LinearFrame NormFrame(const Norm& first, const Norm& second) {
  LinearFrame frame;
  const size_t width = first.weight.size();
  const auto bias = [](const Norm& norm, size_t i) { return norm.bias.empty() ? 0 : norm.bias[i]; };
  frame.scale.resize(width);
  frame.offset.resize(width);
  for (size_t i = 0; i < width; ++i) {
    const bool usable = first.weight[i] != 0 && second.weight[i] != 0;
    frame.scale[i] = usable ? second.weight[i] / first.weight[i] : 1.0F;
    frame.offset[i] = bias(second, i) - bias(first, i) * frame.scale[i];
  }
  if (AllEqual(frame.scale, 1)) frame.scale.clear();
  if (AllEqual(frame.offset, 0)) frame.offset.clear();
  return frame;
}

std::vector<float> LinearFrame::ToSecond(const float* x, uint64_t t, uint64_t k) const {
  std::vector<float> moved(x, x + t * k);
  for (uint64_t i = 0; i < t; ++i) {
    for (uint64_t j = 0; j < k; ++j) {
      float& value = moved[i * k + j];
      if (!scale.empty()) value *= scale[j];
      if (!offset.empty()) value += offset[j];
    }
  }
  return moved;
}

std::vector<float> LinearFrame::ToFirst(const float* x, uint64_t t, uint64_t k) const {
  std::vector<float> moved(x, x + t * k);
  for (uint64_t i = 0; i < t; ++i) {
    for (uint64_t j = 0; j < k; ++j) {
      float& value = moved[i * k + j];
      if (!offset.empty()) value -= offset[j];
      if (!scale.empty()) value /= scale[j];
    }
  }
  return moved;
}

BlockFrames BlockFrames::FromNorms(const ModelConfig& config, DecoderBlock& first,
                                   DecoderBlock& second) {
  BlockFrames frames;
  const BlockParts first_parts = first.Parts();
  const BlockParts second_parts = second.Parts();
  for (const SharedInput& input : SharedInputs(config, first.layer())) {
    if (input.norm.empty()) {
      for (const std::string& linear : input.linears) {
        frames.frames_[linear] = {};
        if (linear.find(".experts.") == std::string::npos) frames.unfitted_[linear] = true;
      }
      continue;
    }
    const Norm* a = FindNorm(first_parts, input.norm);
    const Norm* b = FindNorm(second_parts, input.norm);
    const LinearFrame frame = a != nullptr && b != nullptr ? NormFrame(*a, *b) : LinearFrame();
    for (const std::string& linear : input.linears) frames.frames_[linear] = frame;
  }
  return frames;
}

bool BlockFrames::NeedsFit(std::string_view linear) const {
  const auto found = unfitted_.find(linear);
  return found != unfitted_.end() && found->second;
}

void BlockFrames::Fit(const ModelConfig& config, std::string_view linear, const float* x1,
                      const float* x2, uint64_t t, uint64_t k) {
  unfitted_.find(linear)->second = false;
  std::vector<float> scale = FitScale(x1, x2, t, k);
  if (scale.empty()) return;
  const auto feeder = frames_.find(Feeder(linear));
  if (feeder != frames_.end()) {
    std::vector<float>& out = feeder->second.out;
    out = scale;
    const uint64_t dim = config.head_dim;
    const uint64_t groups = config.num_heads / std::max<uint64_t>(1, config.num_kv_heads);
    if (EndsWith(linear, ".o_proj") && groups > 1) {
      // Every head of a group reads the same values.
      out.resize(config.num_kv_heads * dim);
      for (uint64_t j = 0; j < out.size(); ++j) out[j] = scale[j / dim * groups * dim + j % dim];
    }
  }
  frames_.find(linear)->second.scale = std::move(scale);
}

const LinearFrame& BlockFrames::Of(std::string_view linear) const {
  static const LinearFrame kNone;
  const auto found = frames_.find(linear);
  return found == frames_.end() ? kNone : found->second;
}

Result<LinearLayer> FramedLinear(LinearRecord record, const LinearFrame& frame, Backend backend) {
  assert(record.scheme == Scheme::kFloat);
  if (frame.empty()) return LinearLayer::FromRecord(std::move(record), backend);
  const uint64_t n = record.n();
  const uint64_t k = record.k();
  Tensor weight(DType::kF32, {n, k});
  std::vector<float> bias;
  if (record.Has(Role::kBias)) bias = PartAsFloats(record, Role::kBias);
  if (!frame.offset.empty()) bias.resize(n);
  for (uint64_t i = 0; i < n; ++i) {
    float* row = weight.as<float>().data() + i * k;
    DequantizeWeightRow(record, i, {row, k});
    const float out = frame.out.empty() ? 1.0F : frame.out[i];
    double moved = 0;
    for (uint64_t j = 0; j < k; ++j) {
      if (!frame.scale.empty()) row[j] /= frame.scale[j];
      if (!frame.offset.empty()) moved += static_cast<double>(row[j]) * frame.offset[j];
      row[j] *= out;
    }
    if (!bias.empty()) bias[i] = out * (bias[i] - static_cast<float>(moved));
  }
  record[Role::kWeight] = std::move(weight);
  if (!bias.empty()) record[Role::kBias] = Tensor::FromFloats({n}, bias);
  return LinearLayer::FromRecord(std::move(record), backend);
}

}  // namespace slim
