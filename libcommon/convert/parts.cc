#include "convert/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <unordered_map>

#include "base/text.h"
#include "base/version.h"
#include "checkpoint/dialects/mindie_parts.h"
#include "checkpoint/sparse_codec.h"
#include "convert/output_check.h"
#include "convert/parts_files.h"
#include "convert/receipt.h"
#include "convert/source_check.h"
#include "convert/tensor_loop.h"
#include "model/read_config.h"
#include "model/tensor_parallel.h"
#include "os/digest.h"
#include "os/interrupt.h"
#include "os/path_guard.h"

namespace slim {
namespace {

// Tensors of one module in one part that are made together.
struct PartGroup {
  uint64_t rank = 0;
  std::vector<size_t> tensors;  // positions in ConvertPlan::tensors
  std::function<Result<std::vector<Tensor>>()> make;
  uint64_t work_bytes = 0;  // that `make` holds in memory at most
};

class Splitter {
 public:
  Splitter(const Checkpoint& source, const PartsOptions& options, ThreadPool& pool,
           Listener& listener)
      : source_(source), options_(options), pool_(pool), listener_(listener) {}

  Status Plan();
  Status Write(const std::string& output, const OutputOptions& output_options);
  const ConvertPlan& plan() const { return plan_; }
  ConvertPlan&& TakePlan() { return std::move(plan_); }

 private:
  Status PlanWhole();
  Status CheckDType() const;
  Status CheckLabel(const TensorPlan& tensor);
  Status PlanModule(const PartModule& module, uint64_t rank);
  Status PlanRole(const PartModule& module, uint64_t rank, std::string_view suffix);
  Status PlanCompressed(const PartModule& module, uint64_t rank);
  Status CheckFused(const PartModule& module) const;
  Status CheckSameScale(const PartModule& module, std::string_view suffix) const;
  Status CheckAllTaken() const;
  Status MeasureScale(TensorPlan& tensor);
  Result<Tensor> Logical(const std::string& name) const;
  Result<Tensor> Slice(const PartModule& module, const std::string& suffix, uint64_t rank) const;
  const TensorPlan* Find(const std::string& name) const;
  const TensorPlan* Member(const PartMember& member, std::string_view suffix) const;
  size_t AddTensor(const PartModule& module, uint64_t rank, std::string_view suffix,
                   const TensorPlan& first, DType dtype, Shape shape);
  uint64_t WorkBytesOf(const PartModule& module, std::string_view suffix) const;
  Status PlanMemory();
  Status WriteGroup(PartWriter& writer, const PartGroup& group) const;
  Status WritePart(OutputDirectory& directory, uint64_t rank,
                   std::map<std::string, std::string>& digests) const;
  Error At(Error error, const std::string& tensor) const {
    return std::move(error).WithTensor(tensor).WithPath(source_.path());
  }

  const Checkpoint& source_;
  const PartsOptions& options_;
  ThreadPool& pool_;
  Listener& listener_;
  ConvertPlan whole_;  // the source as an undivided float16 ascendv1-v0
  std::unordered_map<std::string, size_t> by_name_;  // in whole_.tensors
  std::string type_;                                 // "W8A8S" or "W16A16S"
  std::vector<PartModule> modules_;
  std::vector<PartGroup> groups_;
  ConvertPlan plan_;
};

std::string CompressedLabel(std::string_view type) { return fmt::format("{}C", type); }

const TensorPlan* Splitter::Find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &whole_.tensors[found->second];
}

const TensorPlan* Splitter::Member(const PartMember& member, std::string_view suffix) const {
  return Find(fmt::format("{}.{}", member.module, suffix));
}

Status Splitter::CheckDType() const {
  if (options_.to_fp16) return {};
  SLIM_ASSIGN(const std::optional<DType> dtype, ConfigDType(*source_.config()));
  if (dtype == DType::kF16) return {};
  return InputError("CV-bf16",
                    fmt::format("has torch_dtype {}, MindIE loads compressed weights of float16 "
                                "models only",
                                dtype ? TorchDTypeName(*dtype) : "unset"),
                    "--dtype fp16 rounds it on the way (with --allow-loss where values change); "
                    "uncompressed it stays usable as it is")
      .WithPath(JoinPath(source_.path(), "config.json"));
}

Status Splitter::CheckLabel(const TensorPlan& tensor) {
  if (tensor.label == "FLOAT") return {};
  if (tensor.label != "W8A8S" && tensor.label != "W16A16S") {
    return At(InputError("CV-scheme", fmt::format("has label {}", Quote(tensor.label)),
                         "mindie-parts holds W8A8S, W16A16S and FLOAT layers"),
              tensor.source);
  }
  if (type_.empty()) type_ = tensor.label;
  if (tensor.label == type_) return {};
  return At(
      InputError("CV-scheme", fmt::format("has label {} beside {} layers", tensor.label, type_),
                 "MindIE loads one compressed type a model"),
      tensor.source);
}

// The source in one form: labels, deq_scale bits and float tensors as a float16 ascendv1-v0.
Status Splitter::PlanWhole() {
  ConvertOptions options;
  options.to = Dialect::kAscendV1V0;
  options.dtype = DType::kF16;
  options.keep_extra = options_.keep_extra;
  SLIM_ASSIGN(whole_, PlanConversion(source_, options, pool_, listener_));
  for (TensorPlan& tensor : whole_.tensors) SLIM_TRY(CheckLabel(tensor));
  if (type_.empty()) {
    return InputError("CV-scheme", "holds no W8A8S or W16A16S layer: there is nothing to compress",
                      "quantize with --type w8a8s first")
        .WithPath(source_.path());
  }
  for (TensorPlan& tensor : whole_.tensors) {
    if (tensor.label == "W8A8S" && tensor.name.ends_with("_scale") && tensor.from != DType::kI64 &&
        !tensor.name.ends_with(".deq_scale"))
      SLIM_TRY(MeasureScale(tensor));
    by_name_.emplace(tensor.name, static_cast<size_t>(&tensor - whole_.tensors.data()));
  }
  return {};
}

// Scales are F16 in a part, whatever the source has.
Status Splitter::MeasureScale(TensorPlan& tensor) {
  if (tensor.to == DType::kF16) return {};
  tensor.to = DType::kF16;
  tensor.reason = fmt::format("{} to F16", tensor.FromName());
  SLIM_ASSIGN(Tensor made, MakeTensor(tensor, source_));
  RoundingLoss loss;
  auto rounded = RoundTensor(tensor, std::move(made), &loss);
  if (!rounded.ok()) return At(std::move(rounded).error(), tensor.source);
  if (loss.to_zero > 0 || loss.overflowed > 0) {
    return At(InputError("CV-underflow", "a scale is zero or infinite in F16",
                         "MindIE loads compressed weights with F16 scales only"),
              tensor.source);
  }
  tensor.worst_relative_error = loss.worst_relative_error;
  tensor.loss = loss.exact() ? LossClass::kExact : LossClass::kNear;
  whole_.loss = std::max(whole_.loss, tensor.loss);
  return {};
}

Result<Tensor> Splitter::Logical(const std::string& name) const {
  const TensorPlan& tensor = *Find(name);
  SLIM_ASSIGN(Tensor made, MakeTensor(tensor, source_));
  return RoundTensor(tensor, std::move(made), nullptr);
}

Status Splitter::CheckFused(const PartModule& module) const {
  const TensorPlan* first = Member(module.members.front(), "weight");
  for (const PartMember& member : module.members) {
    const TensorPlan* weight = Member(member, "weight");
    if (weight == nullptr) {
      return At(InputError("CK-missing-tensor", "no weight file has it"),
                fmt::format("{}.weight", member.module));
    }
    if (module.axis != SplitAxis::kWhole &&
        (weight->shape.size() != 2 || weight->shape[0] != member.rows())) {
      return At(InputError("LIN-shape", fmt::format("has shape {}, wanted {} rows by config.json",
                                                    weight->ShapeName(), member.rows())),
                weight->source);
    }
    if (weight->label != first->label) {
      return At(InputError("CV-fused-types",
                           fmt::format("is {}, {} is {}: they are one layer in a part",
                                       weight->label, first->name, first->label),
                           "quantize all of them, or none"),
                weight->source);
    }
  }
  if (module.axis == SplitAxis::kWhole || first->label != "W8A8S") return {};
  SLIM_TRY(CheckSameScale(module, "input_scale"));
  return CheckSameScale(module, "input_offset");
}

Status Splitter::CheckSameScale(const PartModule& module, std::string_view suffix) const {
  std::optional<double> wanted;
  for (const PartMember& member : module.members) {
    const std::string name = fmt::format("{}.{}", member.module, suffix);
    if (Find(name) == nullptr) {
      return At(InputError("CK-missing-tensor", "no weight file has it"), name);
    }
    SLIM_ASSIGN(const Tensor value, Logical(name));
    if (value.elements() != 1) {
      return At(
          InputError("LIN-shape", fmt::format("has shape {}, wanted [1]", ShapeText(value.shape))),
          name);
    }
    const double found = ElementAsDouble(value.view(), 0);
    if (suffix == "input_offset" &&
        (found != std::nearbyint(found) || found < -128 || found > 127)) {
      return At(InputError("T05-offset", fmt::format("is {}, wanted an integer of int8", found)),
                name);
    }
    if (wanted && *wanted != found) {
      return At(InputError("CV-fused-scale",
                           fmt::format("is {}, {} has {}: they are one layer in a part", found,
                                       module.members.front().module, *wanted),
                           "slim-convert --for mindie refolds them to a common scale"),
                name);
    }
    wanted = found;
  }
  return {};
}

// The rows or columns of one rank, members one after the other.
Result<Tensor> Splitter::Slice(const PartModule& module, const std::string& suffix,
                               uint64_t rank) const {
  const bool columns = module.axis == SplitAxis::kColumns && suffix == "weight";
  Tensor out;
  uint64_t at = 0;
  for (const PartMember& member : module.members) {
    SLIM_ASSIGN(const Tensor tensor, Logical(fmt::format("{}.{}", member.module, suffix)));
    const uint64_t row = tensor.data.size() / tensor.shape[0];
    const RowRange range = module.axis == SplitAxis::kRows ? member.RowsOf(rank, options_.ranks)
                                                           : RowRange{0, tensor.shape[0]};
    if (out.empty()) {
      uint64_t rows = 0;
      for (const PartMember& each : module.members)
        rows += module.axis == SplitAxis::kRows ? each.RowsOf(rank, options_.ranks).size()
                                                : tensor.shape[0];
      Shape shape = tensor.shape;
      shape[0] = rows;
      if (columns) shape[1] /= options_.ranks;
      out = Tensor(tensor.dtype, shape);
    }
    const uint64_t part = columns ? row / options_.ranks : row;
    const uint64_t skip = columns ? rank * part : 0;
    for (uint64_t i = range.begin; i < range.end; ++i, at += part)
      std::memcpy(out.data.data() + at, tensor.data.data() + i * row + skip, part);
  }
  return out;
}

size_t Splitter::AddTensor(const PartModule& module, uint64_t rank, std::string_view suffix,
                           const TensorPlan& first, DType dtype, Shape shape) {
  TensorPlan tensor;
  tensor.name =
      fmt::format("{}/{}.{}", PartDirectoryName(rank, options_.ranks), module.name, suffix);
  tensor.source = first.source;
  tensor.label = first.label;
  tensor.from = first.from;
  tensor.to = dtype;
  tensor.from_shape = first.from_shape;
  tensor.shape = std::move(shape);
  tensor.loss = first.loss;
  tensor.worst_relative_error = first.worst_relative_error;
  tensor.to_zero = first.to_zero;
  tensor.action =
      module.axis == SplitAxis::kWhole ? TensorAction::kDuplicate : TensorAction::kRepack;
  tensor.reason = module.axis == SplitAxis::kWhole ? "every part has it" : "split and fused";
  tensor.shard = static_cast<uint32_t>(rank);
  plan_.tensors.push_back(std::move(tensor));
  return plan_.tensors.size() - 1;
}

// weight, index and info. The stream is made once here for its size, and again when it is written.
Status Splitter::PlanCompressed(const PartModule& module, uint64_t rank) {
  const TensorPlan& first = *Member(module.members.front(), "weight");
  const auto compress = [this, &module, rank]() -> Result<std::vector<Tensor>> {
    SLIM_TRY(CheckInterrupt());
    SLIM_ASSIGN(const Tensor codes, Slice(module, "weight", rank));
    const uint64_t n = codes.shape[0];
    auto made = CompressMatrix(codes.data.bytes(), n, codes.data.size() / n);
    if (!made.ok())
      return At(std::move(made).error(), fmt::format("{}.weight", module.members.front().module));
    std::vector<Tensor> tensors;
    tensors.push_back(std::move(made->weight));
    tensors.push_back(std::move(made->index));
    tensors.push_back(std::move(made->info));
    return tensors;
  };
  SLIM_ASSIGN(const std::vector<Tensor> made, compress());
  PartGroup group{rank, {}, compress, WorkBytesOf(module, "weight")};
  constexpr std::string_view kSuffixes[] = {"weight", "index", "info"};
  for (size_t i = 0; i < made.size(); ++i) {
    group.tensors.push_back(
        AddTensor(module, rank, kSuffixes[i], first, made[i].dtype, made[i].shape));
    plan_.tensors.back().label = CompressedLabel(first.label);
    plan_.tensors.back().action = TensorAction::kCompute;
    plan_.tensors.back().reason = "compressed";
  }
  groups_.push_back(std::move(group));
  return {};
}

Status Splitter::PlanRole(const PartModule& module, uint64_t rank, std::string_view suffix) {
  const TensorPlan* first = Member(module.members.front(), suffix);
  for (const PartMember& member : module.members) {
    if ((Member(member, suffix) == nullptr) == (first == nullptr)) continue;
    return At(
        InputError("CV-fused-types", "only some of the layers that are one in a part have it"),
        fmt::format("{}.{}", member.module, suffix));
  }
  if (first == nullptr) return {};
  const bool scalar = suffix == "input_scale" || suffix == "input_offset";
  // Added over ranks, so it counts once.
  const bool once =
      module.axis == SplitAxis::kColumns && (suffix == "quant_bias" || suffix == "bias");
  const bool split = module.axis == SplitAxis::kRows && !scalar;
  Shape shape = first->shape;
  if (split) {
    shape[0] = 0;
    for (const PartMember& member : module.members)
      shape[0] += member.RowsOf(rank, options_.ranks).size();
  } else if (module.axis == SplitAxis::kColumns && suffix == "weight") {
    shape[1] /= options_.ranks;
  }
  const DType dtype = suffix == "input_offset" ? DType::kI8 : first->to;
  const size_t tensor = AddTensor(module, rank, suffix, *first, dtype, shape);
  groups_.push_back({rank,
                     {tensor},
                     [=, this, &module, name = first->name,
                      role = std::string(suffix)]() -> Result<std::vector<Tensor>> {
                       std::vector<Tensor> made;
                       if (dtype == DType::kI8 && scalar) {
                         SLIM_ASSIGN(const Tensor offset, Logical(name));
                         made.emplace_back(DType::kI8, Shape{1});
                         made.back().as<int8_t>()[0] =
                             static_cast<int8_t>(ElementAsDouble(offset.view(), 0));
                       } else if (!split && role != "weight") {
                         SLIM_ASSIGN(Tensor same, Logical(name));
                         made.push_back(std::move(same));
                       } else {
                         SLIM_ASSIGN(Tensor slice, Slice(module, role, rank));
                         made.push_back(std::move(slice));
                       }
                       if (once && rank > 0)
                         std::ranges::fill(made.back().data.bytes(), std::byte{0});
                       return made;
                     },
                     WorkBytesOf(module, suffix)});
  return {};
}

Status Splitter::PlanModule(const PartModule& module, uint64_t rank) {
  const TensorPlan* weight = Member(module.members.front(), "weight");
  const bool compressed = module.is_linear && weight->label != "FLOAT";
  if (compressed) {
    SLIM_TRY(PlanCompressed(module, rank));
  } else {
    SLIM_TRY(PlanRole(module, rank, "weight"));
  }
  for (const std::string_view suffix : {"bias", "weight_scale", "weight_offset", "input_scale",
                                        "input_offset", "quant_bias", "deq_scale"})
    SLIM_TRY(PlanRole(module, rank, suffix));
  return {};
}

Status Splitter::CheckAllTaken() const {
  std::unordered_map<std::string_view, bool> modules;
  for (const PartModule& module : modules_) {
    for (const PartMember& member : module.members) modules.emplace(member.module, true);
  }
  for (const TensorPlan& tensor : whole_.tensors) {
    const TensorNameParts name = SplitTensorName(tensor.name);
    if (modules.contains(name.module) && ParseRole(name.suffix)) continue;
    return At(InputError("CV-parts", "has no place in a part",
                         "MindIE's parts hold the layers of a dense decoder, nothing else"),
              tensor.source);
  }
  return {};
}

Status Splitter::Plan() {
  if (source_.is_single_file() || source_.config() == nullptr) {
    return InputError("IN-missing", "no such file", "name a directory with a config.json")
        .WithPath(JoinPath(source_.path(), "config.json"));
  }
  SLIM_TRY(CheckDType());
  SLIM_ASSIGN(const ModelConfig config, ReadModelConfig(source_));
  SLIM_TRY(PlanWhole());
  auto modules = PartModules(config, options_.ranks);
  if (!modules.ok()) return std::move(modules).error().WithPath(source_.path());
  modules_ = std::move(*modules);
  // A tied lm_head has no tensor of its own.
  std::erase_if(modules_, [&](const PartModule& module) {
    return module.name == "lm_head" && Find("lm_head.weight") == nullptr;
  });
  SLIM_TRY(CheckAllTaken());
  for (const PartModule& module : modules_) SLIM_TRY(CheckFused(module));
  for (uint64_t rank = 0; rank < options_.ranks; ++rank) {
    for (const PartModule& module : modules_) SLIM_TRY(PlanModule(module, rank));
  }
  SLIM_TRY(PlanMemory());
  plan_.input = source_.path();
  plan_.from = source_.dialect();
  plan_.to = Dialect::kMindIEParts;
  plan_.quant_type = CompressedLabel(type_);
  plan_.loss = whole_.loss;
  plan_.side_files = whole_.side_files;
  plan_.notes = whole_.notes;
  plan_.write.dialect = Dialect::kMindIEParts;
  for (const TensorPlan& tensor : plan_.tensors)
    plan_.write.tensors.push_back(
        {{tensor.name, tensor.to, tensor.shape}, tensor.label, tensor.shard});
  ConfigTarget target;
  target.from = Dialect::kAscendV1V0;
  target.to = Dialect::kMindIE;
  target.quant_type = ToLower(plan_.quant_type);
  target.source_quant_type = ToLower(type_);
  target.dtype = DType::kF16;
  SLIM_ASSIGN(plan_.config, EditConfig(source_.config_text(), target));
  return {};
}

Status Splitter::WriteGroup(PartWriter& writer, const PartGroup& group) const {
  SLIM_ASSIGN(const std::vector<Tensor> made, group.make());
  for (size_t i = 0; i < made.size(); ++i) {
    const std::string& name = plan_.tensors[group.tensors[i]].name;
    SLIM_TRY(writer.Write(name.substr(name.find('/') + 1), made[i].data.bytes()));
  }
  return {};
}

Status Splitter::WritePart(OutputDirectory& directory, uint64_t rank,
                           std::map<std::string, std::string>& digests) const {
  PartFile part;
  part.rank = rank;
  part.ranks = options_.ranks;
  part.quant_type = plan_.quant_type;
  part.versioned = source_.dialect() != Dialect::kMindIE;
  for (const TensorPlan& tensor : plan_.tensors) {
    if (tensor.shard != rank) continue;
    const std::string name = tensor.name.substr(tensor.name.find('/') + 1);
    part.tensors.push_back({{name, tensor.to, tensor.shape}, tensor.label, 0});
  }
  SLIM_ASSIGN(PartWriter writer, PartWriter::Create(directory, std::move(part)));
  std::vector<const PartGroup*> mine;
  for (const PartGroup& group : groups_) {
    if (group.rank == rank) mine.push_back(&group);
  }
  std::vector<uint64_t> sizes;
  for (const PartGroup* group : mine) sizes.push_back(group->work_bytes);
  const TensorLoop loop{pool_, listener_, plan_.budget, "converting"};
  SLIM_TRY(ForEachTensor(loop, sizes, [&](size_t i) { return WriteGroup(writer, *mine[i]); }));
  SLIM_TRY(writer.Finish(directory));
  for (const auto& [name, digest] : writer.digests())
    digests.emplace(fmt::format("{}/{}", PartDirectoryName(rank, options_.ranks), name), digest);
  return {};
}

// Members, the slice of all of them, and its compressed form are in memory together.
uint64_t Splitter::WorkBytesOf(const PartModule& module, std::string_view suffix) const {
  uint64_t members = 0;
  for (const PartMember& member : module.members) {
    const TensorEntry* entry = source_.Find(fmt::format("{}.{}", member.module, suffix));
    if (entry != nullptr) members += entry->size;
  }
  return 3 * members;
}

Status Splitter::PlanMemory() {
  uint64_t largest = 0;
  for (const PartGroup& group : groups_) largest = std::max(largest, group.work_bytes);
  SLIM_ASSIGN(plan_.budget, BudgetFor(largest, options_.max_memory));
  return {};
}

Status Splitter::Write(const std::string& output, const OutputOptions& output_options) {
  SLIM_ASSIGN(OutputDirectory directory,
              OutputDirectory::Create(output, output_options, listener_));
  SLIM_TRY(directory.CheckSpace(plan_.bytes()));
  std::map<std::string, std::string> digests;
  for (uint64_t rank = 0; rank < options_.ranks; ++rank)
    SLIM_TRY(WritePart(directory, rank, digests));
  SLIM_TRY(directory.WriteFile("config.json", plan_.config.text));
  std::vector<std::string> names;
  for (const SideFile& side : plan_.side_files.copied) {
    SLIM_ASSIGN(const File file, File::Open(JoinPath(source_.path(), side.name)));
    SLIM_TRY(directory.CopyFile(file, side.name));
    names.push_back(side.name);
  }
  SLIM_ASSIGN(Receipt receipt, PartsReceipt(plan_, source_.path()));
  receipt.configuration.Set("tp", options_.ranks);
  SLIM_ASSIGN(receipt.inputs, DigestInputs(source_, names, pool_));
  receipt.tensors = std::move(digests);
  SLIM_ASSIGN(receipt.files, DigestOutputFiles(directory.PartialPath(""), pool_));
  SLIM_TRY(directory.WriteFile(kReceiptFileName, WriteReceipt(receipt)));
  SLIM_TRY(source_.CheckUnchanged());
  SLIM_TRY(
      CheckOutput(directory.PartialPath(""), source_.path(), output, pool_.threads(), listener_));
  return directory.Commit();
}

}  // namespace

Result<ConvertPlan> ConvertToParts(const std::string& input, const std::string& output,
                                   const PartsOptions& options, const OutputOptions& output_options,
                                   ThreadPool& pool, Listener& listener) {
  if (!options.plan_only) SLIM_TRY(CheckOutputApart(input, output));
  if (options.ranks == 0 || options.ranks > 64)
    return UsageError("--to mindie-parts needs --tp N, the number of ranks from 1 to 64");
  SLIM_ASSIGN(const Checkpoint source, Checkpoint::OpenForeign(input));
  SLIM_TRY(CheckOneDialect(source.listing(), input));
  SLIM_TRY(CheckOneDescription(source.listing(), input));
  if (FindEdge(source.dialect(), Dialect::kMindIEParts) == nullptr)
    return NoEdge(source.dialect(), Dialect::kMindIEParts).WithPath(input);
  Splitter splitter(source, options, pool, listener);
  SLIM_TRY(splitter.Plan());
  if (!options.plan_only) SLIM_TRY(CheckLossAllowed(splitter.plan(), options.allow_loss));
  if (!options.plan_only) SLIM_TRY(splitter.Write(output, output_options));
  return splitter.TakePlan();
}

}  // namespace slim
