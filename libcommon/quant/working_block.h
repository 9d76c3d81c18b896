// One decoder block while it is being quantized: its float weights, changed in place by smoothing
// and rotation, and runnable as a DecoderBlock. Elementwise steps are rounded to the working dtype:
// with --compute model that of the checkpoint, with fp32 float32. Decides nothing.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "model/model_config.h"
#include "parallel/thread_pool.h"
#include "quant/recipe.h"
#include "run/block.h"

namespace slim {

class WorkingBlock {
 public:
  // `checkpoint` and `pool` must outlive it. kStreamed: routed experts are read when they are
  // needed, and a change of one is remembered and made again at every reading; forward passes see
  // them as they are in the checkpoint, so all passes come before the first change. Only scaling
  // changes a streamed linear.
  static Result<WorkingBlock> Load(const Checkpoint& checkpoint, const ModelConfig& config,
                                   uint64_t layer, ComputeMode compute, ExpertStorage experts,
                                   ThreadPool& pool);

  DecoderBlock& block() { return *block_; }
  // A float linear of the block: weight [n, k] and bias in their working dtypes. Of a streamed one
  // the reference is good until the next is asked for; where it cannot be read, status() says so
  // and the weight is all zero.
  const LinearRecord& Linear(std::string_view name);
  const Status& status() const { return status_; }
  const Norm& NormOf(std::string_view name);
  // Changed since it was loaded.
  bool Changed(std::string_view module) const { return changed_.contains(module); }

  // The dtype that elementwise steps on a tensor stored in `stored` are rounded to.
  DType Working(DType stored) const {
    return compute_ == ComputeMode::kModel ? stored : DType::kF32;
  }
  DType StoredDType(const std::string& tensor) const;

  // Over all rows: the largest |W[:, k]|, or with `sign` the largest W[:, k]. Widens `largest` [k].
  void WidenColumnMax(std::string_view linear, bool with_sign, std::span<float> largest);
  // squares[k] += Σ_n W[n, k]².
  void AddColumnSquares(std::string_view linear, std::span<float> squares);
  // W[:, k] *= scale[k].
  void ScaleColumns(std::string_view linear, std::span<const float> scale);
  // W[first_row + i, :] *= factor[i], and the bias with it.
  void ScaleRows(std::string_view linear, std::span<const float> factor);
  // bias[n] += Σ_k W[n, k] · shift[k]; a bias of zeros is made where there is none.
  void AddShiftToBias(std::string_view linear, std::span<const float> shift);
  void SetNorm(std::string_view name, std::vector<float> weight, std::vector<float> bias);
  // The weight as a whole, [n, k] in any float dtype; the bias stays.
  void SetWeight(std::string_view linear, Tensor weight);
  // An empty tensor removes nothing.
  void SetBias(std::string_view linear, Tensor bias);

 private:
  WorkingBlock(const Checkpoint& checkpoint, ComputeMode compute, ThreadPool& pool,
               std::unique_ptr<DecoderBlock> block);
  // One factor a row or a column of a streamed linear.
  struct Scaling {
    bool of_columns = false;
    std::vector<float> factors;
  };
  struct StreamedLinear {
    uint64_t n = 0;
    uint64_t k = 0;
    std::vector<Scaling> changes;
  };
  LinearLayer& LayerOf(std::string_view linear);
  // Null for a linear that is held.
  StreamedLinear* Streamed(std::string_view linear);
  LinearLayer& ReadStreamed(std::string_view linear, const StreamedLinear& streamed);
  void Scale(LinearLayer& layer, bool of_columns, std::span<const float> factors);
  Norm& NormAt(std::string_view name);
  // Gives the weight as a tensor of the working dtype that may be written to.
  template <typename ForRow>
  void ChangeRows(LinearLayer& layer, const ForRow& change);
  void Replace(LinearLayer& layer, Role role, Tensor part);

  const Checkpoint* checkpoint_;
  ComputeMode compute_;
  ThreadPool* pool_;
  std::unique_ptr<DecoderBlock> block_;  // in one place: the tables below point into it
  std::map<std::string, LinearLayer*, std::less<>> linears_;
  std::map<std::string, Norm*, std::less<>> norms_;
  std::set<std::string, std::less<>> changed_;
  std::map<std::string, StreamedLinear, std::less<>> streamed_;
  std::optional<LinearLayer> current_;  // the streamed one that was asked for last
  Status status_;
};

}  // namespace slim
