// The way back from mindie-parts: ranks joined, fused layers taken apart, weights unpacked.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <set>
#include <unordered_map>

#include "base/text.h"
#include "checkpoint/sparse_codec.h"
#include "convert/parts.h"
#include "convert/parts_files.h"
#include "convert/tensor_loop.h"
#include "json/json.h"
#include "model/read_config.h"
#include "model/tensor_parallel.h"
#include "os/path_guard.h"
#include "verify/verify.h"

namespace slim {
namespace {

// Tensors that are made together, in the order of `names`.
struct JoinGroup {
  std::vector<std::string> names;
  std::function<Result<std::vector<Tensor>>()> make;
};

class Joiner {
 public:
  Joiner(std::string path, const PartsOptions& options, ThreadPool& pool, Listener& listener)
      : path_(std::move(path)), options_(options), pool_(pool), listener_(listener) {}

  Status Plan();
  Status Write(const std::string& output, const OutputOptions& output_options);
  ConvertPlan&& TakePlan() { return std::move(plan_); }

 private:
  Status Open();
  Status CheckKeys() const;
  Status PlanConfig();
  void AddNormCopies();
  Status PlanMemory();
  Status WriteGroup(CheckpointWriter& writer, const JoinGroup& group) const;
  Status WriteTensors(CheckpointWriter& writer) const;
  Status PlanModule(const PartModule& module);
  Status PlanWeight(const PartModule& module);
  Status PlanRole(const PartModule& module, Role role);
  Status AddOutput(JoinGroup& group, const PartModule& module, const PartMember& member,
                   std::string_view suffix, DType dtype, Shape shape);
  Result<std::vector<Tensor>> JoinParts(const PartModule& module, const std::string& suffix,
                                        bool compressed) const;
  Result<Tensor> ReadPartTensor(const PartModule& module, uint64_t rank, const std::string& suffix,
                                bool compressed) const;
  Result<Tensor> SameInAll(const std::string& name) const;
  const TensorEntry* Find(const PartModule& module, std::string_view suffix) const {
    return parts_.front().Find(fmt::format("{}.{}", module.name, suffix));
  }
  std::string LabelOf(const std::string& tensor) const;
  Error At(Error error, const std::string& tensor, uint64_t rank) const {
    return std::move(error).WithTensor(tensor).WithPath(parts_[rank].path());
  }

  std::string path_;
  const PartsOptions& options_;
  ThreadPool& pool_;
  Listener& listener_;
  std::vector<Checkpoint> parts_;
  std::vector<DirectoryEntry> listing_;
  std::string config_text_;
  std::string type_;  // "W8A8S"
  std::vector<PartModule> modules_;
  std::vector<JoinGroup> groups_;
  std::vector<uint64_t> work_bytes_;  // parallel to groups_
  std::set<std::string> copies_;      // of norms
  ConvertPlan plan_;
};

std::string Joiner::LabelOf(const std::string& tensor) const {
  const QuantDescription* description = parts_.front().description();
  const std::string* label = description == nullptr ? nullptr : description->Label(tensor);
  return label == nullptr ? "" : *label;
}

Status Joiner::CheckKeys() const {
  for (size_t rank = 1; rank < parts_.size(); ++rank) {
    for (const TensorEntry& entry : parts_.front().tensors()) {
      const TensorEntry* twin = parts_[rank].Find(entry.name);
      if (twin != nullptr && twin->dtype == entry.dtype) continue;
      return At(
          InputError("CV-parts",
                     twin == nullptr ? "is not in every part" : "has another dtype in another part",
                     "fetch all parts of one conversion"),
          entry.name, rank);
    }
    if (parts_[rank].tensors().size() != parts_.front().tensors().size()) {
      return InputError("CV-parts", "has tensors that part 0 has not",
                        "fetch all parts of one conversion")
          .WithPath(parts_[rank].path());
    }
  }
  return {};
}

Status Joiner::Open() {
  SLIM_ASSIGN(const std::vector<std::string> paths, FindParts(path_));
  for (const std::string& path : paths) {
    SLIM_ASSIGN(Checkpoint part, Checkpoint::Open(path));
    if (part.description() == nullptr) {
      return InputError("IN-missing", "has no quant_model_description.json", "fetch the part again")
          .WithPath(path);
    }
    parts_.push_back(std::move(part));
  }
  SLIM_TRY(CheckKeys());
  const std::string config = JoinPath(path_, "config.json");
  SLIM_ASSIGN(config_text_, ReadWholeFile(config));
  auto json = ParseJson(config_text_);
  if (!json.ok()) return std::move(json).error().WithPath(config);
  auto model = ParseModelConfig(*json);
  if (!model.ok()) return std::move(model).error().WithPath(config);
  auto modules = PartModules(*model, parts_.size());
  if (!modules.ok()) return std::move(modules).error().WithPath(path_);
  modules_ = std::move(*modules);
  std::erase_if(modules_, [&](const PartModule& module) {
    return module.name == "lm_head" && Find(module, "weight") == nullptr;
  });
  const Json* type = parts_.front().description()->Global("model_quant_type");
  const bool known = type != nullptr && (type->text() == "W8A8SC" || type->text() == "W16A16SC");
  if (!known) {
    return InputError("CV-parts", "has a model_quant_type that is neither W8A8SC nor W16A16SC")
        .WithPath(parts_.front().path());
  }
  type_ = type->text().substr(0, type->text().size() - 1);
  return {};
}

// The bytes of a tensor that every rank has whole.
Result<Tensor> Joiner::SameInAll(const std::string& name) const {
  SLIM_ASSIGN(Tensor first, parts_.front().Read(name));
  for (size_t rank = 1; rank < parts_.size(); ++rank) {
    SLIM_ASSIGN(const Tensor other, parts_[rank].Read(name));
    if (!std::ranges::equal(first.data.bytes(), other.data.bytes())) {
      return At(InputError("CV-parts", "differs from part 0, every part should have the same",
                           "fetch all parts of one conversion"),
                name, rank);
    }
  }
  return first;
}

Result<Tensor> Joiner::ReadPartTensor(const PartModule& module, uint64_t rank,
                                      const std::string& suffix, bool compressed) const {
  const auto name = [&](std::string_view part) { return fmt::format("{}.{}", module.name, part); };
  if (!compressed) return parts_[rank].Read(name(suffix));
  SLIM_ASSIGN(const Tensor weight, parts_[rank].Read(name("weight")));
  SLIM_ASSIGN(const Tensor index, parts_[rank].Read(name("index")));
  SLIM_ASSIGN(const Tensor info, parts_[rank].Read(name("info")));
  auto codes = DecompressMatrix(weight.view(), index.view(), info.view());
  if (!codes.ok()) return At(std::move(codes).error(), name("weight"), rank);
  if (type_ != "W16A16S") return codes;
  // The F16 matrix was viewed as int8 [n, 2k].
  if (codes->shape[1] % 2 != 0) return At(InputError("SC-info", "k is odd"), name("info"), rank);
  codes->shape[1] /= 2;
  codes->dtype = DType::kF16;
  return codes;
}

// One tensor a member: its rows, or columns, of all ranks.
Result<std::vector<Tensor>> Joiner::JoinParts(const PartModule& module, const std::string& suffix,
                                              bool compressed) const {
  const uint64_t ranks = parts_.size();
  const bool columns = module.axis == SplitAxis::kColumns;
  std::vector<Tensor> members(module.members.size());
  for (uint64_t rank = 0; rank < ranks; ++rank) {
    SLIM_ASSIGN(const Tensor part, ReadPartTensor(module, rank, suffix, compressed));
    uint64_t rows = 0;
    for (const PartMember& member : module.members)
      rows += columns ? member.rows() : member.RowsOf(rank, ranks).size();
    const std::string name = fmt::format("{}.{}", module.name, suffix);
    if (part.shape.empty() || part.shape[0] != rows || part.data.size() == 0) {
      return At(InputError("LIN-shape", fmt::format("has shape {}, wanted {} rows by config.json",
                                                    ShapeText(part.shape), rows)),
                name, rank);
    }
    const uint64_t row = part.data.size() / rows;
    const std::byte* from = part.data.data();
    for (size_t m = 0; m < members.size(); ++m) {
      const PartMember& member = module.members[m];
      if (members[m].empty()) {
        Shape shape = part.shape;
        shape[0] = member.rows();
        if (columns) shape[1] *= ranks;
        members[m] = Tensor(part.dtype, shape);
      }
      const RowRange range = columns ? RowRange{0, member.rows()} : member.RowsOf(rank, ranks);
      const uint64_t whole = members[m].data.size() / member.rows();
      if (whole != (columns ? row * ranks : row))
        return At(InputError("CV-parts", "has another width in another part"), name, rank);
      for (uint64_t i = range.begin; i < range.end; ++i, from += row) {
        std::byte* to = members[m].data.data() + i * whole + (columns ? rank * row : 0);
        if (columns || member.IsFirst(rank, ranks)) {
          std::memcpy(to, from, row);
        } else if (std::memcmp(to, from, row) != 0) {
          return At(InputError("CV-parts", "differs between ranks that share a head"), name, rank);
        }
      }
    }
  }
  return members;
}

Status Joiner::AddOutput(JoinGroup& group, const PartModule& module, const PartMember& member,
                         std::string_view suffix, DType dtype, Shape shape) {
  const std::string source = fmt::format("{}.{}", module.name, suffix);
  const TensorEntry* entry = parts_.front().Find(source);
  TensorPlan tensor = PlanCopy(*entry, LabelOf(source));
  tensor.name = fmt::format("{}.{}", member.module, suffix);
  if (tensor.label.ends_with("SC")) tensor.label.pop_back();
  tensor.to = dtype;
  tensor.shape = std::move(shape);
  tensor.action = module.axis == SplitAxis::kWhole ? TensorAction::kCopy : TensorAction::kRepack;
  tensor.reason = module.axis == SplitAxis::kWhole ? "" : "joined";
  group.names.push_back(tensor.name);
  plan_.tensors.push_back(std::move(tensor));
  return {};
}

Status Joiner::PlanWeight(const PartModule& module) {
  const TensorEntry* weight = Find(module, "weight");
  if (weight == nullptr) {
    return At(InputError("CK-missing-tensor", "no weight file has it"), module.name + ".weight", 0);
  }
  const bool compressed = Find(module, "index") != nullptr;
  JoinGroup group;
  if (module.axis == SplitAxis::kWhole) {
    SLIM_TRY(
        AddOutput(group, module, module.members.front(), "weight", weight->dtype, weight->shape));
    group.make = [this, name = weight->name]() -> Result<std::vector<Tensor>> {
      std::vector<Tensor> made(1);
      SLIM_ASSIGN(made[0], SameInAll(name));
      return made;
    };
    groups_.push_back(std::move(group));
    return {};
  }
  uint64_t width = 0;  // of a row in this part
  if (compressed) {
    SLIM_ASSIGN(const Tensor info, parts_.front().Read(module.name + ".info"));
    if (info.dtype != DType::kI64 || info.elements() != 5 || info.as<int64_t>()[2] <= 0)
      return At(InputError("SC-info", "is not [8, 8, k, n, 1] in I64"), module.name + ".info", 0);
    width = static_cast<uint64_t>(info.as<int64_t>()[2]) / (type_ == "W16A16S" ? 2 : 1);
  } else if (weight->shape.size() == 2) {
    width = weight->shape[1];
  }
  const uint64_t k = module.axis == SplitAxis::kColumns ? width * parts_.size() : width;
  const DType dtype = type_ == "W16A16S" && compressed ? DType::kF16 : weight->dtype;
  for (const PartMember& member : module.members)
    SLIM_TRY(AddOutput(group, module, member, "weight", dtype, {member.rows(), k}));
  group.make = [this, &module, compressed] { return JoinParts(module, "weight", compressed); };
  groups_.push_back(std::move(group));
  return {};
}

Status Joiner::PlanRole(const PartModule& module, Role role) {
  const std::string suffix(RoleSuffix(role));
  const TensorEntry* entry = Find(module, suffix);
  if (entry == nullptr) return {};
  const bool scalar = role == Role::kInputScale || role == Role::kInputOffset;
  const bool once =
      module.axis == SplitAxis::kColumns && (role == Role::kQuantBias || role == Role::kBias);
  const bool rows = module.axis == SplitAxis::kRows && !scalar;
  const DType dtype = role == Role::kInputOffset ? DType::kF16 : entry->dtype;
  JoinGroup group;
  for (const PartMember& member : module.members) {
    Shape shape = entry->shape;
    if (rows && !shape.empty()) shape[0] = member.rows();
    SLIM_TRY(AddOutput(group, module, member, suffix, dtype, shape));
  }
  group.make = [this, &module, suffix, rows, once, dtype,
                name = entry->name]() -> Result<std::vector<Tensor>> {
    if (rows) return JoinParts(module, suffix, false);
    std::vector<Tensor> made;
    for (size_t i = 0; i < module.members.size(); ++i) {
      Tensor same;
      if (once) {
        SLIM_ASSIGN(same, parts_.front().Read(name));
      } else {
        SLIM_ASSIGN(same, SameInAll(name));
      }
      if (same.dtype != dtype) {
        Tensor wide(DType::kF32, same.shape);
        for (uint64_t e = 0; e < wide.elements(); ++e)
          wide.as<float>()[e] = static_cast<float>(ElementAsDouble(same.view(), e));
        Tensor out(dtype, same.shape);
        auto loss = ChangeDType(wide.view(), dtype, out.data.bytes());
        if (!loss.ok()) return std::move(loss).error();
        same = std::move(out);
      }
      made.push_back(std::move(same));
    }
    return made;
  };
  groups_.push_back(std::move(group));
  return {};
}

Status Joiner::PlanModule(const PartModule& module) {
  SLIM_TRY(PlanWeight(module));
  for (const Role role : {Role::kBias, Role::kWeightScale, Role::kWeightOffset, Role::kInputScale,
                          Role::kInputOffset, Role::kQuantBias, Role::kDeqScale})
    SLIM_TRY(PlanRole(module, role));
  return {};
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
    copy.label = type_;
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
  target.quant_type = ToLower(type_);
  target.source_quant_type = ToLower(type_) + "c";
  auto edited = EditConfig(config_text_, target);
  if (!edited.ok()) return std::move(edited).error().WithPath(JoinPath(path_, "config.json"));
  plan_.config = std::move(*edited);
  return {};
}

Status Joiner::Plan() {
  SLIM_TRY(Open());
  for (const PartModule& module : modules_) SLIM_TRY(PlanModule(module));
  for (const TensorEntry& entry : parts_.front().tensors()) {
    const TensorNameParts name = SplitTensorName(entry.name);
    const bool known = std::ranges::any_of(
        modules_, [&](const PartModule& module) { return module.name == name.module; });
    if (!known)
      return At(InputError("CV-parts", "belongs to no layer of config.json's model"), entry.name,
                0);
  }
  plan_.input = path_;
  plan_.from = Dialect::kMindIEParts;
  plan_.to = options_.to;
  plan_.quant_type = type_;
  SLIM_ASSIGN(listing_, ListDirectory(path_));
  plan_.side_files = ChooseSideFiles(listing_, options_.keep_extra);
  WritePlan& write = plan_.write;
  write.dialect = options_.to;
  write.globals.model_quant_type = type_;
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
  for (const JoinGroup& group : groups_) {
    uint64_t bytes = 0;
    for (const std::string& name : group.names) bytes += 3 * sizes[name];
    work_bytes_.push_back(bytes);
    largest = std::max(largest, bytes);
  }
  SLIM_ASSIGN(plan_.budget, BudgetFor(largest, options_.max_memory));
  return {};
}

Status Joiner::WriteGroup(CheckpointWriter& writer, const JoinGroup& group) const {
  SLIM_ASSIGN(const std::vector<Tensor> made, group.make());
  for (size_t i = 0; i < made.size(); ++i) {
    const std::string& name = group.names[i];
    SLIM_TRY(writer.Write(name, made[i].data.bytes()));
    const TensorNameParts parts = SplitTensorName(name);
    const std::string copy = fmt::format("{}.module.{}", parts.module, parts.suffix);
    if (copies_.contains(copy)) SLIM_TRY(writer.Write(copy, made[i].data.bytes()));
  }
  return {};
}

Status Joiner::WriteTensors(CheckpointWriter& writer) const {
  const TensorLoop loop{pool_, listener_, plan_.budget, "converting"};
  return ForEachTensor(loop, work_bytes_, [&](size_t i) { return WriteGroup(writer, groups_[i]); });
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
  Receipt receipt = PartsReceipt(plan_, path_);
  for (uint64_t rank = 0; rank < parts_.size(); ++rank) {
    SLIM_ASSIGN(std::vector<FileDigest> files, DigestInputs(parts_[rank], {}, pool_));
    for (FileDigest& file : files) {
      file.name = fmt::format("{}/{}", PartDirectoryName(rank, parts_.size()), file.name);
      receipt.inputs.push_back(std::move(file));
    }
  }
  SLIM_TRY(WriteReceiptFile(writer, std::move(receipt), pool_));
  for (const Checkpoint& part : parts_) SLIM_TRY(part.CheckUnchanged());
  VerifyOptions verify;
  verify.threads = pool_.threads();
  SLIM_ASSIGN(const VerifyReport report,
              VerifyCheckpoint(writer.PartialPath(), verify, SilentListener()));
  for (const Finding& finding : report.findings) {
    if (finding.severity != Severity::kError) continue;
    return InputError(finding.rule, fmt::format("the output would be wrong: {}", finding.message),
                      finding.fix)
        .WithTensor(finding.tensor)
        .WithPath(output);
  }
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
