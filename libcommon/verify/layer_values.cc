#include "verify/layer_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "base/bytes.h"
#include "base/text.h"
#include "checkpoint/scale_bias.h"
#include "checkpoint/sparse_codec.h"
#include "dtype/scalar_convert.h"
#include "verify/value_scan.h"

namespace slim {
namespace {

constexpr uint64_t kSmallestSample = 4096;  // codes, for a histogram

float SmallestNormal(DType dtype) { return dtype == DType::kF16 ? 0x1p-14F : 0x1p-126F; }

// Values that break a rule: how many, and the first of them.
struct Offenders {
  uint64_t count = 0;
  uint64_t first = 0;
  double value = 0;

  void Add(uint64_t index, double offender) {
    if (count++ > 0) return;
    first = index;
    value = offender;
  }
};

void ReportOffenders(VerifyContext& context, RuleName rule, const TensorEntry& entry,
                     const Offenders& offenders, std::string_view what) {
  if (offenders.count == 0) return;
  context.Report(
      rule, {.tensor = entry.name,
             .found = fmt::format("{}", offenders.value),
             .message = fmt::format("{} of {} values {}, the first is {} at {}", offenders.count,
                                    ElementCount(entry.shape).value_or(0), what, offenders.value,
                                    ElementText(entry.shape, offenders.first))});
}

bool IsPlainFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

void ReportNotFinite(VerifyContext& context, const TensorEntry& entry, const NotFinite& bad,
                     const Shape& shape) {
  if (bad.count == 0) return;
  context.Report(
      "VAL-not-finite",
      {.tensor = entry.name,
       .message = fmt::format("{} of {} values are NaN or infinite, the first is {}", bad.count,
                              ElementCount(shape).value_or(0), ElementText(shape, bad.first))});
}

class LayerChecker {
 public:
  LayerChecker(VerifyContext& context, const LayerTensors& layer, ValueTotals& totals)
      : context_(context), layer_(layer), totals_(totals) {}

  Status Check() {
    SLIM_TRY(ReadParts());
    for (const Role role : {Role::kWeightScale, Role::kInputScale}) CheckScale(role);
    CheckDeq();
    for (const Role role : {Role::kWeightOffset, Role::kInputOffset}) {
      if (Has(role)) CheckOffsetValues(context_, *layer_[role], parts_[Index(role)]);
    }
    CheckSymmetricOffset();
    CheckDeqProduct();
    SLIM_TRY(CheckFinite(Role::kBias));
    SLIM_TRY(CheckScaleBias());
    if (layer_[Role::kWeight] != nullptr) SLIM_TRY(CheckWeight(*layer_[Role::kWeight]));
    for (const TensorEntry* other : layer_.others) SLIM_TRY(CheckOther(*other));
    return {};
  }

 private:
  static size_t Index(Role role) { return static_cast<size_t>(role); }
  bool Has(Role role) const { return layer_[role] != nullptr && !parts_[Index(role)].empty(); }
  double Value(Role role, uint64_t index) const {
    return ElementAsDouble(parts_[Index(role)].view(), index);
  }
  uint64_t Count(Role role) const { return parts_[Index(role)].elements(); }
  // The number that a tensor holds, however often; golden-stick repeats those of an input for each
  // column.
  std::optional<double> OneValue(Role role) const {
    if (!Has(role) || Count(role) == 0) return {};
    const double first = Value(role, 0);
    for (uint64_t i = 1; i < Count(role); ++i) {
      if (Value(role, i) != first) return {};
    }
    return first;
  }
  bool IsGoldenStick() const { return context_.IsDialect(Dialect::kGoldenStick); }

  Status ReadParts() {
    for (size_t i = 0; i < kRoleCount; ++i) {
      if (i == Index(Role::kWeight) || layer_.parts[i] == nullptr) continue;
      SLIM_ASSIGN(parts_[i], context_.checkpoint().Read(*layer_.parts[i]));
    }
    return {};
  }

  Status CheckFinite(Role role) {
    return layer_[role] == nullptr ? Status() : CheckFinite(*layer_[role]);
  }
  Status CheckFinite(const TensorEntry& entry) { return CheckFiniteValues(context_, entry); }

  Status CheckOther(const TensorEntry& entry) {
    const bool scale = entry.name.ends_with("_scale") || entry.name.ends_with("_scale_inv") ||
                       entry.name.ends_with(".scales") || entry.name.ends_with(".scale");
    if ((!scale && !entry.name.ends_with("_offset")) || !IsPlainFloat(entry.dtype))
      return CheckFinite(entry);
    SLIM_ASSIGN(const Tensor tensor, context_.checkpoint().Read(entry));
    scale ? CheckScaleValues(context_, entry, tensor) : CheckOffsetValues(context_, entry, tensor);
    return {};
  }

  void CheckScale(Role role) {
    if (!Has(role) || !IsPlainFloat(layer_[role]->dtype)) return;
    CheckScaleValues(context_, *layer_[role], parts_[Index(role)]);
    CountProvenance(role);
  }

  // facts: formats.md 6.1 and 12.
  void CountProvenance(Role role) {
    if (layer_[role]->dtype != DType::kF32 || context_.model_dtype() != DType::kBF16) return;
    for (const uint32_t bits : parts_[Index(role)].as<uint32_t>()) {
      if ((bits & 0xFFFFU) == 0) continue;
      ++totals_.not_bf16_scales;
      return;
    }
  }

  void CheckDeq() {
    if (!Has(Role::kDeqScale)) return;
    const TensorEntry& entry = *layer_[Role::kDeqScale];
    const Tensor& tensor = parts_[Index(Role::kDeqScale)];
    deq_.resize(tensor.elements());
    if (entry.dtype == DType::kF32) {
      CheckScaleValues(context_, entry, tensor);
      for (uint64_t i = 0; i < deq_.size(); ++i) deq_[i] = tensor.as<float>()[i];
      return;
    }
    if (entry.dtype != DType::kI64) {
      deq_.clear();
      return;
    }
    Offenders offenders;
    for (uint64_t i = 0; i < deq_.size(); ++i) {
      const int64_t bits = tensor.as<int64_t>()[i];
      deq_[i] = DeqBitsToFloat(bits);
      const bool pattern = (static_cast<uint64_t>(bits) >> 32) == 0;
      if (!pattern || !std::isfinite(deq_[i]) || deq_[i] <= 0)
        offenders.Add(i, static_cast<double>(bits));
    }
    ReportOffenders(context_, "VAL-deq-bits", entry, offenders,
                    "are no bits of a positive float32");
  }

  void CheckSymmetricOffset() {
    const bool symmetric = *layer_.scheme == Scheme::kW8A8 ||
                           *layer_.scheme == Scheme::kW8A8Dynamic ||
                           *layer_.scheme == Scheme::kW8A8Mix;
    if (!symmetric || !Has(Role::kWeightOffset)) return;
    Offenders offenders;
    for (uint64_t i = 0; i < Count(Role::kWeightOffset); ++i) {
      if (Value(Role::kWeightOffset, i) != 0) offenders.Add(i, Value(Role::kWeightOffset, i));
    }
    ReportOffenders(context_, "VAL-weight-offset", *layer_[Role::kWeightOffset], offenders,
                    "are not 0");
  }

  // How far a stored product may be from the exact one: the writers round in the model's dtype
  // (formats.md 6.4), float16 with an absolute part because small values are subnormal.
  double ProductTolerance(double product) const {
    switch (context_.model_dtype().value_or(DType::kBF16)) {
      case DType::kF32:
        return 0x1p-20 * std::abs(product);
      case DType::kF16:
        return 0x1p-9 * std::abs(product) + 0x1p-24;
      default:
        return 0x1p-7 * std::abs(product);
    }
  }

  void CheckDeqProduct() {
    const auto one = OneValue(Role::kInputScale);
    if (deq_.empty() || !one) return;
    if (!Has(Role::kWeightScale) || Count(Role::kWeightScale) != deq_.size()) return;
    const double input_scale = *one;
    Offenders offenders;
    double wanted = 0;
    for (uint64_t i = 0; i < deq_.size(); ++i) {
      const double product = input_scale * Value(Role::kWeightScale, i);
      if (!(std::abs(deq_[i] - product) > ProductTolerance(product))) continue;
      if (offenders.count == 0) wanted = product;
      offenders.Add(i, deq_[i]);
    }
    ReportOffenders(context_, "VAL-deq-product", *layer_[Role::kDeqScale], offenders,
                    fmt::format("are not input_scale * weight_scale ({})", wanted));
  }

  // 8 · Σ q · scale (formats.md 6.6). Two-stage writers round both scales to bfloat16 on the way.
  Status CheckScaleBias() {
    const TensorEntry* weight = layer_[Role::kWeight];
    if (!Has(Role::kScaleBias) || weight == nullptr || weight->shape.size() != 2) return {};
    if (weight->dtype != DType::kI8 || !Has(Role::kWeightScale)) return {};
    auto wanted = ScaleBiasOf(context_.checkpoint(), std::string(layer_.module),
                              context_.checkpoint().traits().packs_int4);
    if (!wanted.ok()) return wanted.error().code == ErrorCode::kInput ? Status() : wanted.error();
    // Writers give names that their lists do not know the dequantized weight instead.
    if (wanted->shape != layer_[Role::kScaleBias]->shape) return {};
    const uint64_t columns = wanted->shape[1];
    const double codes = 8.0 * static_cast<double>(weight->shape[1] / columns);
    const double rounding = Has(Role::kWeightScaleSecond) ? 0x1p-6 : 0x1p-16;
    Offenders offenders;
    double right = 0;
    for (uint64_t i = 0; i < wanted->elements(); ++i) {
      const double scale = std::abs(Value(Role::kWeightScale, i / columns));
      const double exact = wanted->as<float>()[i];
      if (std::abs(Value(Role::kScaleBias, i) - exact) <=
          rounding * (8 * codes * scale + std::abs(exact)))
        continue;
      if (offenders.count == 0) right = exact;
      offenders.Add(i, Value(Role::kScaleBias, i));
    }
    ReportOffenders(context_, "VAL-scale-bias", *layer_[Role::kScaleBias], offenders,
                    fmt::format("are not 8 times the sum of codes times scale ({})", right));
    return {};
  }

  Status CheckWeight(const TensorEntry& weight) {
    if (*layer_.scheme == Scheme::kW8A8SC || *layer_.scheme == Scheme::kW16A16SC)
      return CheckCompressed(weight);
    // Packed codes have no bits that must not be: what can be torn is looked at all the same.
    if (weight.dtype != DType::kI8 || weight.shape.size() != 2 || !HoldsOneCodeAByte())
      return CheckFinite(weight);
    PageWatcher pages(weight);
    SLIM_ASSIGN(const CodeStatistics codes,
                ScanCodes(context_.checkpoint(), weight, CanFold(weight), {.pages = &pages}));
    CheckCodes(weight, weight.shape, codes);
    if (!codes.row_sums.empty()) CheckQuantBias(codes.row_sums);
    return ReportPages(context_, weight, pages);
  }

  // The index and info of a stream, which stand beside it.
  Result<Tensor> ReadBeside(std::string_view suffix, DType dtype) {
    for (const TensorEntry* other : layer_.others) {
      if (SplitTensorName(other->name).suffix == suffix && other->dtype == dtype)
        return context_.checkpoint().Read(*other);
    }
    return Tensor();
  }

  bool HasOpenStream(const TensorEntry& weight) const {
    return std::ranges::any_of(
        context_.checkpoint().shards()[weight.shard].header.metadata, [](const auto& pair) {
          return pair.first == kSparseCodecKey && pair.second == kSparseCodecName;
        });
  }

  // Streams of slim-convert are unpacked (checkpoint/sparse_codec.h).
  Status CheckCompressed(const TensorEntry& weight) {
    if (!HasOpenStream(weight)) {
      context_.Report("VAL-closed-stream",
                      {.tensor = weight.name, .message = "is no stream that slim-convert made"});
      return {};
    }
    SLIM_ASSIGN(const Tensor index, ReadBeside("index", DType::kI8));
    SLIM_ASSIGN(const Tensor info, ReadBeside("info", DType::kI64));
    if (index.empty() || info.empty()) return {};  // LIN-missing-part, LIN-dtype
    const SparseStream stream = {{weight.size,
                                  [&](std::span<std::byte> to, uint64_t offset) {
                                    return context_.checkpoint().ReadPart(weight, to, offset);
                                  }},
                                 index.view(),
                                 info.view()};
    const Status status = CheckStream(weight, stream);
    if (status.ok() || status.error().code != ErrorCode::kInput) return status;
    context_.Report("VAL-stream", {.tensor = weight.name, .message = status.error().message});
    return {};
  }

  Status CheckStream(const TensorEntry& weight, const SparseStream& stream) {
    SLIM_ASSIGN(const SparseSize size, SparseSizeOf(stream.info));
    if (*layer_.scheme == Scheme::kW16A16SC) {
      SLIM_ASSIGN(const NotFinite bad, CountNotFiniteSparse(stream, size));
      ReportNotFinite(context_, weight, bad, {size.n, size.k / 2});
      return {};
    }
    if (Count(Role::kQuantBias) != size.n) return {};  // LIN-shape
    SLIM_ASSIGN(const CodeStatistics codes, ScanSparseCodes(stream, size));
    CheckCodes(weight, {size.n, size.k}, codes);
    return {};
  }

  // 4-bit codes are packed, but by the mindie writers (formats.md 5.1, 6.5).
  bool HoldsOneCodeAByte() const {
    return HasInt8Codes(*layer_.scheme) ||
           (SchemeWeightBits(*layer_.scheme) == 4 && context_.IsDialect(Dialect::kMindIE));
  }

  // `shape` is that of the codes.
  void CheckCodes(const TensorEntry& weight, const Shape& shape, const CodeStatistics& codes) {
    if (SchemeWeightBits(*layer_.scheme) == 4) {
      if (codes.min >= -8 && codes.max <= 7) return;
      context_.Report("VAL-int4-range",
                      {.tensor = weight.name,
                       .found = fmt::format("[{}, {}]", codes.min, codes.max),
                       .wanted = "[-8, 7]",
                       .message = fmt::format("has codes from {} to {}", codes.min, codes.max)});
      return;
    }
    const uint64_t count = ElementCount(shape).value_or(0);
    if (codes.at_ends > count / 10) {
      const double share = 100.0 * static_cast<double>(codes.at_ends) / static_cast<double>(count);
      context_.Report(
          "VAL-saturated",
          {.tensor = weight.name,
           .found = fmt::format("{:.1f} %", share),
           .wanted = "at most 10 %",
           .message = fmt::format("{:.1f} % of the codes are at the ends of the range", share)});
    }
    if (codes.minus_128 > 0 && *layer_.scheme != Scheme::kW8A16) {
      context_.Report("VAL-minus-128",
                      {.tensor = weight.name,
                       .found = std::to_string(codes.minus_128),
                       .message = fmt::format("{} codes are -128", codes.minus_128)});
    }
    CheckHistogram(weight, codes);
    ReportRows("VAL-zero-row", weight, {codes.zero_rows, shape[0]}, codes.first_zero_row, "zero");
    ReportRows("VAL-constant-row", weight, {codes.constant_rows, shape[0]},
               codes.first_constant_row, "one value");
  }

  // Trained weights give codes whose frequencies fall off smoothly from 0.
  void CheckHistogram(const TensorEntry& weight, const CodeStatistics& codes) {
    const auto& counts = codes.histogram;
    const uint64_t total = std::accumulate(counts.begin(), counts.end(), uint64_t{0});
    if (total < kSmallestSample) return;
    const auto used = 256 - std::count(counts.begin(), counts.end(), 0U);
    if (used <= 16 && (codes.min < -8 || codes.max > 7)) {
      context_.Report("VAL-code-histogram",
                      {.tensor = weight.name,
                       .found = fmt::format("{} codes", used),
                       .message = fmt::format("only {} codes from {} to {} occur among {}", used,
                                              codes.min, codes.max, total)});
      return;
    }
    for (size_t i = 4; i + 4 < counts.size(); ++i) {
      if (i == 128 || counts[i] < total / 100) continue;
      uint64_t beside = 0;
      for (const size_t other : {i - 2, i - 1, i + 1, i + 2}) {
        if (other != 128) beside = std::max<uint64_t>(beside, counts[other]);
      }
      if (counts[i] <= 10 * beside + 64) continue;
      const double share = 100.0 * counts[i] / static_cast<double>(total);
      context_.Report("VAL-code-histogram",
                      {.tensor = weight.name,
                       .found = fmt::format("{:.1f} %", share),
                       .message = fmt::format(
                           "{:.1f} % of a sample are {}, ten times as many as of the codes beside",
                           share, static_cast<int>(i) - 128)});
      return;
    }
  }

  // `count` of how many.
  void ReportRows(RuleName rule, const TensorEntry& weight, std::pair<uint64_t, uint64_t> rows,
                  uint64_t first, std::string_view what) {
    const auto [count, all] = rows;
    if (count == 0) return;
    context_.Report(rule, {.tensor = weight.name,
                           .found = fmt::format("{} rows", count),
                           .message = fmt::format("{} of {} rows hold {} only, the first is row {}",
                                                  count, all, what, first)});
  }

  // What quant_bias is made of is all there, in shapes that fit.
  bool CanFold(const TensorEntry& weight) const {
    const uint64_t n = weight.shape[0];
    return Has(Role::kQuantBias) && layer_[Role::kQuantBias]->dtype == DType::kI32 &&
           Count(Role::kQuantBias) == n && deq_.size() == n && OneValue(Role::kInputOffset) &&
           (!Has(Role::kBias) || Count(Role::kBias) == n);
  }

  // facts: formats.md 6.4 and the row of section 12: one-click writers divide the bias in the
  // model's dtype (8 significant bits of bfloat16: half a step is up to 2^-8 of the value), and
  // sums beyond 2^24 are rounded to float32 on the way.
  double FoldTolerance(double bias_term, double correction) const {
    const auto dtype = context_.model_dtype().value_or(DType::kBF16);
    const double half_step = dtype == DType::kBF16  ? 0x1p-8
                             : dtype == DType::kF16 ? 0x1p-11
                                                    : 0x1p-24;
    return 1.0 + half_step * std::abs(bias_term) +
           0x1p-23 * (std::abs(correction) + std::abs(bias_term));
  }

  // golden-stick rounds the product of the scales (deq), and its product with the sum, to the dtype
  // of the scales; in float16 both are subnormal as a rule.
  double GoldenStickTolerance(double correction, double deq) const {
    const TensorEntry* scale = layer_[Role::kWeightScale];
    if (scale == nullptr || scale->dtype != DType::kF16) return 1.0 + 0x1p-6 * std::abs(correction);
    const double product = 0x1p-11 + 0x1p-25 / deq;
    return 1.0 + std::abs(correction) * (product + 0x1p-10) + 0x1p-25 / deq;
  }

  void CheckQuantBias(const std::vector<int64_t>& row_sums) {
    const double offset = *OneValue(Role::kInputOffset);
    // Half a step of every weight times the whole range of its input.
    constexpr double kWidestCorrection = 0.5 * 255;
    const auto inputs = static_cast<double>(layer_[Role::kWeight]->shape.at(1));
    const double added =
        totals_.biases_corrected && !Has(Role::kBias) ? kWidestCorrection * inputs : 0.0;
    Offenders offenders;
    double wanted = 0;
    for (uint64_t i = 0; i < row_sums.size(); ++i) {
      if (!std::isfinite(deq_[i]) || deq_[i] <= 0) continue;       // has its own finding
      const bool has_bias = Has(Role::kBias) && !IsGoldenStick();  // which adds it by itself
      const double bias_term = has_bias ? Value(Role::kBias, i) / deq_[i] : 0.0;
      const double correction = static_cast<double>(row_sums[i]) * offset;
      const double exact = bias_term - correction;
      const double found = Value(Role::kQuantBias, i);
      const double tolerance = IsGoldenStick() ? GoldenStickTolerance(correction, deq_[i])
                                               : FoldTolerance(bias_term, correction);
      if (!(std::abs(found - exact) > tolerance + added)) continue;
      if (offenders.count == 0) wanted = std::nearbyint(exact);
      offenders.Add(i, found);
    }
    ReportOffenders(
        context_, "VAL-quant-bias", *layer_[Role::kQuantBias], offenders,
        fmt::format("are not what codes, offset, bias and deq_scale give ({})", wanted));
  }

  VerifyContext& context_;
  const LayerTensors& layer_;
  ValueTotals& totals_;
  std::array<Tensor, kRoleCount> parts_;
  std::vector<double> deq_;  // [n], decoded
};

}  // namespace

std::string ElementText(const Shape& shape, uint64_t index) {
  std::vector<std::string> position(shape.size());
  for (size_t i = shape.size(); i-- > 0;) {
    const uint64_t extent = std::max<uint64_t>(shape[i], 1);
    position[i] = std::to_string(index % extent);
    index /= extent;
  }
  return fmt::format("element [{}]", Join(position, ", "));
}

Status CheckFiniteValues(VerifyContext& context, const TensorEntry& entry, Xxh3Hasher* digest) {
  PageWatcher pages(entry);
  SLIM_ASSIGN(const NotFinite bad,
              CountNotFinite(context.checkpoint(), entry, {.pages = &pages, .digest = digest}));
  ReportNotFinite(context, entry, bad, entry.shape);
  return ReportPages(context, entry, pages);
}

Status ReportPages(VerifyContext& context, const TensorEntry& entry, const PageWatcher& pages) {
  if (pages.all_zero()) {
    context.Report("VAL-zero-tensor",
                   {.tensor = entry.name,
                    .message = fmt::format("all {} of it are zero", HumanSize(entry.size))});
    return {};
  }
  if (const auto& zeroes = pages.zeroes()) {
    const std::string more = pages.zero_runs() > 1
                                 ? fmt::format(", and {} more such places", pages.zero_runs() - 1)
                                 : "";
    context.Report("VAL-zero-page",
                   {.tensor = entry.name,
                    .found = fmt::format("[{}, {})", zeroes->begin, zeroes->end),
                    .message = fmt::format("bytes {} to {} are zero, from one page of the file to "
                                           "another{}",
                                           zeroes->begin, zeroes->end, more)});
  }
  SLIM_ASSIGN(const auto twins, pages.RepeatedPages(context.checkpoint()));
  if (!twins) return {};
  context.Report("VAL-repeated-block",
                 {.tensor = entry.name,
                  .found = fmt::format("{}", twins->second),
                  .message = fmt::format("the {} bytes at {} are those at {} again",
                                         PageWatcher::kPage, twins->second, twins->first)});
  return {};
}

void CheckScaleValues(VerifyContext& context, const TensorEntry& entry, const Tensor& tensor) {
  Offenders not_finite;
  Offenders not_positive;
  Offenders denormal;
  for (uint64_t i = 0; i < tensor.elements(); ++i) {
    const double value = ElementAsDouble(tensor.view(), i);
    if (!std::isfinite(value)) {
      not_finite.Add(i, value);
    } else if (value <= 0) {
      not_positive.Add(i, value);
    } else if (value < static_cast<double>(SmallestNormal(entry.dtype))) {
      denormal.Add(i, value);
    }
  }
  ReportOffenders(context, "VAL-not-finite", entry, not_finite, "are NaN or infinite");
  ReportOffenders(context, "VAL-scale-not-positive", entry, not_positive, "are not above 0");
  ReportOffenders(context, "VAL-scale-denormal", entry, denormal, "are denormal");
}

void CheckOffsetValues(VerifyContext& context, const TensorEntry& entry, const Tensor& tensor) {
  Offenders not_finite;
  Offenders not_integral;
  Offenders outside;
  for (uint64_t i = 0; i < tensor.elements(); ++i) {
    const double value = ElementAsDouble(tensor.view(), i);
    if (!std::isfinite(value)) {
      not_finite.Add(i, value);
      continue;
    }
    if (value != std::nearbyint(value)) not_integral.Add(i, value);
    if (value < -128 || value > 127) outside.Add(i, value);
  }
  ReportOffenders(context, "VAL-not-finite", entry, not_finite, "are NaN or infinite");
  ReportOffenders(context, "VAL-offset-not-integral", entry, not_integral, "are no whole numbers");
  ReportOffenders(context, "VAL-offset-range", entry, outside, "are outside [-128, 127]");
}

Status CheckLayerValues(VerifyContext& context, const LayerTensors& layer, ValueTotals& totals) {
  return LayerChecker(context, layer, totals).Check();
}

}  // namespace slim
