// Statistics over the values of one tensor, read in pieces of a few MiB whatever its size. Internal
// to verify/.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/sparse_codec.h"

namespace slim {

// Bytes a thread reads at once: they stay in the second cache for whoever looks at them. A multiple
// of every element size and of a page.
inline constexpr uint64_t kScanPiece = 256ULL << 10;

// Calls `visit(bytes, offset in the tensor)` over the whole tensor in order, pieces ending at
// multiples of kScanPiece in the file where the tensor's alignment allows it. Stops at a read error
// or an interrupt.
Status ForEachPiece(const Checkpoint& checkpoint, const TensorEntry& entry,
                    const std::function<void(std::span<const std::byte>, uint64_t)>& visit);

class PageWatcher;  // verify/page_watch.h
class Xxh3Hasher;

// Who else sees the bytes of a scan, so that nothing is read twice.
struct Watchers {
  PageWatcher* pages = nullptr;
  Xxh3Hasher* digest = nullptr;
};

struct NotFinite {
  uint64_t count = 0;
  uint64_t first = 0;  // element
};
// NaN and infinities of any float dtype; integers have none.
Result<NotFinite> CountNotFinite(const Checkpoint& checkpoint, const TensorEntry& entry,
                                 const Watchers& watchers);

// Int8 codes [n, k], one a byte.
struct CodeStatistics {
  int8_t min = 127;
  int8_t max = -128;
  uint64_t at_ends = 0;  // |code| >= 127
  uint64_t minus_128 = 0;
  uint64_t zero_rows = 0;
  uint64_t constant_rows = 0;  // zero rows not among them
  uint64_t first_zero_row = 0;
  uint64_t first_constant_row = 0;
  std::vector<int64_t> row_sums;  // [n] when asked for
  // How often each code occurs in a sample of the rows, from -128 on.
  std::array<uint32_t, 256> histogram{};
};
// `entry` is I8 with two dimensions.
Result<CodeStatistics> ScanCodes(const Checkpoint& checkpoint, const TensorEntry& entry,
                                 bool row_sums, const Watchers& watchers);

// The same of a compressed weight, but for row_sums; [n, k] is that of its info. Memory: two bytes
// a row.
Result<CodeStatistics> ScanSparseCodes(const SparseStream& stream, const SparseSize& size);
// Of compressed F16 values, which the stream holds as pairs of bytes.
Result<NotFinite> CountNotFiniteSparse(const SparseStream& stream, const SparseSize& size);

// True when both tensors hold the same bytes; they have one size.
Result<bool> SameBytes(const Checkpoint& checkpoint, const TensorEntry& a, const TensorEntry& b);

}  // namespace slim
