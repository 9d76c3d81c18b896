#include "kernels/packed_matrix.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>
#include <vector>

namespace slim {
namespace {

// Steps of all columns that are moved together: a cache line of each where a step has four bytes.
constexpr uint64_t kStepsTogether = 16;

// to[step][column] = row[column][step]; `rows` <= kPanelColumns of them, `bytes` long.
template <class Step>
void Interleave(const std::byte* w, uint64_t stride, uint64_t rows, uint64_t bytes, Step flip,
                std::byte* panel) {
  const uint64_t steps = bytes / sizeof(Step);
  const auto place = [&](uint64_t step, uint64_t column) {
    return panel + (step * kPanelColumns + column) * sizeof(Step);
  };
  for (uint64_t begin = 0; begin < steps; begin += kStepsTogether) {
    const uint64_t end = std::min(steps, begin + kStepsTogether);
    for (uint64_t column = 0; column < rows; ++column) {
      for (uint64_t step = begin; step < end; ++step) {
        Step value;
        std::memcpy(&value, w + column * stride + step * sizeof(Step), sizeof(Step));
        value = static_cast<Step>(value ^ flip);
        std::memcpy(place(step, column), &value, sizeof(Step));
      }
    }
    for (uint64_t step = begin; rows < kPanelColumns && step < end; ++step)
      std::memset(place(step, rows), 0, (kPanelColumns - rows) * sizeof(Step));
  }
  const uint64_t rest = bytes % sizeof(Step);
  if (rest == 0) return;
  std::memset(place(steps, 0), 0, kPanelColumns * sizeof(Step));
  for (uint64_t column = 0; column < rows; ++column) {
    Step value = 0;
    std::memcpy(&value, w + column * stride + steps * sizeof(Step), rest);
    value = static_cast<Step>(value ^ flip);
    std::memcpy(place(steps, column), &value, sizeof(Step));
  }
}

constexpr uint32_t kFlip = static_cast<uint32_t>(kCodeShift) * 0x01010101U;

// Rows of w, `stride` bytes apart, to panel `index`.
void PackPanel(const PackedMatrix& shape, const std::byte* w, uint64_t stride, uint64_t index,
               std::byte* panel) {
  const uint64_t first = index * kPanelColumns;
  const uint64_t rows = std::min(kPanelColumns, shape.n - first);
  const uint64_t bytes = shape.k * (DTypeBits(shape.dtype) / 8);
  if (shape.step_bytes() == 2) {
    Interleave<uint16_t>(w + first * stride, stride, rows, bytes, 0, panel);
  } else {
    Interleave<uint32_t>(w + first * stride, stride, rows, bytes,
                         shape.dtype == DType::kI8 ? kFlip : 0, panel);
  }
}

}  // namespace

PackedMatrix PackMatrix(DType dtype, uint64_t n, uint64_t k, const std::byte* w, uint64_t stride) {
  PackedMatrix packed{dtype, n, k, Buffer()};
  packed.data = Buffer(packed.panels() * packed.panel_bytes());
  for (uint64_t i = 0; i < packed.panels(); ++i)
    PackPanel(packed, w, stride, i, packed.data.data() + i * packed.panel_bytes());
  return packed;
}

PackedMatrix PackMatrix(DType dtype, uint64_t n, uint64_t k, Buffer rows) {
  const uint64_t stride = k * (DTypeBits(dtype) / 8);
  assert(rows.size() == n * stride);
  PackedMatrix packed{dtype, n, k, Buffer()};
  if (packed.panels() * packed.panel_bytes() != rows.size())
    return PackMatrix(dtype, n, k, rows.data(), stride);
  // A panel takes the place of its rows.
  std::vector<std::byte> panel(packed.panel_bytes());
  for (uint64_t i = 0; i < packed.panels(); ++i) {
    PackPanel(packed, rows.data(), stride, i, panel.data());
    std::copy(panel.begin(), panel.end(), rows.data() + i * panel.size());
  }
  packed.data = std::move(rows);
  return packed;
}

void UnpackRow(const PackedMatrix& w, uint64_t index, std::byte* row) {
  const uint64_t width = w.step_bytes();
  const uint64_t bytes = w.k * (DTypeBits(w.dtype) / 8);
  const std::byte* column = w.panel(index / kPanelColumns) + index % kPanelColumns * width;
  for (uint64_t at = 0; at < bytes; at += width, column += width * kPanelColumns)
    std::memcpy(row + at, column, std::min(width, bytes - at));
  if (w.dtype != DType::kI8) return;
  for (uint64_t at = 0; at < bytes; ++at) row[at] ^= static_cast<std::byte>(kCodeShift);
}

}  // namespace slim
