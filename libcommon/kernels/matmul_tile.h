// How matrix products are cut: tiles of consecutive weight rows that fit in the second-level cache,
// one tile a chunk of work. Internal to kernels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace slim {

struct WeightTile {
  const std::byte* data;
  uint64_t rows;
  uint64_t stride;  // bytes from one row to the next
};

// A multiple of 12, which every block width divides, so that only the last tile has odd columns; at
// most 512 KiB of float32. Elements do not depend on the tile they are in, so the count of threads
// may.
inline uint64_t TileRows(uint64_t n, uint64_t k, int threads) {
  constexpr uint64_t kUnit = 12;
  constexpr uint64_t kFloats = (uint64_t{512} << 10) / sizeof(float);
  const uint64_t fitting = kFloats / std::max<uint64_t>(k, 1);
  // At least some chunks for every thread, where there are rows enough.
  const uint64_t fair = n / (static_cast<uint64_t>(threads) * 4);
  const uint64_t rows = std::clamp<uint64_t>(std::min(fitting, fair), kUnit, 1024);
  return rows / kUnit * kUnit;
}

}  // namespace slim
