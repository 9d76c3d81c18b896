// msModelSlim's numpy layout (save_type numpy, formats.md 5.6): one .npy file a kind of tensor,
// each an object array that is a pickled dict from names to torch tensors (or to arrays). The
// pickle is read as data (pickle.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/torch_file.h"

namespace slim {

// What a file of this name holds: "deq_scale" for modules' deq_scale; empty where its keys are
// whole tensor names (anti_fp_norm, kv_cache_scale, …).
std::string NpyNaming(std::string_view file_name);

// Tensors by whole names: key, then "." and `suffix` where there is one. Rules NP-… besides those
// of torch_file.h.
Result<std::vector<TorchTensor>> ReadNpyDict(const ByteSource& source, const std::string& suffix);

}  // namespace slim
