#include "kernels/packed_matmul.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "kernels/bf16_panel.h"
#include "kernels/convert.h"
#include "kernels/float_panel.h"
#include "kernels/int8_panel.h"
#include "kernels/reduce.h"

namespace slim {
namespace {

// Columns of x whose sums are made at a time where they are floats, whole steps of a panel: a block
// of rows and a panel then fit in the second-level cache.
constexpr uint64_t kSliceColumns = 1024;
// Weights that a chunk of work takes every block of its rows through: a quarter of that cache.
constexpr uint64_t kTileBytes = uint64_t{256} << 10;
// Blocks of rows of a chunk; enough to pay for fetching the weights anew.
constexpr uint64_t kBlocksInChunk = 11;
// Chunks a thread, so that the last ones to end do not keep the others waiting for long.
constexpr uint64_t kChunksOfThread = 8;

// How t rows and the panels of w are cut into chunks of work. Elements do not depend on it.
struct Cut {
  uint64_t block_rows;
  uint64_t blocks;
  uint64_t row_chunks;  // of kBlocksInChunk blocks
  uint64_t panels;
  uint64_t tile_panels;
  uint64_t tiles;

  // `panel_bytes` of a panel are used at a time.
  Cut(uint64_t t, uint64_t most_rows, const PackedMatrix& w, uint64_t panel_bytes, int threads)
      : block_rows(most_rows),
        blocks((t + most_rows - 1) / most_rows),
        row_chunks((blocks + kBlocksInChunk - 1) / kBlocksInChunk),
        panels(w.panels()) {
    const uint64_t chunks = static_cast<uint64_t>(threads) * kChunksOfThread;
    const uint64_t fitting = kTileBytes / std::max<uint64_t>(panel_bytes, 1);
    const uint64_t fair = panels * row_chunks / chunks;
    tile_panels = std::max<uint64_t>(1, std::min(fitting, fair));
    tiles = (panels + tile_panels - 1) / tile_panels;
  }

  // Calls work(first block, its end, first panel, its end) for every chunk.
  template <class Work>
  void ForChunks(ThreadPool& pool, const Work& work) const {
    pool.ParallelFor(row_chunks * tiles, 1, [&](uint64_t begin, uint64_t end) {
      for (uint64_t i = begin; i < end; ++i) {
        const uint64_t block = i / tiles * kBlocksInChunk;
        const uint64_t panel = i % tiles * tile_panels;
        work(block, std::min(blocks, block + kBlocksInChunk), panel,
             std::min(panels, panel + tile_panels));
      }
    });
  }
};

// Sums of one block of rows with panels first .. end - 1, in `sums`.
Int8Sums MultiplyBlock(const Int8Kernels& kernels, const PackedCodes& x, const PackedMatrix& w,
                       uint64_t row, uint64_t rows, uint64_t first, uint64_t end,
                       std::vector<int32_t>& sums) {
  const uint64_t stride = (end - first) * kPanelColumns;
  sums.resize(rows * stride);
  if (w.k == 0) std::fill(sums.begin(), sums.end(), 0);  // there is no panel to point into
  for (uint64_t panel = first; panel < end && w.k > 0; ++panel) {
    kernels.multiply({x.block(row), rows, w.panel(panel), w.steps(), x.starts(row),
                      sums.data() + (panel - first) * kPanelColumns, stride});
  }
  const uint64_t column = first * kPanelColumns;
  return {sums.data(), stride, row, rows, column, std::min(w.n, end * kPanelColumns) - column};
}

// What a thread sums blocks in; kept, so that a call allocates nothing.
std::vector<int32_t>& SumsOfThread(size_t index) {
  thread_local std::vector<int32_t> sums[2];
  return sums[index];
}

// Calls work(row, rows, first panel, its end) for every block of x's rows and tile of panels.
// `matrices` of w's shape go through the cache together.
template <class Work>
void ForInt8Blocks(const PackedCodes& x, const PackedMatrix& w, uint64_t matrices, ThreadPool& pool,
                   const Work& work) {
  assert(w.dtype == DType::kI8 && w.k <= (uint64_t{1} << 16) && w.k == x.k());
  const Cut cut(x.t(), ChooseInt8Kernels().most_rows, w, w.panel_bytes() * matrices,
                pool.threads());
  cut.ForChunks(pool, [&](uint64_t block, uint64_t last, uint64_t first, uint64_t end) {
    for (; block < last; ++block) {
      const uint64_t row = block * cut.block_rows;
      work(row, std::min(cut.block_rows, x.t() - row), first, end);
    }
  });
}

// Calls multiply(panel, y at its first column, distance of y's rows) for panels first .. end - 1. y
// has w.n columns; of the last panel, which may have more, those it has are copied. `add`: what y
// holds counts.
template <class Multiply>
void ForPanels(const PackedMatrix& w, uint64_t rows, uint64_t first, uint64_t end, bool add,
               float* y, const Multiply& multiply) {
  thread_local std::vector<float> wide;
  for (uint64_t panel = first; panel < end; ++panel) {
    const uint64_t column = panel * kPanelColumns;
    const uint64_t columns = std::min(kPanelColumns, w.n - column);
    if (columns == kPanelColumns) {
      multiply(panel, y + column, w.n);
      continue;
    }
    wide.resize(rows * kPanelColumns);
    const auto copy = [&](const float* from, uint64_t from_stride, float* to, uint64_t to_stride) {
      for (uint64_t r = 0; r < rows; ++r)
        std::copy_n(from + r * from_stride, columns, to + r * to_stride);
    };
    if (add) copy(y + column, w.n, wide.data(), kPanelColumns);
    multiply(panel, wide.data(), kPanelColumns);
    copy(wide.data(), kPanelColumns, y + column, w.n);
  }
}

// As many rows of floats, x packed, and `count` columns of x from k on.
void MultiplyBlock(const float* x, const PackedMatrix& w, uint64_t rows, uint64_t k, uint64_t count,
                   uint64_t first, uint64_t end, float* y) {
  ForPanels(w, rows, first, end, k > 0, y, [&](uint64_t panel, float* to, uint64_t stride) {
    MultiplyPanel(w.dtype,
                  {x + k * rows, rows, w.panel(panel) + w.bytes_of(k), count, k > 0, to, stride});
  });
}

// x [t, w.k] as bf16, packed in blocks of rows.
void PackBf16(const float* x, uint64_t t, const PackedMatrix& w, const Bf16Kernels& kernels,
              ThreadPool& pool, std::vector<std::byte>& packed) {
  const uint64_t row_bytes = w.steps() * kernels.step_bytes;
  packed.resize(t * row_bytes);
  const uint64_t blocks = (t + kernels.most_rows - 1) / kernels.most_rows;
  pool.ParallelFor(blocks, 1, [&](uint64_t begin, uint64_t end) {
    thread_local std::vector<std::byte> narrow;
    narrow.resize(kernels.most_rows * w.k * 2);
    for (uint64_t i = begin; i < end; ++i) {
      const uint64_t row = i * kernels.most_rows;
      const uint64_t rows = std::min(kernels.most_rows, t - row);
      FromFloat(DType::kBF16, x + row * w.k, narrow.data(), rows * w.k);
      kernels.pack(narrow.data(), rows, w.k * 2, packed.data() + row * row_bytes);
    }
  });
}

}  // namespace

void PackedCodes::Pack(uint64_t t, uint64_t k, const CodesOfRows& codes_of, ThreadPool& pool) {
  const Int8Kernels& kernels = ChooseInt8Kernels();
  t_ = t;
  k_ = k;
  row_bytes_ = (k + 3) / 4 * kernels.step_bytes;
  steps_.resize(t * row_bytes_);
  starts_.resize(t);
  const uint64_t block_rows = kernels.most_rows;
  const uint64_t grain = std::max<uint64_t>(1, 8192 / (block_rows * row_bytes_ + 1));
  pool.ParallelFor((t + block_rows - 1) / block_rows, grain, [&](uint64_t begin, uint64_t end) {
    thread_local std::vector<int8_t> codes;
    codes.resize(block_rows * k);
    for (uint64_t i = begin; i < end; ++i) {
      const uint64_t row = i * block_rows;
      const uint64_t rows = std::min(block_rows, t - row);
      codes_of(row, rows, codes.data());
      kernels.pack(reinterpret_cast<const std::byte*>(codes.data()), rows, k,
                   steps_.data() + row * row_bytes_);
      for (uint64_t r = 0; r < rows; ++r)
        starts_[row + r] = -kCodeShift * SumInt8(codes.data() + r * k, k);
    }
  });
}

void PackedCodes::Pack(const int8_t* x, uint64_t t, uint64_t k, ThreadPool& pool) {
  const auto copy = [&](uint64_t row, uint64_t rows, int8_t* codes) {
    std::copy_n(x + row * k, rows * k, codes);
  };
  Pack(t, k, copy, pool);
}

void MatMulInt8Packed(const PackedCodes& x, const PackedMatrix& w, ThreadPool& pool,
                      const Int8SumsVisitor& visit) {
  const Int8Kernels& kernels = ChooseInt8Kernels();
  ForInt8Blocks(x, w, 1, pool, [&](uint64_t row, uint64_t rows, uint64_t first, uint64_t end) {
    visit(MultiplyBlock(kernels, x, w, row, rows, first, end, SumsOfThread(0)));
  });
}

void MatMulInt8PackedPair(const PackedCodes& x, const PackedMatrix& first,
                          const PackedMatrix& second, ThreadPool& pool,
                          const Int8SumsPairVisitor& visit) {
  assert(first.n == second.n && first.k == second.k);
  const Int8Kernels& kernels = ChooseInt8Kernels();
  ForInt8Blocks(x, first, 2, pool, [&](uint64_t row, uint64_t rows, uint64_t begin, uint64_t end) {
    const Int8Sums sums = MultiplyBlock(kernels, x, first, row, rows, begin, end, SumsOfThread(0));
    visit(sums, MultiplyBlock(kernels, x, second, row, rows, begin, end, SumsOfThread(1)));
  });
}

void MatMulInt8(const int8_t* x, uint64_t t, const int8_t* w, uint64_t n, uint64_t k, int32_t* y,
                ThreadPool& pool) {
  const PackedMatrix packed =
      PackMatrix(DType::kI8, n, k, reinterpret_cast<const std::byte*>(w), k);
  thread_local PackedCodes codes;
  codes.Pack(x, t, k, pool);
  MatMulInt8Packed(codes, packed, pool, [&](const Int8Sums& block) {
    for (uint64_t i = 0; i < block.rows; ++i)
      std::copy_n(block.sums + i * block.stride, block.columns,
                  y + (block.row + i) * n + block.column);
  });
}

void MatMulPacked(const float* x, uint64_t t, const PackedMatrix& w, float* y, ThreadPool& pool) {
  assert(w.dtype != DType::kI8);
  if (w.k == 0) {
    std::fill_n(y, t * w.n, 0.0F);
    return;
  }
  thread_local std::vector<float> packed_of_thread;
  const uint64_t slice = std::min(kSliceColumns, w.k);
  const Cut cut(t, MostPanelRows(), w, std::min(w.bytes_of(kSliceColumns), w.panel_bytes()),
                pool.threads());
  packed_of_thread.resize(t * w.k);
  float* const packed = packed_of_thread.data();
  pool.ParallelFor(cut.blocks, 1, [&](uint64_t begin, uint64_t end) {
    for (uint64_t i = begin; i < end; ++i) {
      const uint64_t row = i * cut.block_rows;
      PackRows(x + row * w.k, std::min(cut.block_rows, t - row), w.k, packed + row * w.k);
    }
  });
  cut.ForChunks(pool, [&](uint64_t block, uint64_t last, uint64_t first, uint64_t end) {
    for (uint64_t k = 0; k < w.k; k += slice) {
      const uint64_t count = std::min(slice, w.k - k);
      for (uint64_t b = block; b < last; ++b) {
        const uint64_t row = b * cut.block_rows;
        MultiplyBlock(packed + row * w.k, w, std::min(cut.block_rows, t - row), k, count, first,
                      end, y + row * w.n);
      }
    }
  });
}

void MatMulBf16(const float* x, uint64_t t, const PackedMatrix& w, float* y, ThreadPool& pool) {
  assert(w.dtype == DType::kBF16);
  const Bf16Kernels* const kernels = FindBf16Kernels();
  if (kernels == nullptr || w.k == 0) {
    thread_local std::vector<float> rounded;
    rounded.assign(x, x + t * w.k);
    RoundToDType(DType::kBF16, rounded.data(), rounded.size());
    return MatMulPacked(rounded.data(), t, w, y, pool);
  }
  thread_local std::vector<std::byte> packed_of_thread;
  PackBf16(x, t, w, *kernels, pool, packed_of_thread);
  const std::byte* const packed = packed_of_thread.data();
  const uint64_t row_bytes = w.steps() * kernels->step_bytes;
  const std::vector<float> zeros(kernels->most_rows);
  const Cut cut(t, kernels->most_rows, w, w.panel_bytes(), pool.threads());
  cut.ForChunks(pool, [&](uint64_t block, uint64_t last, uint64_t first, uint64_t end) {
    for (; block < last; ++block) {
      const uint64_t row = block * cut.block_rows;
      const uint64_t rows = std::min(cut.block_rows, t - row);
      const auto multiply = [&](uint64_t panel, float* to, uint64_t stride) {
        kernels->multiply(
            {packed + row * row_bytes, rows, w.panel(panel), w.steps(), zeros.data(), to, stride});
      };
      ForPanels(w, rows, first, end, false, y + row * w.n, multiply);
    }
  });
}

}  // namespace slim
