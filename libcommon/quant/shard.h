// A quantization split over several runs without MPI: `--shard I/N` makes the I-th part of a
// data-free one, MergeShards() joins the parts to the bytes of one run. A part is a directory with
// its tensors in model.safetensors, the side files, and slim_shard.json
// (schemas/shard.schema.json), which holds the plan of the whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "checkpoint/checkpoint_writer.h"
#include "convert/receipt.h"
#include "json/json.h"
#include "os/output.h"

namespace slim {

inline constexpr std::string_view kShardFileName = "slim_shard.json";

// I of N, from 1; 1 of 1 is the whole.
struct ShardOf {
  uint64_t index = 1;
  uint64_t count = 1;

  bool whole() const { return count == 1; }
  // Modules are dealt out in turn.
  bool Owns(uint64_t module) const { return module % count == index - 1; }
};

// "2/4". Errors: kUsage.
Result<ShardOf> ParseShard(std::string_view text);

// The plan of a part: its tensors alone, in one plain safetensors file.
WritePlan PartPlan(const WritePlan& whole, const std::vector<std::string>& tensors);

// slim_shard.json.
Json ShardJson(const ShardOf& shard, const WritePlan& whole, const Receipt& receipt);

struct MergeSummary {
  std::string output;
  uint64_t parts = 0;
  uint64_t tensors = 0;
  uint64_t bytes = 0;
};

// Errors: MERGE-part (no part, or damaged), MERGE-other (parts of different runs), MERGE-missing (a
// part or a tensor is not there), MERGE-twice.
Result<MergeSummary> MergeShards(const std::vector<std::string>& parts, const std::string& output,
                                 const OutputOptions& options, int threads, Listener& listener);

}  // namespace slim
