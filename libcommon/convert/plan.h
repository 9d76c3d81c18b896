// What a conversion would do, tensor by tensor, decided before a byte is written: names, labels,
// dtypes, shards, copies of norms, config.json, side files, and the loss class. Reads headers, and
// tensor data only where values decide (copies that must be equal, --dtype). Writes nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/layer_reader.h"
#include "checkpoint/side_files.h"
#include "convert/config_edit.h"
#include "convert/edges.h"
#include "convert/layer_target.h"
#include "convert/repair.h"
#include "convert/tensor_plan.h"
#include "parallel/thread_pool.h"

namespace slim {

struct ConvertOptions {
  Dialect to = Dialect::kAscendV1;
  // Float tensors, deq_scale and torch_dtype; kF32 only with `dequantize`.
  std::optional<DType> dtype;
  bool dequantize = false;  // codes times scales as a float checkpoint; `to` is kHf
  bool allow_loss = false;
  bool measure = false;     // plan with the loss of every layer known: reads what is lossy
  bool keep_extra = false;  // code and unknown side files, too
  uint64_t part_size = 0;   // bytes; 0 keeps the source's sharding where the target allows it
  uint64_t max_memory = 0;  // bytes; 0: what the largest tensor needs
  // --for: what this loader would stumble over is repaired, and the output judged for it.
  std::optional<LoaderTarget> loader = {};
  bool same_dialect = false;  // no --to: the source's dialect where the loader reads it
};

// One layer of a conversion by layers.
struct LayerWork {
  const LogicalLayer* layer = nullptr;  // of ConvertPlan::reader
  LayerPlan plan;
  std::vector<size_t> tensors;  // positions in ConvertPlan::tensors, parallel to plan.outputs
};

struct ConvertPlan {
  std::string input;
  Dialect from = Dialect::kHf;
  Dialect to = Dialect::kHf;
  std::string quant_type;  // model_quant_type of the output
  LossClass loss = LossClass::kExact;
  std::vector<TensorPlan> tensors;  // in the order of the output's description
  std::vector<TensorPlan> dropped;
  WritePlan write;
  EditedConfig config;
  SideFileChoice side_files;
  std::vector<MadeFile> made_files;  // that the source's container carries
  std::vector<Repair> repairs;
  std::vector<std::string> notes;
  uint64_t budget = 0;  // bytes of tensors in flight together
  // Conversions by layers only; the reader needs the source.
  std::shared_ptr<const LayerReader> reader;
  std::shared_ptr<const LayerTarget> target;
  std::vector<LayerWork> layers;
  bool dequantize = false;
  bool measured = false;  // losses are what was found, not what could be

  uint64_t bytes() const { return write.TotalBytes(); }
  uint32_t Unchanged() const;                // tensors that are plain copies
  const TensorPlan* WorstTensor() const;     // largest relative error; null when all is exact
  const TensorPlan* NoisiestTensor() const;  // lowest sqnr_db; null where nothing has one
};

// Errors: CV-… for what does not pass the edge, always with the tensor; NORM-copy-differs;
// IN-missing without config.json; CK-missing-label and CK-missing-tensor where weights and
// description disagree. A lossy plan is no error: Convert() asks for allow_loss.
Result<ConvertPlan> PlanConversion(const Checkpoint& source, const ConvertOptions& options,
                                   ThreadPool& pool, Listener& listener);

// A source as a conversion reads it: with options.loader judged, its description and config.json
// amended, and options.to settled where options.same_dialect leaves it open.
struct ConvertSource {
  Checkpoint checkpoint;
  ConvertOptions options;
  std::optional<Repairs> repairs;  // with a loader
};
Result<ConvertSource> OpenConvertSource(const std::string& path, const ConvertOptions& options,
                                        int threads, Listener& listener);
// The same with the repairs of the source, which end up in the plan. Errors besides: LD-… for what
// the values do not allow to repair.
Result<ConvertPlan> PlanConversion(const ConvertSource& source, ThreadPool& pool,
                                   Listener& listener);

}  // namespace slim
