// What a quantization run is asked to do, as plain values: the configuration that determines the
// bytes, and what only says how to work. Defaults are those of the command line (man page
// slim-quant.1).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/dialects/dialect.h"
#include "linear/scheme.h"

namespace slim {

enum class SmoothMethod : uint8_t { kNone, kIter };

// The dtype of elementwise steps. kFp32: scales and quotients in float32, the fold rounded once.
// kModel: every step rounded to the checkpoint's dtype as torch does, and RMSNorms run with eps
// 1e-6 while calibrating with smoothing, so that the numbers are msModelSlim's (facts:
// algorithms.md 0.1, 3.3).
enum class ComputeMode : uint8_t { kFp32, kModel };

inline constexpr double kIterSmoothAlpha = 0.9;

struct QuantOptions {
  Scheme type = Scheme::kW8A8;
  Dialect layout = Dialect::kAscendV1;
  ComputeMode compute = ComputeMode::kFp32;
  SmoothMethod smooth = SmoothMethod::kIter;
  double alpha = kIterSmoothAlpha;
  // Globs over module names. `float_names` stay float; `quantize_names` are taken off that list
  // again.
  std::vector<std::string> float_names;
  std::vector<std::string> quantize_names;
  std::string calibration_file;  // empty: the set that ships
  uint64_t part_size = 0;        // bytes; 0: the layout's own rule
  uint64_t max_memory = 0;       // bytes; 0: no limit
  int threads = 1;
};

std::string_view SmoothMethodName(SmoothMethod smooth);  // "iter"
std::string_view ComputeModeName(ComputeMode compute);   // "fp32"

// What determines the bytes of the output, for receipts and plans; thread counts and paths are left
// out.
Json ConfigurationJson(const QuantOptions& options);

// The types this version makes, in the order of --help.
std::vector<Scheme> QuantizableTypes();

// What stays float unless asked otherwise (design: cli.md): static w8a8 keeps down_proj, whose
// input has the widest range; every type keeps lm_head, which loaders expect in float.
std::vector<std::string> DefaultFloatNames(Scheme type);

// iter for the w8a8 types, none for weight-only ones.
SmoothMethod DefaultSmooth(Scheme type);

}  // namespace slim
