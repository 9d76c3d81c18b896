#include "quant/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <optional>

#include "base/text.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/side_files.h"
#include "convert/config_edit.h"
#include "convert/edges.h"
#include "convert/receipt.h"
#include "kernels/convert.h"
#include "kernels/reduce.h"
#include "os/interrupt.h"
#include "quant/calibration.h"
#include "quant/smooth.h"
#include "quant/weights.h"
#include "verify/verify.h"

namespace slim {
namespace {

// Calibration text never shows the widest activations: static ranges get this much more than was
// seen. Measured on the trained test models (testdata/models, held-out text): 1 % costs no
// resolution and saves clipping; 5 % costs resolution.
constexpr float kRangeHeadroom = 1.01F;

class Pipeline {
 public:
  Pipeline(const Checkpoint& source, const QuantPlan& plan, const QuantOptions& options,
           Listener& listener)
      : source_(source),
        plan_(plan),
        options_(options),
        listener_(listener),
        pool_(options.threads),
        side_files_(ChooseSideFiles(source, false)) {}

  Result<QuantSummary> Run(const std::string& target, const OutputOptions& output) {
    if (plan_.needs_calibration) {
      SLIM_ASSIGN(tokens_, LoadCalibration(source_, plan_.config, options_.recipe.calibration_file,
                                           listener_));
    }
    SLIM_TRY(CheckMemory());
    SLIM_ASSIGN(CheckpointWriter writer,
                CheckpointWriter::Create(plan_.write, target, output, listener_));
    writer_ = &writer;
    // The digests of the input are needed last and cost a pass over it: they are taken beside the
    // work.
    input_digests_ =
        std::async(options_.threads > 1 ? std::launch::async : std::launch::deferred, [this] {
          std::vector<std::string> side_files;
          for (const SideFile& file : side_files_.copied) side_files.push_back(file.name);
          ThreadPool pool(1);
          return DigestInputs(source_, side_files, pool);
        });
    SLIM_TRY(WriteBlocks());
    SLIM_TRY(WriteRest());
    SLIM_TRY(WriteSideFiles(writer));
    SLIM_TRY(writer.Finish());
    SLIM_TRY(WriteReceiptOf(writer));
    SLIM_TRY(source_.CheckUnchanged());
    SLIM_TRY(VerifyOutput(writer.PartialPath()));
    SLIM_TRY(writer.Commit());
    return Summarize(target);
  }

 private:
  Status CheckMemory() const {
    if (options_.max_memory == 0) return {};
    uint64_t tokens = 0;
    uint64_t longest = 0;
    for (const std::vector<int32_t>& sample : tokens_.samples) {
      tokens += sample.size();
      longest = std::max<uint64_t>(longest, sample.size());
    }
    const uint64_t needed = EstimateMemory(plan_, tokens, longest);
    if (needed <= options_.max_memory) return {};
    return UsageError(fmt::format("--max-memory is {}, this run needs {}",
                                  HumanSize(options_.max_memory), HumanSize(needed)),
                      tokens > 0 ? "fewer or shorter calibration samples need less" : "");
  }

  Status WriteBlocks() {
    std::optional<CalibrationPass> pass;
    if (plan_.needs_calibration) {
      std::optional<float> norm_eps;
      // msModelSlim replaces the norms it smooths by its own, whose epsilon is fixed (facts:
      // algorithms.md 3.3).
      if (options_.recipe.compute == ComputeMode::kModel && !plan_.smoothed_norms.empty())
        norm_eps = 1e-6F;
      SLIM_ASSIGN(CalibrationPass started,
                  CalibrationPass::Start(source_, plan_.config, tokens_, norm_eps, pool_));
      pass = std::move(started);
    }
    for (uint64_t layer = 0; layer < plan_.config.num_layers; ++layer) {
      listener_.Progress("blocks", layer, plan_.config.num_layers);
      if (pass) {
        SLIM_ASSIGN(ranges_, pass->NextBlock());
      }
      SLIM_TRY(SmoothBlock(layer));
      for (const Module& module : BlockModules(plan_.config, layer)) SLIM_TRY(WriteModule(module));
      groups_.clear();
    }
    listener_.Progress("blocks", plan_.config.num_layers, plan_.config.num_layers);
    const LinearPlan* head = plan_.Find(kLmHeadName);
    if (pass && head != nullptr && head->scheme == Scheme::kW8A8) {
      SLIM_ASSIGN(ChannelRange range, pass->HeadInput());
      ranges_.emplace(kLmHeadName, std::move(range));
    }
    return {};
  }

  Status WriteRest() {
    for (const Module& module : AllModules(plan_.config)) {
      const bool in_block = module.name.find(".layers.") != std::string::npos;
      if (!in_block) SLIM_TRY(WriteModule(module));
    }
    for (const std::string& name : plan_.unknown_tensors) SLIM_TRY(CopyTensor(name, name));
    return {};
  }

  // Chooses the scales of every smoothed group of the block from the ranges just recorded.
  Status SmoothBlock(uint64_t layer) {
    for (const SharedInput& input : SharedInputs(plan_.config, layer)) {
      if (input.norm.empty() || !plan_.IsSmoothed(input.norm)) continue;
      const auto range = ranges_.find(input.linears.front());
      if (range == ranges_.end())
        return InternalError(fmt::format("no ranges for {}", input.linears.front()));
      SLIM_ASSIGN(const Tensor weight, source_.Read(fmt::format("{}.weight", input.norm)));
      std::vector<float> norm(weight.elements());
      ToFloat(weight.dtype, weight.data.data(), norm.data(), norm.size());
      std::vector<float> absmax(norm.size());
      for (const std::string& linear : input.linears) SLIM_TRY(UpdateAbsMax(linear, absmax));
      const DType compute =
          options_.recipe.compute == ComputeMode::kModel ? weight.dtype : DType::kF32;
      const std::vector<float> scales = IterSmoothScales(
          range->second.AbsMax(), absmax,
          plan_.smooth->alpha.value_or(DefaultAlpha(plan_.smooth->method)), compute);
      FoldedNorm folded = FoldNorm(norm, scales, weight.dtype, options_.recipe.compute);
      // Smoothing scales channels by positive factors, so the smoothed range follows from the
      // recorded one.
      for (size_t i = 0; i < norm.size(); ++i) {
        range->second.min[i] *= folded.activation_scale[i];
        range->second.max[i] *= folded.activation_scale[i];
      }
      for (const std::string& linear : input.linears) {
        ranges_[linear] = range->second;
        groups_.emplace(linear, folded.column_scale);
      }
      groups_.emplace(input.norm, std::move(folded.weight));
    }
    return {};
  }

  Status UpdateAbsMax(const std::string& linear, std::vector<float>& absmax) {
    SLIM_ASSIGN(const Tensor weight, source_.Read(fmt::format("{}.weight", linear)));
    const uint64_t k = weight.shape[1];
    const uint64_t row_bytes = k * (DTypeBits(weight.dtype) / 8);
    std::vector<float> row(k);
    for (uint64_t i = 0; i < weight.shape[0]; ++i) {
      ToFloat(weight.dtype, weight.data.data() + i * row_bytes, row.data(), k);
      UpdateColumnAbsMax(row.data(), 1, k, absmax.data());
    }
    return {};
  }

  Status WriteModule(const Module& module) {
    SLIM_TRY(CheckInterrupt());
    if (module.IsLinear()) return WriteLinear(*plan_.Find(module.name));
    const std::string name = module.TensorName();
    const auto folded = groups_.find(module.name);
    if (folded == groups_.end()) return CopyTensor(name, name);
    const TensorEntry& entry = *source_.Find(name);
    Tensor weight(entry.dtype, entry.shape);
    FromFloat(weight.dtype, folded->second.data(), weight.data.data(), folded->second.size());
    return writer_->Write(name, weight.data.bytes());
  }

  Status WriteLinear(const LinearPlan& linear) {
    const std::string weight_name = fmt::format("{}.weight", linear.name);
    const std::string bias_name = fmt::format("{}.bias", linear.name);
    const std::string source_name = source_.Find(weight_name) != nullptr
                                        ? weight_name
                                        : fmt::format("{}.weight", EmbeddingName(plan_.config));
    const auto columns = groups_.find(linear.name);
    if (linear.scheme == Scheme::kFloat) {
      if (linear.has_bias) SLIM_TRY(CopyTensor(bias_name, bias_name));
      if (columns == groups_.end()) return CopyTensor(source_name, weight_name);
    }
    SLIM_ASSIGN(const Tensor weight, source_.Read(source_name));
    if (linear.scheme == Scheme::kFloat) {
      SLIM_ASSIGN(const Tensor scaled,
                  ScaleColumns(weight_name, weight.view(), columns->second, pool_));
      return writer_->Write(weight_name, scaled.data.bytes());
    }
    WeightInput input;
    input.weight = weight.view();
    if (columns != groups_.end()) input.column_scale = columns->second;
    Tensor bias;
    if (linear.has_bias) {
      SLIM_ASSIGN(bias, source_.Read(bias_name));
      input.bias = bias.view();
    }
    if (linear.scheme == Scheme::kW8A8) {
      SLIM_ASSIGN(input.activation, ActivationRange(linear.name, weight.dtype));
    }
    SLIM_ASSIGN(const LinearRecord record,
                QuantizeLinear(linear, input, options_, plan_.model_dtype, pool_));
    for (size_t i = 0; i < kRoleCount; ++i) {
      if (record.parts[i].empty()) continue;
      const std::string_view suffix = RoleSuffix(static_cast<Role>(i));
      SLIM_TRY(
          writer_->Write(fmt::format("{}.{}", linear.name, suffix), record.parts[i].data.bytes()));
    }
    return {};
  }

  Result<QuantizationRange> ActivationRange(const std::string& linear, DType weight_dtype) {
    const auto range = ranges_.find(linear);
    if (range == ranges_.end()) return InternalError(fmt::format("no ranges for {}", linear));
    const ChannelRange& channels = range->second;
    const float min = *std::min_element(channels.min.begin(), channels.min.end());
    const float max = *std::max_element(channels.max.begin(), channels.max.end());
    const DType compute =
        options_.recipe.compute == ComputeMode::kModel ? weight_dtype : DType::kF32;
    const DType stored =
        options_.recipe.layout == Dialect::kAscendV1 ? DType::kF32 : plan_.model_dtype;
    const float headroom = options_.recipe.compute == ComputeMode::kModel ? 1.0F : kRangeHeadroom;
    return AsymmetricInt8Range(min * headroom, max * headroom, compute, stored);
  }

  // A float tensor that only travels; NaN or infinity in it is refused as in a quantized one.
  Status CopyTensor(const std::string& from, const std::string& to) {
    const TensorEntry& entry = *source_.Find(from);
    std::vector<float> values;
    const auto read = [&](std::span<std::byte> part, uint64_t offset) -> Status {
      SLIM_TRY(source_.ReadPart(entry, part, offset));
      // A tensor that is not part of the architecture may be of any dtype.
      if (!CanConvertToFloat(entry.dtype)) return {};
      values.resize(part.size() / (DTypeBits(entry.dtype) / 8));
      ToFloat(entry.dtype, part.data(), values.data(), values.size());
      if (AllFinite(values.data(), values.size())) return {};
      return NotFiniteError(from);
    };
    return writer_->Copy(to, read);
  }

  Status VerifyOutput(const std::string& partial) {
    VerifyOptions verify;
    verify.threads = options_.threads;
    SLIM_ASSIGN(const VerifyReport report, VerifyCheckpoint(partial, verify, SilentListener()));
    for (const Finding& finding : report.findings) {
      if (finding.severity != Severity::kError) continue;
      return InternalError(fmt::format("what was written does not pass {}: {} {}", finding.rule,
                                       Quote(finding.tensor), finding.message));
    }
    return {};
  }

  Status WriteSideFiles(CheckpointWriter& writer) {
    ConfigTarget target;
    target.to = options_.recipe.layout;
    target.quant_type = SchemeName(plan_.type);
    SLIM_ASSIGN(const EditedConfig config, EditConfig(source_.config_text(), target));
    SLIM_TRY(writer.WriteSideFile("config.json", config.text));
    for (const SideFile& file : side_files_.copied) {
      SLIM_ASSIGN(const File input, File::Open(JoinPath(source_.path(), file.name)));
      SLIM_TRY(writer.CopySideFile(input, file.name));
    }
    return {};
  }

  Status WriteReceiptOf(CheckpointWriter& writer) {
    Receipt receipt;
    receipt.tool = "slim-quant";
    receipt.configuration = RecipeJson(options_.recipe);
    if (plan_.needs_calibration) {
      Json calibration = Json::Object();
      calibration.Set("file", tokens_.name).Set("xxh3_128", tokens_.digest);
      receipt.configuration.Set("calibration", std::move(calibration));
    }
    SLIM_ASSIGN(receipt.inputs, input_digests_.get());
    receipt.loss_class = LossClassName(LossClass::kRequantized);
    for (const LinearPlan& linear : plan_.linears) {
      if (!linear.reason.empty()) receipt.notes.push_back({linear.name, "float: " + linear.reason});
    }
    for (const std::string& norm : plan_.smoothed_norms)
      receipt.notes.push_back({norm, "smoothed"});
    return WriteReceiptFile(writer, std::move(receipt), pool_);
  }

  QuantSummary Summarize(const std::string& target) const {
    QuantSummary summary;
    summary.output = target;
    summary.type = plan_.type;
    summary.calibration = tokens_.name;
    summary.calibration_samples = tokens_.samples.size();
    for (const std::vector<int32_t>& sample : tokens_.samples)
      summary.calibration_tokens += sample.size();
    for (const LinearPlan& linear : plan_.linears) {
      ++(linear.scheme == Scheme::kFloat ? summary.float_linears : summary.quantized_linears);
    }
    summary.bytes_before = plan_.bytes_before;
    summary.bytes_after = plan_.bytes_after;
    for (const SideFile& file : side_files_.left) summary.left_files.push_back(file.name);
    return summary;
  }

  const Checkpoint& source_;
  const QuantPlan& plan_;
  const QuantOptions& options_;
  Listener& listener_;
  ThreadPool pool_;
  const SideFileChoice side_files_;
  CheckpointWriter* writer_ = nullptr;
  std::future<Result<std::vector<FileDigest>>> input_digests_;
  CalibrationTokens tokens_;
  ChannelRanges ranges_;  // of the current block, smoothed where its norm is
  // Of the current block: column scales by linear, folded weights by norm.
  std::map<std::string, std::vector<float>, std::less<>> groups_;
};

}  // namespace

Result<QuantSummary> Quantize(const Checkpoint& source, const QuantPlan& plan,
                              const QuantOptions& options, const std::string& target,
                              const OutputOptions& output, Listener& listener) {
  auto summary = Pipeline(source, plan, options, listener).Run(target, output);
  if (summary.ok() || summary.error().tensor.empty()) return summary;
  return std::move(summary).error().WithPath(source.path());
}

}  // namespace slim
