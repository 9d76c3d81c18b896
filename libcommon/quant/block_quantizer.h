// One decoder block through the stages of a recipe: forward passes of the calibration samples,
// smoothing, static ranges, cache scales. Gives the weights as they are to be quantized, or with
// --propagate quantized the quantized records, since there the next stage computes with them.
// Writes nothing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "quant/calibration.h"
#include "quant/input_stats.h"
#include "quant/measurement.h"
#include "quant/observer.h"
#include "quant/plan.h"
#include "quant/second_moments.h"
#include "quant/stages.h"
#include "quant/weights.h"
#include "quant/working_block.h"

namespace slim {

// Of the keys or the values of one attention module, by channel.
struct CacheScales {
  std::vector<float> scale;
  std::vector<float> offset;
};

// What calibration found out about one linear.
struct CalibratedLinear {
  const LinearPlan* plan = nullptr;
  std::optional<ActivationObserver> observer;
  std::optional<QuantizationRange> range;
  std::shared_ptr<SecondMoments> moments;  // shared by the linears that read one input
  std::vector<float> mean;                 // [k] of the inputs; bias correction
  std::optional<LinearRecord> record;      // --propagate quantized
  bool fake = false;                       // the block computes with what its codes stand for
};

// The samples of one pass of the recipe on their way through the model.
struct PassRun {
  std::vector<Stage> stages;
  std::optional<CalibrationPass> pass;  // empty for a recipe that needs no calibration
  uint64_t all_tokens = 0;
};

class BlockQuantizer {
 public:
  // All but `passes` must outlive it. Every pass stands before block 0. kStreamed: only where
  // CanStreamExperts.
  BlockQuantizer(const Checkpoint& source, const QuantPlan& plan, const QuantOptions& options,
                 std::vector<PassRun> passes, ExpertStorage experts, ThreadPool& pool,
                 Listener& listener);

  // Runs block `layer`, the next one; what it held of the one before is gone.
  Status Run(uint64_t layer);

  WorkingBlock& block() { return *block_; }
  // The samples of a recipe with one pass; null with several or none.
  CalibrationPass* OnlyPass() {
    return passes_.size() == 1 && passes_.front().pass ? &*passes_.front().pass : nullptr;
  }
  // Null for a linear that stays float.
  CalibratedLinear* Find(std::string_view linear);
  // What was measured of a linear of the block, the float ones included: empty without
  // QuantOptions::measure.
  LinearMeasurement MeasurementOf(std::string_view linear) const;
  // Of `<attention>.k_proj` or `.v_proj`; null without a quantized cache.
  const CacheScales* CacheOf(std::string_view linear) const;
  // The static range of lm_head's input, after the last block.
  Result<QuantizationRange> HeadRange(const LinearPlan& head);

 private:
  Status RunPass(PassRun& run);
  bool StageNeedsForward(const Stage& stage, bool first) const;
  Status Forward(PassRun& run, const Stage& stage, bool advance);
  void PrepareForward(const Stage& stage);
  std::vector<float> ColumnSquares(const CalibratedLinear& linear);
  void Observe(std::string_view name, const float* x, uint64_t t, uint64_t k);
  bool NeedsSamples() const;
  void AddMoments(const CalibratedLinear& linear, const float* x, uint64_t t, uint64_t k);
  Status FinishStage(const Stage& stage);
  Status Smooth(const SmoothStep& step, size_t index);
  Status QuantizeCache(const KvCacheStep& step);
  Status SmoothCache(const KvSmoothStep& step);
  Status FinishLinear(CalibratedLinear& linear);
  Status InstallFakeWeight(CalibratedLinear& linear);
  Result<QuantizationRange> RangeOf(CalibratedLinear& linear);
  Result<ValueRange> ObservedRange(CalibratedLinear& linear);
  QuantizationRange ToQuantizationRange(const LinearPlan& linear, const ValueRange& range) const;
  enum class Moment : uint8_t { kBeforeSmoothing, kAfterSmoothing };
  void MeasureInputs(Moment moment);
  void MeasureResults();
  void WarnOfUnseen();
  std::vector<CalibratedLinear*> LinearsOf(const Stage& stage);
  DType ComputeOf(std::string_view linear) const;

  const Checkpoint& source_;
  const QuantPlan& plan_;
  const QuantOptions& options_;
  ThreadPool& pool_;
  Listener& listener_;
  std::vector<PassRun> passes_;
  ExpertStorage experts_;
  uint64_t layer_ = 0;
  std::optional<WorkingBlock> block_;
  std::optional<BlockStats> stats_;
  std::map<std::string, CalibratedLinear, std::less<>> linears_;
  std::map<std::string, CacheScales, std::less<>> caches_;
  std::map<std::string, Tensor, std::less<>> float_weights_;  // of linears that compute with codes
  std::vector<float> replaced_input_;
  std::vector<std::string> unseen_;      // linears whose range is that of the other experts
  std::vector<std::string> unsmoothed_;  // that no token reached
  // With QuantOptions::measure.
  std::map<std::string, LinearMeasurement, std::less<>> measured_;
  std::map<std::string, std::vector<float>, std::less<>> smoothed_by_;  // factors by linear
};

// An output of WorkingBlock as QuantizeLinear takes it.
WeightInput WeightsOf(const LinearRecord& weights);
// QuantizeLinear with what calibration found out, where `calibrated` is not null; its moments,
// which are needed once, are gone afterwards.
Result<LinearRecord> QuantizeCalibrated(const LinearPlan& plan, WeightInput weights,
                                        CalibratedLinear* calibrated, const QuantOptions& options,
                                        DType model_dtype, ThreadPool& pool);

}  // namespace slim
