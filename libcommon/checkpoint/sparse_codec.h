// The codec of W8A8SC and W16A16SC weights: slim's own, open bit stream behind the tensors of
// source document S003 (`weight` flat, `index`, `info`). The stream that CANN's weight_unzip reads
// is closed; this is another one, and slim_compression in a file's metadata says so
// (slim-checkpoint(5) documents it).
//
// A matrix of int8 [n, k] is padded with zeros to n1 = ⌈n/16⌉ by k1 = ⌈k/32⌉ blocks of 16 rows and
// 32 columns. A tile is 8 by 8 blocks (fewer at the edges); tiles are in the order
// tile_k · ⌈n1/8⌉ + tile_n. The bytes of a tile are its blocks, block column by block column, each
// block row-major. Each tile is one zstd frame, or stored where that is not shorter. `weight` is
// the tiles one after the other. `index` has 8 bytes a tile: u40 offset, u24 length, both
// little-endian; the top bit of the length says stored. `info` is [8, 8, k, n, 1].
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/pickle.h"
#include "tensor/tensor.h"

namespace slim {

inline constexpr std::string_view kSparseCodecKey = "slim_compression";
inline constexpr std::string_view kSparseCodecName =
    "slim-zstd-1: not the bit stream of CANN's weight_unzip; slim-convert unpacks it, an NPU does "
    "not";

// The compressed weight, tile by tile, without holding it whole.
struct SparseStream {
  ByteSource weight;
  TensorView index;
  TensorView info;
};
// Codes [row, column …] of one row: up to 32 of them, tile after tile.
using SparseRun =
    std::function<void(uint64_t row, uint64_t column, std::span<const std::byte> codes)>;
struct SparseSize {
  uint64_t n = 0;
  uint64_t k = 0;
};
// SC-info where `info` is none.
Result<SparseSize> SparseSizeOf(const TensorView& info);
// Errors as DecompressMatrix(), after some of the runs.
Status ForEachSparseRun(const SparseStream& stream, const SparseRun& run);

struct CompressedMatrix {
  Tensor weight;  // I8 [x], 0 < x
  Tensor index;   // I8 [8 · tiles]
  Tensor info;    // I64 [5]
};

// ⌈⌈k/32⌉/8⌉ · ⌈⌈n/16⌉/8⌉ · 8 (source document S003).
uint64_t SparseIndexBytes(uint64_t n, uint64_t k);

// `codes` is [n, k]. SC-not-sparse where the stream would not be shorter than n · k.
Result<CompressedMatrix> CompressMatrix(std::span<const std::byte> codes, uint64_t n, uint64_t k);

// The [n, k] codes. SC-info, SC-index, SC-padding and ZSTD-frame for anything that CompressMatrix()
// does not give.
Result<Tensor> DecompressMatrix(const TensorView& weight, const TensorView& index,
                                const TensorView& info);

}  // namespace slim
