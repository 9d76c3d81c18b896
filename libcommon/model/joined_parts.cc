#include "model/joined_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>
#include <utility>

#include "checkpoint/dialects/mindie_parts.h"
#include "checkpoint/sparse_codec.h"
#include "dtype/scalar_convert.h"
#include "model/read_config.h"

namespace slim {
namespace {

constexpr std::string_view kSparse16 = "W16A16S";
constexpr std::string_view kOneConversion = "fetch all parts of one conversion";

bool IsScalar(std::string_view suffix) {
  return suffix == RoleSuffix(Role::kInputScale) || suffix == RoleSuffix(Role::kInputOffset);
}

// Sums over ranks are added: only the first has these.
bool IsOfFirstRank(const JoinedGroup& group) {
  return group.module->axis == SplitAxis::kColumns &&
         (group.suffix == RoleSuffix(Role::kQuantBias) || group.suffix == RoleSuffix(Role::kBias));
}

// Offsets are small integers: exact in F16.
Tensor AsF16(const Tensor& tensor) {
  Tensor out(DType::kF16, tensor.shape);
  const auto to = out.as<uint16_t>();
  for (uint64_t i = 0; i < to.size(); ++i)
    to[i] = FloatToF16(static_cast<float>(ElementAsDouble(tensor.view(), i)));
  return out;
}

}  // namespace

Result<std::unique_ptr<JoinedParts>> JoinedParts::Open(const std::string& path) {
  std::unique_ptr<JoinedParts> joined(new JoinedParts(path));
  SLIM_TRY(joined->OpenParts());
  for (const PartModule& module : joined->modules_) SLIM_TRY(joined->AddModule(module));
  SLIM_TRY(joined->CheckNames());
  return joined;
}

const TensorEntry* JoinedParts::Find(const PartModule& module, std::string_view suffix) const {
  return parts_.front().Find(fmt::format("{}.{}", module.name, suffix));
}

Status JoinedParts::OpenParts() {
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
  SLIM_ASSIGN(const Checkpoint whole, Checkpoint::Inspect(path_, 1));
  SLIM_ASSIGN(const ModelConfig model, ReadModelConfig(whole));
  auto modules = PartModules(model, parts_.size());
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

Status JoinedParts::CheckKeys() const {
  for (size_t rank = 1; rank < parts_.size(); ++rank) {
    for (const TensorEntry& entry : parts_.front().tensors()) {
      const TensorEntry* twin = parts_[rank].Find(entry.name);
      if (twin != nullptr && twin->dtype == entry.dtype) continue;
      return At(
          InputError("CV-parts",
                     twin == nullptr ? "is not in every part" : "has another dtype in another part",
                     std::string(kOneConversion)),
          entry.name, rank);
    }
    if (parts_[rank].tensors().size() != parts_.front().tensors().size()) {
      return InputError("CV-parts", "has tensors that part 0 has not", std::string(kOneConversion))
          .WithPath(parts_[rank].path());
    }
  }
  return {};
}

Status JoinedParts::CheckNames() const {
  std::unordered_set<std::string_view> known;
  for (const PartModule& module : modules_) known.insert(module.name);
  for (const TensorEntry& entry : parts_.front().tensors()) {
    if (known.contains(SplitTensorName(entry.name).module)) continue;
    return At(InputError("CV-parts", "belongs to no layer of config.json's model"), entry.name, 0);
  }
  return {};
}

void JoinedParts::AddTensor(JoinedGroup& group, const PartMember& member, DType dtype,
                            Shape shape) const {
  JoinedTensor tensor;
  tensor.name = fmt::format("{}.{}", member.module, group.suffix);
  tensor.dtype = dtype;
  tensor.shape = std::move(shape);
  tensor.source = Find(*group.module, group.suffix);
  const std::string* label = parts_.front().description()->Label(tensor.source->name);
  tensor.label = label == nullptr ? "" : *label;
  if (tensor.label.ends_with("SC")) tensor.label.pop_back();
  group.tensors.push_back(std::move(tensor));
}

Status JoinedParts::AddWeight(const PartModule& module) {
  const TensorEntry* weight = Find(module, "weight");
  if (weight == nullptr) {
    return At(InputError("CK-missing-tensor", "no weight file has it"), module.name + ".weight", 0);
  }
  JoinedGroup group{&module, "weight", true, {}};
  if (module.axis == SplitAxis::kWhole) {
    AddTensor(group, module.members.front(), weight->dtype, weight->shape);
    groups_.push_back(std::move(group));
    return {};
  }
  const bool compressed = IsCompressed(module);
  uint64_t width = 0;  // of a row in this part
  if (compressed) {
    SLIM_ASSIGN(const Tensor info, parts_.front().Read(module.name + ".info"));
    if (info.dtype != DType::kI64 || info.elements() != 5 || info.as<int64_t>()[2] <= 0)
      return At(InputError("SC-info", "is not [8, 8, k, n, 1] in I64"), module.name + ".info", 0);
    width = static_cast<uint64_t>(info.as<int64_t>()[2]) / (type_ == kSparse16 ? 2 : 1);
  } else if (weight->shape.size() == 2) {
    width = weight->shape[1];
  }
  const uint64_t k = module.axis == SplitAxis::kColumns ? width * parts_.size() : width;
  const DType dtype = type_ == kSparse16 && compressed ? DType::kF16 : weight->dtype;
  for (const PartMember& member : module.members)
    AddTensor(group, member, dtype, {member.rows(), k});
  groups_.push_back(std::move(group));
  return {};
}

void JoinedParts::AddRole(const PartModule& module, Role role) {
  const std::string suffix(RoleSuffix(role));
  const TensorEntry* entry = Find(module, suffix);
  if (entry == nullptr) return;
  const bool rows = module.axis == SplitAxis::kRows && !IsScalar(suffix);
  JoinedGroup group{&module, suffix, false, {}};
  for (const PartMember& member : module.members) {
    Shape shape = entry->shape;
    if (rows && !shape.empty()) shape[0] = member.rows();
    AddTensor(group, member, role == Role::kInputOffset ? DType::kF16 : entry->dtype, shape);
  }
  groups_.push_back(std::move(group));
}

Status JoinedParts::AddModule(const PartModule& module) {
  SLIM_TRY(AddWeight(module));
  for (const Role role : {Role::kBias, Role::kWeightScale, Role::kWeightOffset, Role::kInputScale,
                          Role::kInputOffset, Role::kQuantBias, Role::kDeqScale})
    AddRole(module, role);
  return {};
}

// The bytes of a tensor that every rank has whole.
Result<Tensor> JoinedParts::SameInAll(const std::string& name) const {
  SLIM_ASSIGN(Tensor first, parts_.front().Read(name));
  for (size_t rank = 1; rank < parts_.size(); ++rank) {
    SLIM_ASSIGN(const Tensor other, parts_[rank].Read(name));
    if (!std::ranges::equal(first.data.bytes(), other.data.bytes())) {
      return At(InputError("CV-parts", "differs from part 0, every part should have the same",
                           std::string(kOneConversion)),
                name, rank);
    }
  }
  return first;
}

Result<Tensor> JoinedParts::ReadRank(const JoinedGroup& group, uint64_t rank) const {
  const PartModule& module = *group.module;
  const auto name = [&](std::string_view part) { return fmt::format("{}.{}", module.name, part); };
  if (!group.is_weight || !IsCompressed(module)) return parts_[rank].Read(name(group.suffix));
  SLIM_ASSIGN(const Tensor weight, parts_[rank].Read(name("weight")));
  SLIM_ASSIGN(const Tensor index, parts_[rank].Read(name("index")));
  SLIM_ASSIGN(const Tensor info, parts_[rank].Read(name("info")));
  auto codes = DecompressMatrix(weight.view(), index.view(), info.view());
  if (!codes.ok()) return At(std::move(codes).error(), name("weight"), rank);
  if (type_ != kSparse16) return codes;
  // The F16 matrix was viewed as int8 [n, 2k].
  if (codes->shape[1] % 2 != 0) return At(InputError("SC-info", "k is odd"), name("info"), rank);
  codes->shape[1] /= 2;
  codes->dtype = DType::kF16;
  return codes;
}

// Copies the rows, or columns, that a rank has to where they belong.
Status JoinedParts::Scatter(const JoinedGroup& group, uint64_t rank, const Tensor& part,
                            std::vector<Tensor>& members) const {
  const PartModule& module = *group.module;
  const uint64_t ranks = parts_.size();
  const bool columns = module.axis == SplitAxis::kColumns;
  const std::string name = fmt::format("{}.{}", module.name, group.suffix);
  uint64_t rows = 0;
  for (const PartMember& member : module.members)
    rows += columns ? member.rows() : member.RowsOf(rank, ranks).size();
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
  return {};
}

Result<std::vector<Tensor>> JoinedParts::JoinRanks(const JoinedGroup& group) const {
  std::vector<Tensor> members(group.module->members.size());
  for (uint64_t rank = 0; rank < parts_.size(); ++rank) {
    SLIM_ASSIGN(const Tensor part, ReadRank(group, rank));
    SLIM_TRY(Scatter(group, rank, part, members));
  }
  return members;
}

Result<std::vector<Tensor>> JoinedParts::Make(const JoinedGroup& group) const {
  const SplitAxis axis = group.module->axis;
  const bool whole = axis == SplitAxis::kWhole || IsScalar(group.suffix);
  const bool of_rows = axis == SplitAxis::kColumns && !group.is_weight;
  if (!whole && !of_rows) return JoinRanks(group);
  std::vector<Tensor> made;
  for (const JoinedTensor& tensor : group.tensors) {
    const std::string& name = tensor.source->name;
    auto same = IsOfFirstRank(group) ? parts_.front().Read(name) : SameInAll(name);
    if (!same.ok()) return std::move(same).error();
    made.push_back(same->dtype == tensor.dtype ? std::move(*same) : AsF16(*same));
  }
  return made;
}

}  // namespace slim
