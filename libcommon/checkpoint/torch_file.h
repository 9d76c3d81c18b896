// Files of torch.save as lists of tensors: the zip container (torch 1.6 on) and the one before it.
// Pickles are read as data (pickle.h): the globals of tensors and storages are known, every other
// one is refused by name, nothing is executed. Shapes, strides and storages are checked against the
// file. Facts: ecosystem.md 1.3 I.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "checkpoint/pickle.h"
#include "dtype/dtype.h"
#include "tensor/shape.h"

namespace slim {

struct TorchTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  Shape strides;        // in elements; empty: contiguous
  uint64_t offset = 0;  // of its first element in the source
  uint64_t extent = 0;  // bytes from there to the end of its last element
};

struct TorchFile {
  std::vector<TorchTensor> tensors;   // in the order of the dict
  std::vector<std::string> left_out;  // keys whose values are no tensors
  std::vector<std::string> tied;      // "a is b": tensors that share their bytes
};

// A dict of tensors, as model.state_dict() gives one, or {"state_dict": such a dict}; a tensor by
// itself has no name. Rules PT-…
// besides those of pickle.h and zip.h.
Result<TorchFile> ReadTorchFile(const ByteSource& source);

// The elements of a view, `width` bytes each, from number `first` on in row-major order until `to`
// is full: `view` begins with element 0 and reaches to the last that the strides lead to.
void GatherStrided(std::span<const std::byte> view, const Shape& shape, const Shape& strides,
                   uint64_t width, uint64_t first, std::span<std::byte> to);

// Where the tensors of a pickle that was made outside of torch.save have their bytes: each storage
// is a whole legacy file inside of it (torch.storage._load_from_bytes). `node` is the value.
Result<TorchTensor> ReadPickledTensor(const ByteSource& source, const Pickle& pickle,
                                      const PickleNode& node);
// "torch.FloatStorage"; empty where torch has none.
std::string_view TorchStorageOf(DType dtype);
// The globals of torch that may occur in either.
bool IsTorchGlobal(std::string_view global);

}  // namespace slim
