#include "kernels/packed_matmul.h"

#include <algorithm>
#include <cassert>
#include <vector>

#include "kernels/float_panel.h"
#include "kernels/int8_panel.h"
#include "kernels/reduce.h"

namespace slim {
namespace {

// Columns of x whose sums are made at a time where they are floats: a block of rows and a panel
// then fit in the second-level cache.
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

// Codes of x as Int8Kernels wants them, block after block, and what their sums start from.
struct PackedCodes {
  std::vector<std::byte> steps;
  std::vector<int32_t> starts;

  void Pack(const int8_t* x, uint64_t t, uint64_t k, const Int8Kernels& kernels, const Cut& cut,
            ThreadPool& pool) {
    const uint64_t row_bytes = (k + 3) / 4 * kernels.step_bytes;
    steps.resize(t * row_bytes);
    starts.resize(t);
    pool.ParallelFor(cut.blocks, std::max<uint64_t>(1, 8192 / (cut.block_rows * row_bytes + 1)),
                     [&](uint64_t begin, uint64_t end) {
                       for (uint64_t i = begin; i < end; ++i) {
                         const uint64_t row = i * cut.block_rows;
                         const uint64_t rows = std::min(cut.block_rows, t - row);
                         kernels.pack(x + row * k, rows, k, steps.data() + row * row_bytes);
                         for (uint64_t r = row; r < row + rows; ++r)
                           starts[r] = -kCodeShift * SumInt8(x + r * k, k);
                       }
                     });
  }
};

// Sums of one block of rows with panels first .. end - 1, given to `visit`.
void MultiplyBlock(const Int8Kernels& kernels, const PackedCodes& codes, const PackedMatrix& w,
                   uint64_t row, uint64_t rows, uint64_t first, uint64_t end,
                   const Int8SumsVisitor& visit) {
  thread_local std::vector<int32_t> sums;  // kept, so that a call allocates nothing
  const uint64_t stride = (end - first) * kPanelColumns;
  sums.resize(rows * stride);
  const std::byte* const x = codes.steps.data() + row * w.steps() * kernels.step_bytes;
  for (uint64_t panel = first; panel < end; ++panel) {
    kernels.multiply({x, rows, w.panel(panel), w.steps(), codes.starts.data() + row,
                      sums.data() + (panel - first) * kPanelColumns, stride});
  }
  const uint64_t column = first * kPanelColumns;
  visit({sums.data(), stride, row, rows, column, std::min(w.n, end * kPanelColumns) - column});
}

// As many rows of floats, x packed, and `count` columns of x from k on; y has n columns, the last
// panel may have more.
void MultiplyBlock(const float* x, const PackedMatrix& w, uint64_t rows, uint64_t k, uint64_t count,
                   uint64_t first, uint64_t end, float* y) {
  thread_local std::vector<float> wide;
  const uint64_t step = w.step_bytes() * kPanelColumns;
  for (uint64_t panel = first; panel < end; ++panel) {
    const uint64_t column = panel * kPanelColumns;
    const uint64_t columns = std::min(kPanelColumns, w.n - column);
    FloatPanel job{x + k * rows, rows, w.panel(panel) + k * step, count, k > 0, y + column, w.n};
    if (columns == kPanelColumns) {
      MultiplyPanel(w.dtype, job);
      continue;
    }
    wide.resize(rows * kPanelColumns);
    job.y = wide.data();
    job.y_stride = kPanelColumns;
    const auto copy = [&](const float* from, uint64_t from_stride, float* to, uint64_t to_stride) {
      for (uint64_t r = 0; r < rows; ++r)
        std::copy_n(from + r * from_stride, columns, to + r * to_stride);
    };
    if (job.add) copy(y + column, w.n, wide.data(), kPanelColumns);
    MultiplyPanel(w.dtype, job);
    copy(wide.data(), kPanelColumns, y + column, w.n);
  }
}

}  // namespace

void MatMulInt8Packed(const int8_t* x, uint64_t t, const PackedMatrix& w, ThreadPool& pool,
                      const Int8SumsVisitor& visit) {
  assert(w.dtype == DType::kI8 && w.k <= (uint64_t{1} << 16));
  if (w.k == 0) {
    const std::vector<int32_t> zeros(w.n);
    visit({zeros.data(), 0, 0, t, 0, w.n});
    return;
  }
  thread_local PackedCodes codes_of_thread;
  const PackedCodes& codes = codes_of_thread;
  const Int8Kernels& kernels = ChooseInt8Kernels();
  const Cut cut(t, kernels.most_rows, w, w.panel_bytes(), pool.threads());
  codes_of_thread.Pack(x, t, w.k, kernels, cut, pool);
  cut.ForChunks(pool, [&](uint64_t block, uint64_t last, uint64_t first, uint64_t end) {
    for (; block < last; ++block) {
      const uint64_t row = block * cut.block_rows;
      MultiplyBlock(kernels, codes, w, row, std::min(cut.block_rows, t - row), first, end, visit);
    }
  });
}

void MatMulInt8(const int8_t* x, uint64_t t, const int8_t* w, uint64_t n, uint64_t k, int32_t* y,
                ThreadPool& pool) {
  const PackedMatrix packed =
      PackMatrix(DType::kI8, n, k, reinterpret_cast<const std::byte*>(w), k);
  MatMulInt8Packed(x, t, packed, pool, [&](const Int8Sums& block) {
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
  const Cut cut(t, MostPanelRows(), w, slice * w.step_bytes() * kPanelColumns, pool.threads());
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

}  // namespace slim
