// The tensor-parallel parts of a sparse checkpoint (dialect mindie-parts) as one model: ranks
// joined, fused layers taken apart, weights unpacked, one module at a time. Facts: formats.md 7.3,
// 7.4. Knows no target layout.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/layer_reader.h"
#include "linear/scheme.h"
#include "model/tensor_parallel.h"
#include "tensor/tensor.h"

namespace slim {

// One tensor of the model, as it is once joined.
struct JoinedTensor {
  std::string name;  // "model.layers.0.self_attn.q_proj.weight"
  DType dtype = DType::kF32;
  Shape shape;
  std::string label;                    // "W8A8S"; FLOAT
  const TensorEntry* source = nullptr;  // of part 0
};

// Tensors that are made together: one suffix of one module of the parts.
struct JoinedGroup {
  const PartModule* module = nullptr;
  std::string suffix;
  bool is_weight = false;
  std::vector<JoinedTensor> tensors;  // one a member of the module
};

// Thread-safe for reading. Stays where it was made: groups point into it.
class JoinedParts {
 public:
  // Headers only. CV-parts: parts that are missing or contradict each other, or are of no type that
  // is known; CV-tp, CF-…: those of PartModules and config.json.
  static Result<std::unique_ptr<JoinedParts>> Open(const std::string& path);

  const std::string& type() const { return type_; }  // "W8A8S", "W16A16S"
  const std::vector<Checkpoint>& parts() const { return parts_; }
  // In model order.
  const std::vector<JoinedGroup>& groups() const { return groups_; }
  // The tensors of a group. SC-…: streams that slim did not write; CV-parts, LIN-shape.
  Result<std::vector<Tensor>> Make(const JoinedGroup& group) const;

 private:
  explicit JoinedParts(std::string path) : path_(std::move(path)) {}
  Status OpenParts();
  Status CheckKeys() const;
  Status CheckNames() const;
  Status AddModule(const PartModule& module);
  Status AddWeight(const PartModule& module);
  void AddRole(const PartModule& module, Role role);
  void AddTensor(JoinedGroup& group, const PartMember& member, DType dtype, Shape shape) const;
  bool IsCompressed(const PartModule& module) const { return Find(module, "index") != nullptr; }
  Result<Tensor> ReadRank(const JoinedGroup& group, uint64_t rank) const;
  Result<std::vector<Tensor>> JoinRanks(const JoinedGroup& group) const;
  Status Scatter(const JoinedGroup& group, uint64_t rank, const Tensor& part,
                 std::vector<Tensor>& members) const;
  Result<Tensor> SameInAll(const std::string& name) const;
  const TensorEntry* Find(const PartModule& module, std::string_view suffix) const;
  Error At(Error error, const std::string& tensor, uint64_t rank) const {
    return std::move(error).WithTensor(tensor).WithPath(parts_[rank].path());
  }

  std::string path_;
  std::string type_;
  std::vector<Checkpoint> parts_;
  std::vector<PartModule> modules_;
  std::vector<JoinedGroup> groups_;
};

// Every tensor and linear layer of the parts, read where they lie.
Result<std::unique_ptr<LayerReader>> ReadJoinedLayers(std::unique_ptr<JoinedParts> parts);

}  // namespace slim
