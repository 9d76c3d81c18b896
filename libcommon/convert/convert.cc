#include "convert/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"
#include "convert/dtype_change.h"
#include "convert/layer_plan.h"
#include "convert/receipt.h"
#include "convert/tensor_loop.h"
#include "os/path_guard.h"
#include "verify/verify.h"

namespace slim {
namespace {

class Conversion {
 public:
  Conversion(const Checkpoint& source, const ConvertOptions& options, ConvertPlan plan,
             ThreadPool& pool, Listener& listener)
      : source_(source),
        options_(options),
        plan_(std::move(plan)),
        pool_(pool),
        listener_(listener) {}

  Status Run(const std::string& output, const OutputOptions& output_options);
  ConvertPlan&& TakePlan() { return std::move(plan_); }

 private:
  Status CheckLoss() const;
  Status WriteTensors(CheckpointWriter& writer);
  Status WriteTensor(CheckpointWriter& writer, const TensorPlan& tensor) const;
  Status WriteSideFiles(CheckpointWriter& writer);
  Status WriteReceiptOf(CheckpointWriter& writer) const;
  Status CheckUnchanged() const;
  Status Verify(const std::string& path, const std::string& output) const;
  Error Refusal(const Finding& finding, const std::string& output) const;
  Status JudgeForLoader(const std::string& path) const;

  const Checkpoint& source_;
  const ConvertOptions& options_;
  ConvertPlan plan_;
  ThreadPool& pool_;
  Listener& listener_;
  std::vector<File> side_files_;  // open, to notice a change
};

std::string LossText(const TensorPlan& tensor) {
  std::string text = tensor.sqnr_db
                         ? fmt::format("{}, weight SQNR {:.2f} dB", tensor.reason, *tensor.sqnr_db)
                         : fmt::format("{}, largest relative error {:.3g}", tensor.reason,
                                       tensor.worst_relative_error);
  if (tensor.to_zero > 0) text += fmt::format(", {} values become zero", tensor.to_zero);
  return text;
}

Status Conversion::CheckLoss() const {
  const TensorPlan* worst = plan_.WorstTensor();
  if (worst == nullptr || options_.allow_loss || options_.dequantize) return {};
  const auto lossy = std::ranges::count_if(
      plan_.tensors, [](const TensorPlan& t) { return t.loss != LossClass::kExact; });
  return InputError("CV-loss",
                    fmt::format("loses precision ({}); {} of {} tensors do", LossText(*worst),
                                lossy, plan_.tensors.size()),
                    "--allow-loss accepts it, --plan shows every tensor")
      .WithTensor(worst->source)
      .WithPath(source_.path());
}

Status Conversion::WriteTensors(CheckpointWriter& writer) {
  if (plan_.reader != nullptr) return RunLayers(plan_, &writer, pool_, listener_);
  std::vector<uint64_t> sizes;
  for (const TensorPlan& tensor : plan_.tensors) sizes.push_back(WorkBytes(tensor, source_));
  const TensorLoop loop{pool_, listener_, plan_.budget, "converting"};
  return ForEachTensor(loop, sizes,
                       [&](size_t i) { return WriteTensor(writer, plan_.tensors[i]); });
}

Status Conversion::WriteTensor(CheckpointWriter& writer, const TensorPlan& tensor) const {
  SLIM_ASSIGN(Tensor made, MakeTensor(tensor, source_));
  SLIM_ASSIGN(const Tensor changed, RoundTensor(tensor, std::move(made), nullptr));
  return writer.Write(tensor.name, changed.data.bytes());
}

Status Conversion::WriteSideFiles(CheckpointWriter& writer) {
  SLIM_TRY(writer.WriteSideFile("config.json", plan_.config.text));
  for (const SideFile& side : plan_.side_files.copied) {
    SLIM_TRY(CheckPlainFileName(side.name));
    SLIM_ASSIGN(File file, File::Open(JoinPath(source_.path(), side.name)));
    SLIM_TRY(writer.CopySideFile(file, side.name));
    side_files_.push_back(std::move(file));
  }
  for (const MadeFile& made : plan_.made_files)
    SLIM_TRY(writer.WriteSideFile(made.name, made.content));
  return {};
}

Status Conversion::WriteReceiptOf(CheckpointWriter& writer) const {
  Receipt receipt;
  receipt.tool = "slim-convert";
  receipt.configuration.Set("from", DialectName(plan_.from));
  receipt.configuration.Set("to", DialectName(plan_.to));
  receipt.configuration.Set("dtype",
                            options_.dtype ? Json(TorchDTypeName(*options_.dtype)) : Json());
  if (options_.dequantize) receipt.configuration.Set("dequantize", true);
  if (ReceiptCorrectsBias(source_.path())) receipt.configuration.Set(kBiasCorrectionKey, true);
  if (options_.loader) receipt.configuration.Set("for", options_.loader->name);
  receipt.configuration.Set("part_size", options_.part_size);
  receipt.configuration.Set("keep_extra", options_.keep_extra);
  std::vector<std::string> names;
  for (const SideFile& side : plan_.side_files.copied) names.push_back(side.name);
  SLIM_ASSIGN(receipt.inputs, DigestInputs(source_, names, pool_));
  receipt.loss_class = LossClassName(plan_.loss);
  const TensorPlan* worst = plan_.WorstTensor();
  if (worst != nullptr) {
    receipt.loss.Set("worst_relative_error", Json::Real(worst->worst_relative_error));
    receipt.loss.Set("tensor", worst->name);
  }
  for (const Repair& repair : plan_.repairs)
    receipt.notes.push_back({repair.subject, fmt::format("repaired: {}", repair.what)});
  for (const auto* list : {&plan_.tensors, &plan_.dropped}) {
    for (const TensorPlan& tensor : *list) {
      if (tensor.action == TensorAction::kCopy) continue;
      receipt.notes.push_back(
          {tensor.name,
           fmt::format("{}: {}", TensorActionName(tensor.action),
                       tensor.loss == LossClass::kExact ? tensor.reason : LossText(tensor))});
    }
  }
  return WriteReceiptFile(writer, std::move(receipt), pool_);
}

Status Conversion::CheckUnchanged() const {
  SLIM_TRY(source_.CheckUnchanged());
  for (const File& file : side_files_) SLIM_TRY(file.CheckUnchanged());
  return {};
}

Error Conversion::Refusal(const Finding& finding, const std::string& output) const {
  // The same finding in the source means that the conversion carried it over faithfully.
  VerifyOptions verify;
  verify.rules = {finding.rule};
  verify.threads = pool_.threads();
  const auto before = VerifyCheckpoint(source_.path(), verify, SilentListener());
  // A source that slim-verify does not read is taken for the cause.
  const bool inherited =
      TraitsOf(plan_.from).is_foreign ||
      (before.ok() && std::ranges::any_of(before->findings, [&](const Finding& other) {
         return other.rule == finding.rule && other.severity == Severity::kError;
       }));
  Error error = inherited ? InputError(finding.rule, "") : InternalError("");
  error.rule = finding.rule;
  error.message = inherited
                      ? fmt::format("the source is not fit for conversion: {}", finding.message)
                      : fmt::format("the output would be wrong: {}", finding.message);
  error.hint = finding.fix;
  error.tensor = finding.tensor;
  error.path = inherited ? source_.path() : output;
  return error;
}

Status Conversion::JudgeForLoader(const std::string& path) const {
  VerifyOptions verify;
  verify.deep = true;
  verify.targets = {*options_.loader};
  verify.threads = pool_.threads();
  SLIM_ASSIGN(VerifyReport report, VerifyCheckpoint(path, verify, listener_));
  std::erase_if(report.findings, [](const Finding& f) { return f.severity != Severity::kError; });
  if (report.findings.empty()) return {};
  return CannotRepair(report.findings, *options_.loader, source_.path());
}

Status Conversion::Verify(const std::string& path, const std::string& output) const {
  if (options_.loader) return JudgeForLoader(path);
  if (TraitsOf(plan_.to).is_foreign) return CheckWrittenLayers(path, pool_, listener_);
  VerifyOptions verify;
  verify.threads = pool_.threads();
  SLIM_ASSIGN(const VerifyReport report, VerifyCheckpoint(path, verify, listener_));
  std::map<std::string, uint64_t> warnings;
  for (const Finding& finding : report.findings) {
    if (finding.severity == Severity::kError) return Refusal(finding, output);
    if (finding.severity == Severity::kWarning && ++warnings[finding.rule] == 1) {
      const std::string tensor =
          finding.tensor.empty() ? "" : fmt::format("tensor {}: ", Quote(finding.tensor));
      listener_.Warning(
          fmt::format("{}{} [{}]; {}", tensor, finding.message, finding.rule, finding.fix));
    }
  }
  for (const auto& [rule, count] : warnings) {
    if (count > 1) listener_.Warning(fmt::format("[{}] {} times in all", rule, count));
  }
  return {};
}

Status Conversion::Run(const std::string& output, const OutputOptions& output_options) {
  SLIM_TRY(CheckLoss());
  SLIM_ASSIGN(CheckpointWriter writer,
              CheckpointWriter::Create(plan_.write, output, output_options, listener_));
  SLIM_TRY(WriteTensors(writer));
  SLIM_TRY(WriteSideFiles(writer));
  SLIM_TRY(writer.Finish());
  SLIM_TRY(WriteReceiptOf(writer));
  SLIM_TRY(CheckUnchanged());
  SLIM_TRY(Verify(writer.PartialPath(), output));
  return writer.Commit();
}

}  // namespace

Result<ConvertPlan> Convert(const std::string& input, const std::string& output,
                            const ConvertOptions& options, const OutputOptions& output_options,
                            ThreadPool& pool, Listener& listener) {
  SLIM_TRY(CheckOutputApart(input, output));
  SLIM_ASSIGN(ConvertSource source, OpenConvertSource(input, options, pool.threads(), listener));
  // Without permission to lose, what would be lost has to be known before anything is written.
  source.options.measure = !options.allow_loss && !options.dequantize;
  SLIM_ASSIGN(ConvertPlan plan, PlanConversion(source, pool, listener));
  Conversion conversion(source.checkpoint, source.options, std::move(plan), pool, listener);
  SLIM_TRY(conversion.Run(output, output_options));
  ConvertPlan done = conversion.TakePlan();
  done.layers.clear();  // they point into the source, which ends here
  done.target.reset();
  done.reader.reset();
  return done;
}

}  // namespace slim
