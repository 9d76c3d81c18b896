#include "checkpoint/sparse_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bytes.h"
#include "base/checked.h"
#include "os/compress.h"

namespace slim {
namespace {

constexpr uint64_t kRows = 16;     // of a block
constexpr uint64_t kColumns = 32;  // of a block
constexpr uint64_t kBlockBytes = kRows * kColumns;
constexpr uint64_t kTileBlocks = 8;  // in each direction
constexpr uint64_t kTileBytes = kTileBlocks * kTileBlocks * kBlockBytes;
constexpr int kLevel = 6;
constexpr uint64_t kStored = 1ULL << 23;
constexpr uint64_t kLargestDimension = 1ULL << 28;

struct Grid {
  uint64_t n = 0;
  uint64_t k = 0;
  uint64_t blocks_n() const { return CeilDiv(n, kRows); }
  uint64_t blocks_k() const { return CeilDiv(k, kColumns); }
  uint64_t tiles_n() const { return CeilDiv(blocks_n(), kTileBlocks); }
  uint64_t tiles() const { return tiles_n() * CeilDiv(blocks_k(), kTileBlocks); }
};

// fn(row, column, at): the 32 columns from (row, column) of the matrix are at `at` of the tile.
template <class Fn>
uint64_t ForEachRun(const Grid& grid, uint64_t tile, const Fn& fn) {
  const uint64_t first_k = tile / grid.tiles_n() * kTileBlocks;
  const uint64_t first_n = tile % grid.tiles_n() * kTileBlocks;
  uint64_t at = 0;
  for (uint64_t bk = first_k; bk < std::min(first_k + kTileBlocks, grid.blocks_k()); ++bk) {
    for (uint64_t bn = first_n; bn < std::min(first_n + kTileBlocks, grid.blocks_n()); ++bn) {
      for (uint64_t row = bn * kRows; row < (bn + 1) * kRows; ++row, at += kColumns) {
        if (row < grid.n) fn(row, bk * kColumns, at);
      }
    }
  }
  return at;
}

Error BadIndex(uint64_t tile, std::string_view what) {
  return InputError("SC-index", fmt::format("entry {} {}", tile, what),
                    "compress the checkpoint again; a stream made for an NPU cannot be unpacked");
}

Result<Grid> GridOf(const TensorView& info) {
  const bool form = info.dtype == DType::kI64 && info.elements() == 5;
  std::array<int64_t, 5> values{};
  for (size_t i = 0; form && i < values.size(); ++i)
    values[i] = LoadLe<int64_t>(info.bytes.data() + i * 8);
  const auto size = [](int64_t v) {
    return v > 0 && static_cast<uint64_t>(v) <= kLargestDimension;
  };
  if (form && values[0] == kTileBlocks && values[1] == kTileBlocks && size(values[2]) &&
      size(values[3]) && values[4] == 1) {
    return Grid{static_cast<uint64_t>(values[3]), static_cast<uint64_t>(values[2])};
  }
  return InputError("SC-info", "is not [8, 8, k, n, 1] in I64");
}

// What fills the last blocks of the matrix, where they go beyond it.
bool PaddingIsZero(const Grid& grid, uint64_t tile, std::span<const std::byte> bytes) {
  const bool whole = grid.n % kRows == 0 && grid.k % kColumns == 0;
  if (whole) return true;
  std::vector<bool> inside(bytes.size());
  ForEachRun(grid, tile, [&](uint64_t, uint64_t column, uint64_t at) {
    std::fill_n(inside.begin() + static_cast<int64_t>(at), std::min(kColumns, grid.k - column),
                true);
  });
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (!inside[i] && bytes[i] != std::byte{0}) return false;
  }
  return true;
}

// `tile_bytes` has room for the frame and, behind it, for the tile.
Result<std::span<const std::byte>> UnpackTile(const Grid& grid, uint64_t tile,
                                              const ByteSource& stream, uint64_t entry,
                                              std::span<std::byte> tile_bytes) {
  const uint64_t offset = entry & ((1ULL << 40) - 1);
  const uint64_t length = (entry >> 40) & (kStored - 1);
  const bool stored = ((entry >> 40) & kStored) != 0;
  if (offset > stream.size || length > stream.size - offset)
    return BadIndex(tile, "points beyond the weight");
  const uint64_t size = ForEachRun(grid, tile, [](uint64_t, uint64_t, uint64_t) {});
  const auto unpacked = tile_bytes.last(kTileBytes).first(size);
  if (stored ? length != size : length >= size) return BadIndex(tile, "has a wrong length");
  if (stored) {
    SLIM_TRY(stream.read(unpacked, offset));
  } else {
    const auto frame = tile_bytes.first(length);
    SLIM_TRY(stream.read(frame, offset));
    SLIM_TRY(ZstdDecompress(frame, unpacked));
  }
  if (!PaddingIsZero(grid, tile, unpacked))
    return InputError("SC-padding", fmt::format("tile {} has something beside the matrix", tile));
  return std::span<const std::byte>(unpacked);
}

}  // namespace

uint64_t SparseIndexBytes(uint64_t n, uint64_t k) { return Grid{n, k}.tiles() * 8; }

Result<CompressedMatrix> CompressMatrix(std::span<const std::byte> codes, uint64_t n, uint64_t k) {
  const Grid grid{n, k};
  std::vector<std::byte> stream;
  CompressedMatrix out;
  out.index = Tensor(DType::kI8, {SparseIndexBytes(n, k)});
  std::vector<std::byte> tile_bytes(kTileBytes);
  for (uint64_t tile = 0; tile < grid.tiles(); ++tile) {
    std::fill(tile_bytes.begin(), tile_bytes.end(), std::byte{0});
    const uint64_t size = ForEachRun(grid, tile, [&](uint64_t row, uint64_t column, uint64_t at) {
      std::memcpy(tile_bytes.data() + at, codes.data() + row * k + column,
                  std::min(kColumns, k - column));
    });
    const auto plain = std::span<const std::byte>(tile_bytes).first(size);
    SLIM_ASSIGN(const std::vector<std::byte> frame, ZstdCompress(plain, kLevel));
    const bool stored = frame.size() >= size;
    const auto chosen = stored ? plain : std::span<const std::byte>(frame);
    const uint64_t length = chosen.size() | (stored ? kStored : 0);
    StoreLe(out.index.data.data() + tile * 8, static_cast<uint64_t>(stream.size()) | length << 40);
    stream.insert(stream.end(), chosen.begin(), chosen.end());
    if (stream.size() >= n * k) {
      return InputError("SC-not-sparse",
                        fmt::format("does not get shorter than its {} bytes by compression", n * k),
                        "only sparse weights are worth it: keep the checkpoint as it is");
    }
  }
  out.weight = Tensor(DType::kI8, {stream.size()});
  std::memcpy(out.weight.data.data(), stream.data(), stream.size());
  out.info = Tensor(DType::kI64, {5});
  const std::array<uint64_t, 5> info = {kTileBlocks, kTileBlocks, k, n, 1};
  for (size_t i = 0; i < info.size(); ++i)
    StoreLe(out.info.data.data() + i * 8, static_cast<int64_t>(info[i]));
  return out;
}

Result<SparseSize> SparseSizeOf(const TensorView& info) {
  SLIM_ASSIGN(const Grid grid, GridOf(info));
  return SparseSize{grid.n, grid.k};
}

Status ForEachSparseRun(const SparseStream& stream, const SparseRun& run) {
  SLIM_ASSIGN(const Grid grid, GridOf(stream.info));
  if (stream.index.bytes.size() != SparseIndexBytes(grid.n, grid.k)) {
    return InputError("SC-index", fmt::format("has {} bytes, wanted {} for a matrix of [{}, {}]",
                                              stream.index.bytes.size(),
                                              SparseIndexBytes(grid.n, grid.k), grid.n, grid.k));
  }
  std::vector<std::byte> tile_bytes(2 * kTileBytes);
  for (uint64_t tile = 0; tile < grid.tiles(); ++tile) {
    SLIM_ASSIGN(const auto unpacked,
                UnpackTile(grid, tile, stream.weight,
                           LoadLe<uint64_t>(stream.index.bytes.data() + tile * 8), tile_bytes));
    ForEachRun(grid, tile, [&](uint64_t row, uint64_t column, uint64_t at) {
      run(row, column, unpacked.subspan(at, std::min(kColumns, grid.k - column)));
    });
  }
  return {};
}

Result<Tensor> DecompressMatrix(const TensorView& weight, const TensorView& index,
                                const TensorView& info) {
  SLIM_ASSIGN(const auto extent, SparseSizeOf(info));
  const uint64_t size = extent.n * extent.k;  // both at most kLargestDimension
  // A frame cannot unpack to more than this times its size: nothing is allocated for a lie.
  constexpr uint64_t kLargestRatio = 40'000;
  if (size / kLargestRatio > weight.bytes.size())
    return InputError("SC-info", "promises more bytes than the weight can hold");
  Tensor codes(DType::kI8, {extent.n, extent.k});
  SLIM_TRY(ForEachSparseRun({ByteSource::Of(weight.bytes), index, info},
                            [&](uint64_t row, uint64_t column, std::span<const std::byte> run) {
                              std::memcpy(codes.data.data() + row * extent.k + column, run.data(),
                                          run.size());
                            }));
  return codes;
}

}  // namespace slim
