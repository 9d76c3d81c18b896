// msModelSlim's numpy layout (save_type numpy, formats.md 5.6): one .npy file a kind of tensor,
// each an object array that is a pickled dict from names to torch tensors (or to arrays). The
// pickle is read as data (pickle.h).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/torch_file.h"

namespace slim {

// What a file of this name holds: "deq_scale" for modules' deq_scale; empty where its keys are
// whole tensor names (anti_fp_norm, kv_cache_scale, …).
std::string NpyNaming(std::string_view file_name);

// Tensors by whole names: key, then "." and `suffix` where there is one. Rules NP-… besides those
// of torch_file.h.
Result<std::vector<TorchTensor>> ReadNpyDict(const ByteSource& source, const std::string& suffix);

// The file that a tensor belongs to ("deq_scale.npy") and its key there; an empty file where the
// layout has no place for it.
struct NpyPlace {
  std::string file;
  std::string key;
};
NpyPlace NpyPlaceOf(std::string_view tensor);

// A file to be written, as numpy.load(allow_pickle=True) reads it back where torch is installed:
// `pieces` and, between them, the bytes of the tensors.
struct NpyLayout {
  std::vector<uint64_t> offsets;  // of the tensors' bytes, parallel to `specs`
  std::vector<std::pair<uint64_t, std::string>> pieces;
  uint64_t file_size = 0;
};
// `specs` have keys for names. NP-dtype for what torch's storages do not have.
Result<NpyLayout> LayOutNpy(const std::vector<TensorSpec>& specs);

}  // namespace slim
