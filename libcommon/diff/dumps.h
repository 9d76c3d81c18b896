// Two saved outputs against each other, tensor by tensor: safetensors files, folders of them as
// slim-run --dump-layers writes, and the folders of msit's dumps (.npy, .pth, ATB's .bin). Reads
// one pair of tensors at a time; runs nothing.
//
// Figures and column names are those of `msit llm compare` (msit_llm/compare/cmp_utils.py,
// components/utils/cmp_algorithm.py): relative errors where |golden| > 2^-23, the divergence of the
// softmax over the whole tensor. Ours are float64.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/listener.h"
#include "base/result.h"
#include "diff/lock_step.h"
#include "tensor/tensor.h"

namespace slim {

// A file that a tensor of a dump is in, and what it is called in both dumps: the path from the
// number of the call on ("0/root.model.layers.3/output"), or the tensor's name.
struct DumpEntry {
  std::string key;
  std::string path;
  std::string tensor;  // in a safetensors file
  uint64_t token_id = 0;
};

struct DumpSide {
  std::string path;  // of the file
  DType dtype = DType::kF32;
  Shape shape;
  double max = 0;
  double min = 0;
  double mean = 0;
};

struct DumpFigures {
  double cosine_similarity = 0;
  double max_relative_error = 0;
  double mean_relative_error = 0;
  double max_absolute_error = 0;
  double mean_absolute_error = 0;
  double kl_divergence = 0;
  double relative_euclidean_distance = 0;
};

struct DumpRow {
  std::string key;
  uint64_t token_id = 0;
  uint64_t data_id = 0;
  std::optional<DumpSide> golden;
  std::optional<DumpSide> mine;
  std::optional<DumpFigures> figures;
  std::string fail_reason;  // why there are none
};

struct DumpReport {
  std::string first;
  std::string second;
  std::vector<DumpRow> rows;  // in the order of the first, then what only the second has
  uint64_t Failed() const;
};

// A .safetensors file, or a directory with tensors and no config.json.
bool LooksLikeDump(const std::string& path);

// DIFF-dump-empty when either has no tensor that slim reads, or no key is in both.
Result<DumpReport> CompareDumps(const std::string& first, const std::string& second,
                                Listener& listener);

// What slim-run --logits wrote; nothing when it is another file.
struct SavedLogits {
  std::vector<int32_t> ids;
  Tensor logits;  // F32 [tokens, vocabulary]
};
Result<std::optional<SavedLogits>> ReadSavedLogits(const std::string& path);

// The comparison of two such files, as of two models. DIFF-dump-tokens when they are of different
// tokens, DIFF-vocabulary when the rows differ in width.
Status CompareSavedLogits(const std::string& first, const std::string& second,
                          const SavedLogits& golden, const SavedLogits& mine,
                          LogitComparison& comparison, Listener& listener);

}  // namespace slim
