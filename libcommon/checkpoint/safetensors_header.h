// The header of a safetensors file: parsing with every rule of the reference and more, and writing
// byte for byte as the reference crate does (order, padding). Accepts a subset of what the
// reference accepts (facts: reliability.md 2). Reads no tensor data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "dtype/dtype.h"
#include "os/file.h"
#include "tensor/shape.h"

namespace slim {

inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr size_t kMaxRank = 64;

struct HeaderTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t begin = 0;  // byte offsets relative to the end of the header
  uint64_t end = 0;
  Shape strides;  // in elements, of other containers; empty: contiguous
};

struct SafetensorsHeader {
  std::vector<HeaderTensor> tensors;  // by offset, then by name
  std::vector<std::pair<std::string, std::string>> metadata;
  uint64_t data_start = 0;  // absolute offset of the first tensor byte
  bool aligned = true;  // the header is a multiple of 8 and every tensor sits at a multiple of its
                        // element size
};

// `json` is the header text without its length; `file_size` that of the whole file. Rules ST-….
Result<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json, uint64_t file_size);
// Reads and parses the header of an open file; names foreign formats.
Result<SafetensorsHeader> ReadSafetensorsHeader(const File& file);

struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
};

// A file to be written: its header bytes (length included) and where each tensor goes. Tensors are
// ordered by descending dtype rank, then by name, whatever order `specs` has. Refuses duplicates
// and a header above the limit of readers.
struct SafetensorsLayout {
  std::string header;
  std::vector<uint64_t> offsets;  // absolute, parallel to `specs`
  uint64_t file_size = 0;
};
Result<SafetensorsLayout> LayOutSafetensors(
    const std::vector<TensorSpec>& specs,
    const std::vector<std::pair<std::string, std::string>>& metadata = {});

}  // namespace slim
