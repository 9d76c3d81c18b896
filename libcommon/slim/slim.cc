#include "slim/slim.h"

#include <fmt/format.h>

#include <utility>

#include "base/version.h"
#include "checkpoint/checkpoint.h"
#include "convert/convert.h"
#include "os/path_guard.h"
#include "os/processors.h"
#include "parallel/thread_pool.h"
#include "quant/options.h"
#include "quant/quantize.h"
#include "verify/verify.h"

namespace slim::api {
namespace {

int ThreadsOf(int asked) { return asked > 0 ? asked : DefaultThreadCount(); }

Listener& Or(Listener* listener) { return listener != nullptr ? *listener : SilentListener(); }

Finding FindingOf(const slim::Finding& found) {
  return {.rule = found.rule,
          .severity = std::string(SeverityName(found.severity)),
          .path = found.path,
          .tensor = found.tensor,
          .message = found.message,
          .fix = found.fix,
          .effect = std::string(EffectName(found.effect))};
}

Result<DType> FloatTypeNamed(const std::string& name) {
  if (name == "bf16") return DType::kBF16;
  if (name == "fp16") return DType::kF16;
  if (name == "fp32") return DType::kF32;
  return UsageError(fmt::format("dtype '{}' is unknown", name), "known: bf16, fp16, fp32");
}

}  // namespace

std::string Version() { return std::string(kVersion); }

struct Model::State {
  Checkpoint checkpoint;
  std::vector<TensorInfo> tensors;
};

Model::Model(std::unique_ptr<State> state) : state_(std::move(state)) {}
Model::Model(Model&& other) noexcept = default;
Model& Model::operator=(Model&& other) noexcept = default;
Model::~Model() = default;

Result<Model> Model::Open(const std::string& path) {
  SLIM_ASSIGN(Checkpoint checkpoint, Checkpoint::OpenForeign(path));
  auto state = std::make_unique<State>(State{std::move(checkpoint), {}});
  const Checkpoint& opened = state->checkpoint;
  for (const TensorEntry& entry : opened.tensors()) {
    const QuantDescription* description = opened.description();
    const auto* label = description != nullptr ? description->Label(entry.name) : nullptr;
    state->tensors.push_back({.name = entry.name,
                              .dtype = std::string(DTypeName(entry.dtype)),
                              .shape = entry.shape,
                              .bytes = entry.size,
                              .file = opened.shards()[entry.shard].name,
                              .quant_type = label != nullptr ? std::string(*label) : ""});
  }
  return Model(std::move(state));
}

std::string Model::dialect() const { return std::string(state_->checkpoint.traits().name); }

std::string Model::quant_type() const {
  const QuantDescription* description = state_->checkpoint.description();
  return description != nullptr ? ReadGlobals(*description).model_quant_type : "FLOAT";
}

const std::vector<TensorInfo>& Model::tensors() const { return state_->tensors; }

Result<std::vector<std::byte>> Model::Read(const std::string& name) const {
  SLIM_ASSIGN(const Tensor tensor, state_->checkpoint.Read(name));
  const std::span<const std::byte> bytes = tensor.data.bytes();
  return std::vector<std::byte>(bytes.begin(), bytes.end());
}

Result<Verdict> Verify(const std::string& path, const VerifyOptions& options, Listener* listener) {
  slim::VerifyOptions inner;
  inner.deep = options.deep;
  inner.threads = ThreadsOf(options.threads);
  if (!options.loader.empty()) {
    SLIM_ASSIGN(LoaderTarget target, ParseLoaderTarget(options.loader));
    if (!options.chip.empty()) {
      SLIM_ASSIGN(target.chip, ParseChip(options.chip));
    }
    if (options.tensor_parallel > 0) target.tp = options.tensor_parallel;
    inner.targets.push_back(std::move(target));
  }
  SLIM_ASSIGN(const VerifyReport report, VerifyCheckpoint(path, inner, Or(listener)));
  Verdict verdict{.accepted = report.ok()};
  for (const slim::Finding& found : report.findings) verdict.findings.push_back(FindingOf(found));
  return verdict;
}

Result<Written> Convert(const std::string& input, const std::string& output,
                        const ConvertOptions& options, Listener* listener) {
  slim::ConvertOptions inner;
  SLIM_ASSIGN(inner.to, ParseDialect(options.to));
  if (!options.dtype.empty()) {
    SLIM_ASSIGN(inner.dtype, FloatTypeNamed(options.dtype));
  }
  inner.dequantize = options.dequantize;
  inner.allow_loss = options.allow_loss;
  ThreadPool pool(ThreadsOf(options.threads));
  SLIM_ASSIGN(const ConvertPlan plan,
              slim::Convert(input, output, inner, {.force = options.force}, pool, Or(listener)));
  return Written{.path = output,
                 .quant_type = plan.quant_type,
                 .bytes = plan.bytes(),
                 .exact = plan.loss == LossClass::kExact,
                 .notes = plan.notes};
}

Result<Written> Quantize(const std::string& model, const std::string& output,
                         const QuantizeOptions& options, Listener* listener) {
  SLIM_ASSIGN(QuantFlags flags, FlagsOfType(options.type));
  SLIM_ASSIGN(flags.layout, ParseDialect(options.layout));
  flags.calibration_file = options.calibration;
  flags.float_names.insert(flags.float_names.end(), options.float_names.begin(),
                           options.float_names.end());
  const QuantOptions inner{.recipe = RecipeOf(flags), .threads = ThreadsOf(options.threads)};
  SLIM_TRY(CheckOutputApart(model, output));
  SLIM_ASSIGN(const Checkpoint source, Checkpoint::OpenFloat(model));
  SLIM_ASSIGN(const QuantPlan plan, PlanQuantization(source, inner, Or(listener)));
  SLIM_ASSIGN(const QuantSummary summary,
              slim::Quantize(source, plan, inner, output, {.force = options.force}, Or(listener)));
  Written written{.path = summary.output, .bytes = summary.bytes_after, .exact = false};
  SLIM_ASSIGN(const Model result, Model::Open(output));
  written.quant_type = result.quant_type();
  return written;
}

}  // namespace slim::api
