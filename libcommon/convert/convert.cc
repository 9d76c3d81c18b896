#include "convert/convert.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "convert/dtype_change.h"
#include "convert/layer_plan.h"
#include "convert/output_check.h"
#include "convert/plan_receipt.h"
#include "convert/tensor_loop.h"
#include "os/path_guard.h"
#include "verify/verify.h"

namespace slim {
namespace {

// The first of two conversions in a row, whose output is the source of the second.
struct Origin {
  const Checkpoint& source;
  const ConvertPlan& plan;
};

class Conversion {
 public:
  // `origin`: null unless this is the second of two.
  Conversion(const ConvertSource& source, ConvertPlan plan, const Origin* origin, ThreadPool& pool,
             Listener& listener)
      : source_(source.checkpoint),
        options_(source.options),
        plan_(std::move(plan)),
        origin_(origin),
        pool_(pool),
        listener_(listener) {}

  Status Run(const std::string& output, const OutputOptions& output_options);
  // Weights and side files at PartialPath() of the writer, which is still to be finished.
  Result<CheckpointWriter> Write(const std::string& output, const OutputOptions& output_options);
  const ConvertPlan& plan() const { return plan_; }
  ConvertPlan&& TakePlan() { return std::move(plan_); }
  // Run() wrote what the loader would stumble over.
  bool needs_repair() const { return needs_repair_; }

 private:
  Status CheckLoss() const;
  Status WriteTensors(CheckpointWriter& writer);
  Status WriteTensor(CheckpointWriter& writer, const TensorPlan& tensor) const;
  Status WriteSideFiles(CheckpointWriter& writer);
  Result<std::vector<FileDigest>> InputDigests() const;
  Status WriteReceiptOf(CheckpointWriter& writer, std::vector<FileDigest> inputs) const;
  Status CheckUnchanged() const;
  Status Verify(const std::string& path, const std::string& output);
  Status JudgeForLoader(const std::string& path);
  std::vector<const ConvertPlan*> Plans() const;  // in the order of the conversions
  const Checkpoint& FirstSource() const { return origin_ == nullptr ? source_ : origin_->source; }

  const Checkpoint& source_;
  const ConvertOptions& options_;
  ConvertPlan plan_;
  const Origin* origin_;
  ThreadPool& pool_;
  Listener& listener_;
  std::vector<File> side_files_;  // open, to notice a change
  bool needs_repair_ = false;
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
  const TensorPlan* noisiest = plan_.NoisiestTensor();
  const TensorPlan* worst = noisiest == nullptr ? plan_.WorstTensor() : noisiest;
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
  if (!tensor.make && tensor.from == tensor.to)
    return CopyTensor(writer, tensor.name, source_, *source_.Find(tensor.source));
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

std::vector<const ConvertPlan*> Conversion::Plans() const {
  if (origin_ == nullptr) return {&plan_};
  return {&origin_->plan, &plan_};
}

// What happened to single tensors, for the receipt.
std::vector<ReceiptNote> NotesOf(const ConvertPlan& plan) {
  std::vector<ReceiptNote> notes;
  for (const Repair& repair : plan.repairs)
    notes.push_back({repair.subject, fmt::format("repaired: {}", repair.what)});
  for (const auto* list : {&plan.tensors, &plan.dropped}) {
    for (const TensorPlan& tensor : *list) {
      if (tensor.action == TensorAction::kCopy) continue;
      notes.push_back(
          {tensor.name,
           fmt::format("{}: {}", TensorActionName(tensor.action),
                       tensor.loss == LossClass::kExact ? tensor.reason : LossText(tensor))});
    }
  }
  return notes;
}

Result<std::vector<FileDigest>> Conversion::InputDigests() const {
  std::vector<std::string> names;
  for (const SideFile& side : Plans().front()->side_files.copied) names.push_back(side.name);
  return DigestInputs(FirstSource(), names, pool_);
}

Status Conversion::WriteReceiptOf(CheckpointWriter& writer, std::vector<FileDigest> inputs) const {
  Receipt receipt;
  receipt.tool = "slim-convert";
  const ConvertPlan& first = *Plans().front();
  receipt.configuration.Set("from", DialectName(first.from));
  receipt.configuration.Set("to", DialectName(plan_.to));
  receipt.configuration.Set("dtype",
                            options_.dtype ? Json(TorchDTypeName(*options_.dtype)) : Json());
  if (options_.dequantize) receipt.configuration.Set("dequantize", true);
  SLIM_ASSIGN(const bool corrected, ReceiptCorrectsBias(FirstSource().path()));
  if (corrected) receipt.configuration.Set(kBiasCorrectionKey, true);
  if (options_.loader) receipt.configuration.Set("for", options_.loader->name);
  receipt.configuration.Set("part_size", options_.part_size);
  receipt.configuration.Set("keep_extra", options_.keep_extra);
  receipt.inputs = std::move(inputs);
  RecordLoss(Plans(), receipt);
  for (const ConvertPlan* plan : Plans())
    std::ranges::move(NotesOf(*plan), std::back_inserter(receipt.notes));
  return WriteReceiptFile(writer, std::move(receipt), pool_);
}

Status Conversion::CheckUnchanged() const {
  SLIM_TRY(source_.CheckUnchanged());
  for (const File& file : side_files_) SLIM_TRY(file.CheckUnchanged());
  return {};
}

Status Conversion::JudgeForLoader(const std::string& path) {
  VerifyOptions verify;
  verify.deep = true;
  verify.targets = {*options_.loader};
  verify.threads = pool_.threads();
  SLIM_ASSIGN(VerifyReport report, VerifyCheckpoint(path, verify, listener_));
  std::erase_if(report.findings, [](const Finding& f) { return f.severity != Severity::kError; });
  if (report.findings.empty()) return {};
  needs_repair_ = true;
  Error error = CannotRepair(report.findings, *options_.loader, FirstSource().path());
  // Of foreign dialects DialectFor says what is made, not all that is read.
  const Dialect read = DialectFor(options_.to, *options_.loader);
  if (options_.same_dialect || TraitsOf(options_.to).is_foreign || read == options_.to)
    return error;
  error.hint = fmt::format("--to {} is what this loader reads, not {}", DialectName(read),
                           DialectName(options_.to));
  return error;
}

Status Conversion::Verify(const std::string& path, const std::string& output) {
  if (options_.loader) return JudgeForLoader(path);
  if (TraitsOf(plan_.to).is_foreign) SLIM_TRY(CheckWrittenLayers(path, pool_, listener_));
  return CheckOutput(path, source_.path(), output, pool_.threads(), listener_);
}

Result<CheckpointWriter> Conversion::Write(const std::string& output,
                                           const OutputOptions& output_options) {
  SLIM_TRY(CheckLoss());
  SLIM_ASSIGN(CheckpointWriter writer,
              CheckpointWriter::Create(plan_.write, output, output_options, listener_));
  SLIM_TRY(WriteTensors(writer));
  SLIM_TRY(WriteSideFiles(writer));
  return writer;
}

Status Conversion::Run(const std::string& output, const OutputOptions& output_options) {
  SLIM_ASSIGN(CheckpointWriter writer, Write(output, output_options));
  // Before Finish() waits for the disk, which is busy with the weights meanwhile.
  SLIM_ASSIGN(std::vector<FileDigest> inputs, InputDigests());
  SLIM_TRY(writer.Finish());
  SLIM_TRY(WriteReceiptOf(writer, std::move(inputs)));
  SLIM_TRY(CheckUnchanged());
  SLIM_TRY(Verify(writer.PartialPath(), output));
  return writer.Commit();
}

// Where a run goes, and with what.
struct ConvertRun {
  const std::string& input;
  const std::string& output;
  const ConvertOptions& options;
  const OutputOptions& output_options;
  ThreadPool& pool;
  Listener& listener;
};

Result<ConvertSource> OpenSource(const std::string& path, const ConvertOptions& options,
                                 const ConvertRun& run) {
  SLIM_ASSIGN(ConvertSource source,
              OpenConvertSource(path, options, run.pool.threads(), run.listener));
  // Without permission to lose, what would be lost has to be known before anything is written.
  source.options.measure = !options.allow_loss && !options.dequantize;
  return source;
}

// A plan that outlives its source.
ConvertPlan Detached(ConvertPlan plan) {
  plan.layers.clear();  // they point into the source
  plan.target.reset();
  plan.reader.reset();
  return plan;
}

// A checkpoint of another ecosystem that is not yet as the loader needs it: written as ascendv1
// beside the output, repaired from there, and gone.
Result<ConvertPlan> ConvertAndRepair(const ConvertRun& run) {
  ConvertOptions options = run.options;
  options.to = Dialect::kAscendV1;
  options.same_dialect = false;
  options.loader.reset();
  SLIM_ASSIGN(const ConvertSource source, OpenSource(run.input, options, run));
  SLIM_ASSIGN(ConvertPlan plan, PlanConversion(source, run.pool, run.listener));
  Conversion first(source, std::move(plan), nullptr, run.pool, run.listener);
  SLIM_ASSIGN(CheckpointWriter between,
              first.Write(run.output + ".unrepaired", {.force = true, .fsync = false}));
  SLIM_TRY(between.Finish());
  SLIM_ASSIGN(const ConvertSource written, OpenSource(between.PartialPath(), run.options, run));
  auto repaired = PlanConversion(written, run.pool, run.listener);
  if (!repaired.ok()) return std::move(repaired).error().WithPath(run.input);
  const Origin origin{source.checkpoint, first.plan()};
  Conversion second(written, std::move(*repaired), &origin, run.pool, run.listener);
  SLIM_TRY(second.Run(run.output, run.output_options));
  SLIM_TRY(source.checkpoint.CheckUnchanged());
  ConvertPlan done = Detached(second.TakePlan());
  done.input = run.input;
  done.from = first.plan().from;
  done.loss = std::max(done.loss, first.plan().loss);
  done.notes.insert(done.notes.begin(), first.plan().notes.begin(), first.plan().notes.end());
  done.side_files = first.plan().side_files;
  return done;
}

}  // namespace

Result<ConvertPlan> Convert(const std::string& input, const std::string& output,
                            const ConvertOptions& options, const OutputOptions& output_options,
                            ThreadPool& pool, Listener& listener) {
  SLIM_TRY(CheckOutputApart(input, output));
  const ConvertRun run{input, output, options, output_options, pool, listener};
  SLIM_ASSIGN(const ConvertSource source, OpenSource(input, options, run));
  SLIM_ASSIGN(ConvertPlan plan, PlanConversion(source, pool, listener));
  Conversion conversion(source, std::move(plan), nullptr, pool, listener);
  const bool is_foreign = TraitsOf(source.checkpoint.dialect()).is_foreign;
  if (auto done = conversion.Run(output, output_options); !done.ok()) {
    if (is_foreign && conversion.needs_repair()) return ConvertAndRepair(run);
    return std::move(done).error();
  }
  return Detached(conversion.TakePlan());
}

}  // namespace slim
