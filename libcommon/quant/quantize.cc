#include "quant/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <optional>
#include <set>

#include "base/text.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/side_files.h"
#include "convert/config_edit.h"
#include "convert/edges.h"
#include "convert/receipt.h"
#include "kernels/convert.h"
#include "kernels/reduce.h"
#include "kernels/scan.h"
#include "model/modules.h"
#include "os/interrupt.h"
#include "os/memory.h"
#include "parallel/mpi.h"
#include "quant/block_quantizer.h"
#include "quant/calibration.h"
#include "quant/copy_tensor.h"
#include "quant/journal.h"
#include "quant/memory_need.h"
#include "quant/output_check.h"
#include "quant/weight_rows.h"
#include "quant/weights.h"
#include "quant/write_behind.h"

namespace slim {
namespace {

class Pipeline {
 public:
  Pipeline(const Checkpoint& source, const QuantPlan& plan, const QuantOptions& options,
           Listener& listener)
      : source_(source),
        plan_(plan),
        options_(options),
        listener_(listener),
        pool_(options.threads),
        side_files_(ChooseSideFiles(source, false)),
        writing_(options.threads > 1),
        copying_(options.threads > 1) {}

  ~Pipeline() { stopped_ = true; }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  // Under mpirun rank 0 writes; the others compute, and return a summary of nothing.
  Result<QuantSummary> Run(const std::string& target, const OutputOptions& output) {
    SLIM_TRY(ranks_.Agree(Prepare()));
    SLIM_TRY(ranks_.Agree(ranks_.rank() == 0 ? Open(target, output) : Status()));
    ShareSkipped();
    SLIM_TRY(StartCopies());
    SLIM_TRY(WriteBlocks());
    SLIM_TRY(WriteRest());
    if (ranks_.rank() == 0) SLIM_TRY(Complete());
    return Summarize(target);
  }

 private:
  // What this run writes: everything, or one shard.
  struct Part {
    WritePlan write;
    std::set<std::string> others;  // modules, and tensors outside the architecture, of other shards
  };

  Status Prepare() {
    std::vector<TextSize> sizes;
    std::map<std::string, size_t> loaded;  // place in texts_ by file
    for (const PassStages& pass : PassesOf(options_.recipe)) {
      if (!plan_.needs_calibration) break;
      const auto [place, fresh] = loaded.emplace(pass.calibration_file, texts_.size());
      CalibrationTokens text = fresh ? CalibrationTokens() : texts_[place->second];
      if (fresh) {
        SLIM_ASSIGN(text, LoadCalibration(source_, plan_.config, pass.calibration_file, listener_));
      }
      TextSize size;
      for (const std::vector<int32_t>& sample : text.samples) {
        size.tokens += sample.size();
        size.longest = std::max<uint64_t>(size.longest, sample.size());
      }
      size.samples = text.samples.size();
      sizes.push_back(size);
      texts_.push_back(std::move(text));
    }
    SLIM_ASSIGN(experts_, ChooseStorage(plan_, options_, sizes, AvailableMemory(), ranks_.size()));
    if (experts_ == ExpertStorage::kStreamed) {
      listener_.Note("memory for a block with all its experts is short: they are read when needed");
    }
    return {};
  }

  Status Open(const std::string& target, const OutputOptions& output) {
    SLIM_ASSIGN(const Part part, ChoosePart());
    const std::string key = RunKey(source_, plan_, options_, texts_);
    StartDigests();
    SLIM_ASSIGN(CheckpointWriter opened,
                CheckpointWriter::CreateResumable(part.write, target, output, key, listener_));
    writer_.emplace(std::move(opened));
    skipped_ = WrittenModules(plan_, *writer_);
    skipped_.insert(part.others.begin(), part.others.end());
    for (const std::string& note : writer_->notes()) {
      if (auto measured = ParseMeasurement(note))
        measured_.insert_or_assign(measured->name, *measured);
    }
    SLIM_TRY(WriteSideFiles());
    if (!options_.targets.empty()) {
      SLIM_TRY(writer_->Describe());
      SLIM_TRY(JudgeForLoaders(writer_->PartialPath(), options_, listener_));
    }
    return {};
  }

  // The digests of the input are needed last and cost a pass over it: they are taken beside the
  // work, the allocation of the output included.
  void StartDigests() {
    input_digests_ = RunBeside(options_.threads > 1, [this] {
      std::vector<std::string> side_files;
      for (const SideFile& file : side_files_.copied) side_files.push_back(file.name);
      ThreadPool pool(1);
      return DigestInputs(source_, side_files, pool, &stopped_);
    });
  }

  // Every rank must deal out the same linears.
  void ShareSkipped() {
    if (ranks_.alone()) return;
    MessageWriter message;
    if (ranks_.rank() == 0) {
      for (const std::string& module : skipped_) message.Add(module);
    }
    ranks_.Broadcast(0, message.bytes());
    skipped_.clear();
    for (MessageReader reader(message.bytes()); !reader.AtEnd();) skipped_.insert(reader.Text());
  }

  Status Complete() {
    SLIM_TRY(writing_.Finish());
    SLIM_TRY(copying_.Finish());
    SLIM_TRY(writer_->Finish());
    SLIM_TRY(WriteReceiptOf());
    SLIM_TRY(source_.CheckUnchanged());
    if (options_.shard.whole()) SLIM_TRY(VerifyWritten(writer_->PartialPath(), options_));
    return writer_->Commit();
  }

  // The first block that is still to be run, on every rank.
  uint64_t TakeUpBlocks(BlockJournal* journal, CalibrationPass& pass) {
    uint64_t first = 0;
    if (journal != nullptr) first = journal->TakeUp(pass, plan_.config.num_layers, listener_);
    if (ranks_.alone()) return first;
    MessageWriter message;
    message.Add(first);
    ranks_.Broadcast(0, message.bytes());
    first = MessageReader(message.bytes()).Number();
    if (first == 0) return 0;
    std::vector<std::byte> state;
    for (const auto& part : pass.State()) state.insert(state.end(), part.begin(), part.end());
    ranks_.Broadcast(0, state);
    // The size is that of every rank's own state: the same text and model.
    static_cast<void>(
        pass.Restore({reinterpret_cast<const char*>(state.data()), state.size()}).ok());
    return first;
  }

  Result<Part> ChoosePart() const {
    if (options_.shard.whole()) return Part{plan_.write, {}};
    if (plan_.needs_calibration) {
      return UsageError("--shard needs a data-free recipe, this one is calibrated",
                        "--smooth none with w8a8_dynamic, w8a16 or w4a8_dynamic; mpirun splits "
                        "calibrated ones");
    }
    Part part;
    std::set<std::string> own;
    uint64_t index = 0;
    const auto deal = [&](const std::string& name) {
      (options_.shard.Owns(index++) ? own : part.others).insert(name);
    };
    for (const Module& module : AllModules(plan_.config)) deal(module.name);
    for (const std::string& name : plan_.unknown_tensors) deal(name);
    std::vector<std::string> tensors;
    for (const PlannedTensor& tensor : plan_.write.tensors) {
      const std::string& name = tensor.spec.name;
      if (own.contains(name) || own.contains(std::string(SplitTensorName(name).module)))
        tensors.push_back(name);
    }
    if (tensors.empty()) {
      return UsageError(fmt::format("shard {} of {} is empty: the model has fewer modules",
                                    options_.shard.index, options_.shard.count));
    }
    part.write = PartPlan(plan_.write, tensors);
    return part;
  }

  // What travels goes beside the work from its beginning on: embeddings are the largest tensors
  // there are, and one thread copies them.
  Status StartCopies() {
    if (!writer_) return {};
    SLIM_ASSIGN(std::vector<TensorCopy> found, TravellingTensors(source_, plan_, skipped_));
    return copying_.Begin([this, copies = std::move(found)]() -> Status {
      for (const TensorCopy& copy : copies) {
        if (!stopped_) SLIM_TRY(CopyTensor(source_, copy, *writer_));
      }
      return {};
    });
  }

  Result<std::vector<PassRun>> StartPasses() {
    std::vector<PassRun> runs;
    std::vector<PassStages> passes = PassesOf(options_.recipe);
    for (size_t i = 0; i < passes.size(); ++i) {
      PassRun run;
      if (plan_.needs_calibration) {
        SLIM_ASSIGN(run.pass, CalibrationPass::Start(source_, plan_.config, texts_[i], pool_));
        for (const std::vector<int32_t>& sample : texts_[i].samples)
          run.all_tokens += sample.size();
        if (plan_.rotation) {
          run.pass->ChangeHidden([&](std::span<float> rows) {
            plan_.rotation->RotateRows(rows, {}, DType::kF32, pool_);
          });
        }
      }
      run.stages = std::move(passes[i].stages);
      runs.push_back(std::move(run));
    }
    return runs;
  }

  Status WriteBlocks() {
    // A rotation alone changes every block, too.
    if (plan_.needs_calibration || plan_.rotation) {
      SLIM_ASSIGN(std::vector<PassRun> runs, StartPasses());
      calibrated_.emplace(source_, plan_, options_, std::move(runs), experts_, pool_, listener_);
    }
    // Prior passes have activations of their own, which the journal does not keep: such a run takes
    // up its written tensors, but walks every block again.
    CalibrationPass* pass = calibrated_ ? calibrated_->OnlyPass() : nullptr;
    std::optional<BlockJournal> journal;
    if (writer_) journal.emplace(*writer_);
    const uint64_t first = pass != nullptr ? TakeUpBlocks(journal ? &*journal : nullptr, *pass) : 0;
    for (uint64_t layer = first; layer < plan_.config.num_layers; ++layer) {
      listener_.Progress("blocks", layer, plan_.config.num_layers);
      if (calibrated_) SLIM_TRY(calibrated_->Run(layer));
      in_block_ = calibrated_.has_value();
      for (const Module& module : BlockModules(plan_.config, layer)) SLIM_TRY(WriteModule(module));
      in_block_ = false;
      SLIM_TRY(copying_.Poll());
      if (pass == nullptr || !journal) continue;
      SLIM_TRY(writing_.Finish());
      SLIM_TRY(journal->BlockDone(layer + 1, *pass));
    }
    listener_.Progress("blocks", plan_.config.num_layers, plan_.config.num_layers);
    const LinearPlan* head = plan_.Find(kLmHeadName);
    if (calibrated_ && head != nullptr && head->scheme != Scheme::kFloat &&
        NeedsRange({head->scheme, head->activation, head->weight})) {
      SLIM_ASSIGN(head_range_, calibrated_->HeadRange(*head));
    }
    calibrated_.reset();
    return {};
  }

  Status WriteRest() {
    for (const Module& module : plan_.modules) {
      if (!IsInBlock(plan_, module)) SLIM_TRY(WriteModule(module));
    }
    return {};
  }

  Status WriteModule(const Module& module) {
    SLIM_TRY(CheckInterrupt());
    if (skipped_.contains(module.name)) return {};
    if (!ranks_.alone() && !plan_.needs_calibration && module.IsLinear() &&
        plan_.Find(module.name)->scheme != Scheme::kFloat) {
      return WriteDealtLinear(*plan_.Find(module.name));
    }
    if (!writer_) return {};
    if (module.IsLinear()) {
      SLIM_TRY(WriteLinear(*plan_.Find(module.name)));
      return WriteCache(module.name);
    }
    const std::string name = module.TensorName();
    if (!in_block_ && plan_.rotation && name == EmbeddingName(plan_.config) + ".weight")
      return WriteRotated(name, {});
    if (!in_block_ && plan_.rotation && name == FinalNormName(plan_.config) + ".weight")
      return WriteFloats(name, std::vector<float>(plan_.config.hidden_size, 1.0F));
    if (!in_block_ || !calibrated_->block().Changed(module.name)) return WriteCopy(name);
    const Norm& norm = calibrated_->block().NormOf(module.name);
    SLIM_TRY(WriteFloats(name, norm.weight));
    if (norm.bias.empty()) return {};
    return WriteFloats(module.name + ".bias", norm.bias);
  }

  // The embedding, or lm_head, which takes the final norm's weight.
  Result<Tensor> Rotated(const TensorEntry& entry, std::span<const float> norm) {
    SLIM_ASSIGN(const TensorView tensor, ReadTensor(source_, entry, weight_bytes_, pool_));
    Tensor rotated(DType::kF32, tensor.shape);
    const std::span<float> values = rotated.as<float>();
    ToFloat(tensor.dtype, tensor.bytes.data(), values.data(), values.size());
    if (!AllFinite(values.data(), values.size())) return NotFiniteError(entry.name);
    const DType compute =
        options_.recipe.compute == ComputeMode::kModel ? tensor.dtype : DType::kF32;
    plan_.rotation->RotateRows(values, norm, compute, pool_);
    return rotated;
  }

  Status WriteRotated(const std::string& name, std::span<const float> norm) {
    SLIM_ASSIGN(const TensorCopy copy, CopyOf(source_, plan_, name));
    const DType compute =
        options_.recipe.compute == ComputeMode::kModel ? copy.from->dtype : DType::kF32;
    const auto rotate = [&](std::span<float> rows) {
      plan_.rotation->RotateRows(rows, norm, compute, pool_);
    };
    return CopyChanged(source_, copy, rotate, *writer_);
  }

  // In the dtype that the plan has for it.
  Status WriteFloats(const std::string& name, const std::vector<float>& values) {
    const TensorSpec* spec = plan_.FindTensor(name);
    if (spec == nullptr) return InternalError(fmt::format("{} is not planned", name));
    Tensor tensor(spec->dtype, spec->shape);
    FromFloat(tensor.dtype, values.data(), tensor.data.data(), values.size());
    if (!AllFinite(tensor.dtype, tensor.data.data(), values.size()))
      return BeyondRangeError(name, tensor.dtype);
    return writer_->Write(name, tensor.data.bytes());
  }

  Status WriteCache(const std::string& linear) {
    const CacheScales* scales = in_block_ ? calibrated_->CacheOf(linear) : nullptr;
    if (scales == nullptr) return {};
    SLIM_TRY(WriteFloats(linear + ".kv_cache_scale", scales->scale));
    return WriteFloats(linear + ".kv_cache_offset", scales->offset);
  }

  Status WriteLinear(const LinearPlan& linear) {
    if (plan_.rotation && linear.name == kLmHeadName && linear.scheme == Scheme::kFloat) {
      SLIM_ASSIGN(const Norm norm,
                  Norm::Load(source_, FinalNormName(plan_.config), plan_.config.hidden_size));
      return WriteRotated(linear.name + ".weight", norm.weight);
    }
    const std::string weight_name = fmt::format("{}.weight", linear.name);
    const std::string bias_name = fmt::format("{}.bias", linear.name);
    const bool changed = in_block_ && calibrated_->block().Changed(linear.name);
    LinearMeasurement measured;
    measured.name = linear.name;
    if (in_block_) measured = calibrated_->MeasurementOf(linear.name);
    if (linear.scheme == Scheme::kFloat) {
      SLIM_TRY(KeepMeasurement(std::move(measured)));
      return WriteFloatLinear(linear, changed);
    }
    CalibratedLinear* calibrated = in_block_ ? calibrated_->Find(linear.name) : nullptr;
    if (calibrated != nullptr && calibrated->record) {
      SLIM_TRY(KeepMeasurement(std::move(measured)));
      return WriteRecord(std::move(*calibrated->record));
    }
    CalibratedLinear head;
    if (linear.name == kLmHeadName && head_range_) {
      head.range = head_range_;
      calibrated = &head;
    }
    SLIM_ASSIGN(LinearRecord record, QuantizeModule(linear, calibrated, measured));
    if (calibrated == &head) measured.input = head.range;
    SLIM_TRY(KeepMeasurement(std::move(measured)));
    return WriteRecord(std::move(record));
  }

  // Good until the next is asked for.
  Result<TensorView> SourceWeight(const std::string& weight) {
    const TensorEntry& entry = *SourceOf(source_, plan_, weight);
    if (!plan_.rotation) return ReadTensor(source_, entry, weight_bytes_, pool_);
    SLIM_ASSIGN(const Norm norm,
                Norm::Load(source_, FinalNormName(plan_.config), plan_.config.hidden_size));
    SLIM_ASSIGN(rotated_, Rotated(entry, norm.weight));
    return rotated_.view();
  }

  // Before the tensors it speaks of are written: a run that is taken up finds it with them.
  Status KeepMeasurement(LinearMeasurement measured) {
    if (!options_.measure) return {};
    SLIM_TRY(writing_.Finish());
    SLIM_TRY(writer_->AddNote(DumpJson(MeasurementJson(measured))));
    std::string name = measured.name;
    measured_.insert_or_assign(std::move(name), std::move(measured));
    return {};
  }

  Result<LinearRecord> QuantizeModule(const LinearPlan& linear, CalibratedLinear* calibrated,
                                      LinearMeasurement& measured) {
    WeightInput input;
    Tensor bias;
    if (in_block_) {
      input = WeightsOf(calibrated_->block().Linear(linear.name));
      SLIM_TRY(Status(calibrated_->block().status()));
    } else {
      SLIM_ASSIGN(input.weight, SourceWeight(linear.name + ".weight"));
      if (linear.has_bias) {
        SLIM_ASSIGN(bias, source_.Read(linear.name + ".bias"));
        input.bias = bias.view();
      }
    }
    Result<LinearRecord> record =
        QuantizeCalibrated(linear, input, calibrated, options_, plan_.model_dtype, pool_);
    if (record.ok() && options_.measure) {
      SLIM_TRY(MeasureWeight(input.weight, *record, TraitsOf(options_.recipe.layout).packs_int4,
                             pool_, measured));
    }
    return record;
  }

  // Data-free linears are dealt to the ranks in turn; rank 0 gets the others' results and writes.
  Status WriteDealtLinear(const LinearPlan& linear) {
    const int owner = static_cast<int>(dealt_++ % static_cast<uint64_t>(ranks_.size()));
    if (owner == ranks_.rank()) {
      LinearMeasurement measured;
      measured.name = linear.name;
      auto record = QuantizeModule(linear, nullptr, measured);
      if (owner == 0) {
        if (!record.ok()) return std::move(record).error();
        SLIM_TRY(KeepMeasurement(std::move(measured)));
        return WriteRecord(std::move(*record));
      }
      MessageWriter message;
      AddResult(record, measured, message);
      ranks_.Send(0, message.bytes());
      return {};
    }
    if (ranks_.rank() != 0) return {};
    const std::vector<std::byte> bytes = ranks_.Receive(owner);
    MessageReader message(bytes);
    SLIM_TRY(message.ReadStatus());
    if (auto measured = ParseMeasurement(message.Text())) SLIM_TRY(KeepMeasurement(*measured));
    while (!message.AtEnd()) {
      const std::string name = message.Text();
      SLIM_TRY(writer_->Write(name, message.Bytes()));
    }
    return {};
  }

  static void AddResult(const Result<LinearRecord>& record, const LinearMeasurement& measured,
                        MessageWriter& message) {
    message.AddStatus(record.ok() ? Status() : Status(record.error()));
    message.Add(DumpJson(MeasurementJson(measured)));
    for (size_t i = 0; record.ok() && i < kRoleCount; ++i) {
      if (record->parts[i].empty()) continue;
      message.Add(fmt::format("{}.{}", record->name, RoleSuffix(static_cast<Role>(i))));
      message.Add(record->parts[i].data.bytes());
    }
  }

  Status WriteFloatLinear(const LinearPlan& linear, bool changed) {
    const std::string weight_name = fmt::format("{}.weight", linear.name);
    const std::string bias_name = fmt::format("{}.bias", linear.name);
    if (!changed) {
      if (linear.has_bias) SLIM_TRY(WriteCopy(bias_name));
      return WriteCopy(weight_name);
    }
    const LinearRecord& record = calibrated_->block().Linear(linear.name);
    SLIM_TRY(Status(calibrated_->block().status()));
    if (linear.has_bias) SLIM_TRY(WriteFloats(bias_name, PartAsFloats(record, Role::kBias)));
    SLIM_ASSIGN(Tensor weight, CastFloat(weight_name, record[Role::kWeight].view(),
                                         plan_.FindTensor(weight_name)->dtype, pool_));
    return writing_.Begin([this, name = weight_name, weight = std::move(weight)] {
      return writer_->Write(name, weight.data.bytes());
    });
  }

  Status WriteRecord(LinearRecord whole) {
    return writing_.Begin([this, record = std::move(whole)]() -> Status {
      for (size_t i = 0; i < kRoleCount; ++i) {
        if (record.parts[i].empty()) continue;
        SLIM_TRY(writer_->Write(fmt::format("{}.{}", record.name, RoleSuffix(static_cast<Role>(i))),
                                record.parts[i].data.bytes()));
      }
      return {};
    });
  }

  Status WriteCopy(const std::string& name) {
    SLIM_ASSIGN(const TensorCopy copy, CopyOf(source_, plan_, name));
    return writing_.Begin([this, copy] { return CopyTensor(source_, copy, *writer_); });
  }

  Status WriteSideFiles() {
    ConfigTarget target;
    target.to = options_.recipe.layout;
    target.quant_type = SchemeName(plan_.type);
    target.dtype = options_.recipe.dtype;
    target.group_size = plan_.write.globals.group_size;
    SLIM_ASSIGN(const EditedConfig config, EditConfig(source_.config_text(), target));
    SLIM_TRY(writer_->WriteSideFile("config.json", config.text));
    for (const SideFile& file : side_files_.copied) {
      SLIM_ASSIGN(const File input, File::Open(JoinPath(source_.path(), file.name)));
      SLIM_TRY(writer_->CopySideFile(input, file.name));
    }
    return {};
  }

  Status WriteReceiptOf() {
    Receipt receipt;
    receipt.tool = "slim-quant";
    receipt.configuration = RecipeJson(options_.recipe);
    if (plan_.needs_calibration) {
      Json calibration = Json::Object();
      calibration.Set("file", texts_.back().name).Set("xxh3_128", texts_.back().digest);
      receipt.configuration.Set("calibration", std::move(calibration));
    }
    SLIM_ASSIGN(receipt.inputs, input_digests_.get());
    receipt.loss_class = LossClassName(LossClass::kRequantized);
    for (const LinearPlan& linear : plan_.linears) {
      if (!linear.reason.empty()) receipt.notes.push_back({linear.name, "float: " + linear.reason});
    }
    for (const std::vector<PlannedPair>& pairs : plan_.smoothing) {
      for (const PlannedPair& pair : pairs)
        receipt.notes.push_back({pair.pairing.source, "smoothed"});
    }
    if (options_.shard.whole()) return WriteReceiptFile(*writer_, std::move(receipt), pool_);
    const Json json = ShardJson(options_.shard, plan_.write, receipt);
    return writer_->WriteSideFile(kShardFileName, DumpJson(json, {.indent = 1}) + "\n");
  }

  QuantSummary Summarize(const std::string& target) const {
    QuantSummary summary;
    summary.output = target;
    summary.type = plan_.type;
    if (!texts_.empty()) {
      summary.calibration = texts_.back().name;
      summary.calibration_samples = texts_.back().samples.size();
      for (const std::vector<int32_t>& sample : texts_.back().samples)
        summary.calibration_tokens += sample.size();
    }
    for (const LinearPlan& linear : plan_.linears) {
      ++(linear.scheme == Scheme::kFloat ? summary.float_linears : summary.quantized_linears);
      if (!options_.measure) continue;
      const auto measured = measured_.find(linear.name);
      LinearMeasurement nothing;
      nothing.name = linear.name;
      summary.measurements.push_back(measured == measured_.end() ? nothing : measured->second);
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
  Ranks& ranks_ = Ranks::World();
  uint64_t dealt_ = 0;                      // linears that had their turn
  std::optional<CheckpointWriter> writer_;  // on rank 0
  WriteBehind writing_;                     // by writer_
  std::atomic<bool> stopped_ = false;       // by an error: the rest need not travel
  WriteBehind copying_;                     // by writer_: what travels
  // Modules that an interrupted run had written, other shards write, or copying_ does.
  std::set<std::string> skipped_;
  std::future<Result<std::vector<FileDigest>>> input_digests_;
  std::vector<CalibrationTokens> texts_;  // of every pass, the main one last
  ExpertStorage experts_ = ExpertStorage::kResident;
  std::optional<BlockQuantizer> calibrated_;
  Buffer weight_bytes_;    // of the weight read last: fresh memory costs a page fault a page
  Tensor rotated_;         // the weight rotated last
  bool in_block_ = false;  // calibrated_ holds the block that is being written
  std::optional<QuantizationRange> head_range_;
  std::map<std::string, LinearMeasurement> measured_;
};

// A weight that is finite in the source was made infinite on the way to its codes.
Error Explained(const Checkpoint& source, Error error) {
  const TensorEntry* entry = error.rule == kNotFiniteRule ? source.Find(error.tensor) : nullptr;
  if (entry == nullptr || !CanConvertToFloat(entry->dtype)) return error;
  const auto tensor = source.Read(*entry);
  ThreadPool pool(1);
  if (!tensor.ok() || !IsFinite(tensor->view(), pool)) return error;
  return BeyondRangeError(error.tensor, entry->dtype);
}

}  // namespace

Result<QuantSummary> Quantize(const Checkpoint& source, const QuantPlan& plan,
                              const QuantOptions& options, const std::string& target,
                              const OutputOptions& output, Listener& listener) {
  auto summary = Pipeline(source, plan, options, listener).Run(target, output);
  if (summary.ok() || summary.error().tensor.empty()) return summary;
  return Explained(source, std::move(summary).error()).WithPath(source.path());
}

}  // namespace slim
