// The way back from mindie-parts: ranks joined, fused layers taken apart, weights unpacked.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <unordered_map>

#include "base/text.h"
#include "checkpoint/dialects/mindie_parts.h"
#include "convert/output_check.h"
#include "convert/parts.h"
#include "convert/parts_files.h"
#include "convert/source_check.h"
#include "convert/tensor_loop.h"
#include "json/json.h"
#include "model/joined_parts.h"
#include "os/path_guard.h"

namespace slim {
namespace {

class Joiner {
 public:
  Joiner(std::string path, const PartsOptions& options, ThreadPool& pool, Listener& listener)
      : path_(std::move(path)), options_(options), pool_(pool), listener_(listener) {}

  Status Plan();
  Status Write(const std::string& output, const OutputOptions& output_options);
  ConvertPlan&& TakePlan() { return std::move(plan_); }

 private:
  void AddGroup(const JoinedGroup& group);
  Status PlanConfig();
  void AddNormCopies();
  Status PlanMemory();
  Status WriteGroup(CheckpointWriter& writer, const JoinedGroup& group) const;
  Status WriteTensors(CheckpointWriter& writer) const;

  std::string path_;
  const PartsOptions& options_;
  ThreadPool& pool_;
  Listener& listener_;
  std::unique_ptr<JoinedParts> joined_;
  std::vector<DirectoryEntry> listing_;
  std::string config_text_;
  std::vector<uint64_t> work_bytes_;  // parallel to the groups
  std::set<std::string> copies_;      // of norms
  ConvertPlan plan_;
};

void Joiner::AddGroup(const JoinedGroup& group) {
  const bool whole = group.module->axis == SplitAxis::kWhole;
  for (const JoinedTensor& joined : group.tensors) {
    TensorPlan tensor = PlanCopy(*joined.source, joined.label);
    tensor.name = joined.name;
    tensor.to = joined.dtype;
    tensor.shape = joined.shape;
    tensor.action = whole ? TensorAction::kCopy : TensorAction::kRepack;
    tensor.reason = whole ? "" : "joined";
    plan_.tensors.push_back(std::move(tensor));
  }
}

// MindIE finds smoothed norms by these copies.
void Joiner::AddNormCopies() {
  std::vector<TensorPlan> copies;
  for (const TensorPlan& tensor : plan_.tensors) {
    const TensorNameParts name = SplitTensorName(tensor.name);
    const auto bias =
        std::ranges::find(plan_.tensors, fmt::format("{}.bias", name.module), &TensorPlan::name);
    if (tensor.shape.size() != 1 || bias == plan_.tensors.end() || bias->label != "FLOAT" ||
        !name.module.ends_with("norm") || (name.suffix != "weight" && name.suffix != "bias"))
      continue;
    TensorPlan copy = tensor;
    copy.name = fmt::format("{}.module.{}", name.module, name.suffix);
    copy.label = joined_->type();
    copy.action = TensorAction::kDuplicate;
    copies.push_back(std::move(copy));
  }
  for (const TensorPlan& copy : copies) copies_.insert(copy.name);
  std::ranges::move(copies, std::back_inserter(plan_.tensors));
}

Status Joiner::PlanConfig() {
  ConfigTarget target;
  target.from = options_.to == Dialect::kMindIE ? Dialect::kAscendV1V0 : Dialect::kMindIE;
  target.to = options_.to;
  target.quant_type = ToLower(joined_->type());
  target.source_quant_type = ToLower(joined_->type()) + "c";
  auto edited = EditConfig(config_text_, target);
  if (!edited.ok()) return std::move(edited).error().WithPath(JoinPath(path_, "config.json"));
  plan_.config = std::move(*edited);
  return {};
}

Status Joiner::Plan() {
  SLIM_ASSIGN(joined_, JoinedParts::Open(path_));
  SLIM_ASSIGN(config_text_, ReadWholeFile(JoinPath(path_, "config.json")));
  for (const JoinedGroup& group : joined_->groups()) AddGroup(group);
  plan_.input = path_;
  plan_.from = Dialect::kMindIEParts;
  plan_.to = options_.to;
  plan_.quant_type = joined_->type();
  SLIM_ASSIGN(listing_, ListDirectory(path_));
  SLIM_TRY(CheckOneDialect(listing_, path_));
  plan_.side_files = ChooseSideFiles(listing_, options_.keep_extra);
  WritePlan& write = plan_.write;
  write.dialect = options_.to;
  write.globals.model_quant_type = joined_->type();
  if (options_.to == Dialect::kMindIE) AddNormCopies();
  for (const TensorPlan& tensor : plan_.tensors)
    write.tensors.push_back({{tensor.name, tensor.to, tensor.shape}, tensor.label, 0});
  write.part_size = options_.part_size;
  write.shard_names = options_.part_size > 0;
  SLIM_TRY(PlanMemory());
  return PlanConfig();
}

// The slices of all parts and what is joined of them are in memory together.
Status Joiner::PlanMemory() {
  std::unordered_map<std::string_view, uint64_t> sizes;
  for (const PlannedTensor& tensor : plan_.write.tensors)
    sizes.emplace(tensor.spec.name, ByteSize(tensor.spec.dtype, tensor.spec.shape).value());
  uint64_t largest = 0;
  for (const JoinedGroup& group : joined_->groups()) {
    uint64_t bytes = 0;
    for (const JoinedTensor& tensor : group.tensors) bytes += 3 * sizes[tensor.name];
    work_bytes_.push_back(bytes);
    largest = std::max(largest, bytes);
  }
  SLIM_ASSIGN(plan_.budget, BudgetFor(largest, options_.max_memory));
  return {};
}

Status Joiner::WriteGroup(CheckpointWriter& writer, const JoinedGroup& group) const {
  SLIM_ASSIGN(const std::vector<Tensor> made, joined_->Make(group));
  for (size_t i = 0; i < made.size(); ++i) {
    const std::string& name = group.tensors[i].name;
    SLIM_TRY(writer.Write(name, made[i].data.bytes()));
    const TensorNameParts parts = SplitTensorName(name);
    const std::string copy = fmt::format("{}.module.{}", parts.module, parts.suffix);
    if (copies_.contains(copy)) SLIM_TRY(writer.Write(copy, made[i].data.bytes()));
  }
  return {};
}

Status Joiner::WriteTensors(CheckpointWriter& writer) const {
  const TensorLoop loop{pool_, listener_, plan_.budget, "converting"};
  return ForEachTensor(loop, work_bytes_,
                       [&](size_t i) { return WriteGroup(writer, joined_->groups()[i]); });
}

Status Joiner::Write(const std::string& output, const OutputOptions& output_options) {
  SLIM_ASSIGN(CheckpointWriter writer,
              CheckpointWriter::Create(plan_.write, output, output_options, listener_));
  SLIM_TRY(WriteTensors(writer));
  SLIM_TRY(writer.WriteSideFile("config.json", plan_.config.text));
  for (const SideFile& side : plan_.side_files.copied) {
    SLIM_ASSIGN(const File file, File::Open(JoinPath(path_, side.name)));
    SLIM_TRY(writer.CopySideFile(file, side.name));
  }
  SLIM_TRY(writer.Finish());
  SLIM_ASSIGN(Receipt receipt, PartsReceipt(plan_, path_));
  for (uint64_t rank = 0; rank < joined_->parts().size(); ++rank) {
    SLIM_ASSIGN(std::vector<FileDigest> files, DigestInputs(joined_->parts()[rank], {}, pool_));
    for (FileDigest& file : files) {
      file.name = fmt::format("{}/{}", PartDirectoryName(rank, joined_->parts().size()), file.name);
      receipt.inputs.push_back(std::move(file));
    }
  }
  SLIM_TRY(WriteReceiptFile(writer, std::move(receipt), pool_));
  for (const Checkpoint& part : joined_->parts()) SLIM_TRY(part.CheckUnchanged());
  SLIM_TRY(CheckOutput(writer.PartialPath(), path_, output, pool_.threads(), listener_));
  return writer.Commit();
}

}  // namespace

Result<ConvertPlan> ConvertFromParts(const std::string& input, const std::string& output,
                                     const PartsOptions& options,
                                     const OutputOptions& output_options, ThreadPool& pool,
                                     Listener& listener) {
  if (!options.plan_only) SLIM_TRY(CheckOutputApart(input, output));
  Joiner joiner(input, options, pool, listener);
  SLIM_TRY(joiner.Plan());
  if (!options.plan_only) SLIM_TRY(joiner.Write(output, output_options));
  return joiner.TakePlan();
}

}  // namespace slim
