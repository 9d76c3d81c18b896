#include "linear/int4.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/quantize.h"
#include "linear/torch_sum.h"

namespace slim {
namespace {

Error Odd(std::string_view what, uint64_t value, std::string_view why) {
  return InputError("LIN-odd", fmt::format("has {} = {}, {}", what, value, why),
                    "keep the layer in float with --disable-names, or at 8 bits");
}

constexpr uint64_t kLargestTensorParallel = 16;

int8_t Join(int8_t low, int8_t high) {
  return static_cast<int8_t>((low & 0xF) | static_cast<int8_t>(static_cast<uint8_t>(high) << 4));
}
int8_t Low(int8_t byte) {
  return static_cast<int8_t>(static_cast<int8_t>(static_cast<uint8_t>(byte) << 4) >> 4);
}
int8_t High(int8_t byte) { return static_cast<int8_t>(byte >> 4); }

bool ContainsAny(std::string_view name, std::span<const std::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(), [&](std::string_view part) {
    return name.find(part) != std::string_view::npos;
  });
}

}  // namespace

Int4Packing Int4PackingOf(Scheme scheme, uint64_t scale_columns, bool packs) {
  if (!packs) return Int4Packing::kNone;
  if (scheme == Scheme::kW4A8Dynamic) return Int4Packing::kAlongN;
  if (scheme != Scheme::kW4A16) return Int4Packing::kNone;
  return scale_columns == 1 ? Int4Packing::kAlongK : Int4Packing::kAlongN;
}

Result<Shape> PackedInt4Shape(uint64_t n, uint64_t k, Int4Packing packing) {
  if (packing == Int4Packing::kNone) return Shape{n, k};
  const bool rows = packing == Int4Packing::kAlongN;
  if ((rows ? n : k) % 2 != 0) {
    return rows ? Odd("n", n, "packing two rows a byte needs an even number of outputs")
                : Odd("k", k, "packing two columns a byte needs an even number of inputs");
  }
  return rows ? Shape{n / 2, k} : Shape{n, k / 2};
}

Result<Tensor> PackInt4(const Tensor& codes, Int4Packing packing) {
  const uint64_t k = codes.shape[1];
  SLIM_ASSIGN(const Shape shape, PackedInt4Shape(codes.shape[0], k, packing));
  Tensor packed(DType::kI8, shape);
  const auto from = codes.as<int8_t>();
  const auto to = packed.as<int8_t>();
  if (packing == Int4Packing::kNone) {
    std::copy(from.begin(), from.end(), to.begin());
  } else if (packing == Int4Packing::kAlongN) {
    for (uint64_t i = 0; i < shape[0]; ++i) {
      const int8_t* even = from.data() + 2 * i * k;
      for (uint64_t j = 0; j < k; ++j) to[i * k + j] = Join(even[j], even[k + j]);
    }
  } else {
    for (uint64_t i = 0; i < to.size(); ++i) to[i] = Join(from[2 * i], from[2 * i + 1]);
  }
  return packed;
}

Tensor UnpackInt4(const Tensor& packed, Int4Packing packing) {
  if (packing == Int4Packing::kNone) return Tensor::Copy(packed.view());
  const bool rows = packing == Int4Packing::kAlongN;
  const uint64_t n = packed.shape[0];
  const uint64_t k = packed.shape[1];
  Tensor codes(DType::kI8, rows ? Shape{2 * n, k} : Shape{n, 2 * k});
  const auto from = packed.as<int8_t>();
  const auto to = codes.as<int8_t>();
  if (rows) {
    for (uint64_t i = 0; i < n; ++i) {
      int8_t* even = to.data() + 2 * i * k;
      for (uint64_t j = 0; j < k; ++j) {
        even[j] = Low(from[i * k + j]);
        even[k + j] = High(from[i * k + j]);
      }
    }
  } else {
    for (uint64_t i = 0; i < from.size(); ++i) {
      to[2 * i] = Low(from[i]);
      to[2 * i + 1] = High(from[i]);
    }
  }
  return codes;
}

Result<ScaleBiasForm> ScaleBiasFormOf(std::string_view module, uint64_t k, bool as_msmodelslim) {
  // Substrings of the whole dotted name, in this order: msModelSlim's own rule.
  constexpr std::array<std::string_view, 7> kSplitAlongN = {
      "up_proj", "gate_proj", "q_proj", "k_proj", "v_proj", "w1", "w3"};
  constexpr std::array<std::string_view, 3> kSplitAlongK = {"down_proj", "o_proj", "w2"};
  if (ContainsAny(module, kSplitAlongN)) return ScaleBiasForm{};
  if (!ContainsAny(module, kSplitAlongK))
    return as_msmodelslim ? ScaleBiasForm{k, 1} : ScaleBiasForm{};
  if (k % kLargestTensorParallel != 0)
    return Odd("k", k, "scale_bias holds one sum for each sixteenth of it");
  return ScaleBiasForm{kLargestTensorParallel};
}

void ScaleBiasRow(std::span<const int8_t> codes, float scale, float factor, bool as_msmodelslim,
                  std::span<float> out) {
  const uint64_t width = codes.size() / out.size();
  std::vector<float> products(as_msmodelslim ? width : 0);
  for (uint64_t i = 0; i < out.size(); ++i) {
    const auto part = codes.subspan(i * width, width);
    if (as_msmodelslim) {
      DequantizeRow(part.data(), width, scale, 0.0F, products.data());
      out[i] = factor * TorchSum(products);
      continue;
    }
    int64_t sum = 0;
    for (const int8_t code : part) sum += code;
    out[i] = static_cast<float>(static_cast<double>(factor) * static_cast<double>(sum) *
                                static_cast<double>(scale));
  }
}

}  // namespace slim
