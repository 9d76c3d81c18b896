#include "verify/value_scan.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "os/interrupt.h"

namespace slim {
namespace {

// Exponent bits all ones (for e4m3 and e8m0 the NaN patterns) in `mask` mean not finite.
template <class Word>
void CountMasked(std::span<const std::byte> bytes, Word mask, uint64_t first, NotFinite& result) {
  const uint64_t count = bytes.size() / sizeof(Word);
  for (uint64_t i = 0; i < count; ++i) {
    const auto word = LoadLe<Word>(bytes.data() + i * sizeof(Word));
    if ((word & mask) != mask) continue;
    if (result.count++ == 0) result.first = first + i;
  }
}

void CountPiece(DType dtype, std::span<const std::byte> bytes, uint64_t first, NotFinite& result) {
  switch (dtype) {
    case DType::kF64:
      return CountMasked<uint64_t>(bytes, 0x7FF0000000000000ULL, first, result);
    case DType::kF32:
    case DType::kC64:
      return CountMasked<uint32_t>(bytes, 0x7F800000U, first, result);
    case DType::kBF16:
      return CountMasked<uint16_t>(bytes, uint16_t{0x7F80}, first, result);
    case DType::kF16:
      return CountMasked<uint16_t>(bytes, uint16_t{0x7C00}, first, result);
    case DType::kF8E4M3:
      return CountMasked<uint8_t>(bytes, uint8_t{0x7F}, first, result);
    case DType::kF8E5M2:
      return CountMasked<uint8_t>(bytes, uint8_t{0x7C}, first, result);
    case DType::kF8E8M0:
      return CountMasked<uint8_t>(bytes, uint8_t{0xFF}, first, result);
    default:
      return;
  }
}

struct RowStatistics {
  int64_t sum = 0;
  int8_t min = 127;
  int8_t max = -128;
  uint64_t at_ends = 0;
  uint64_t minus_128 = 0;
};

// A block of fixed length, so that the compiler uses vectors.
constexpr uint64_t kBlock = 64;

void AddBlock(const int8_t* codes, RowStatistics& row) {
  int32_t sum = 0;
  int8_t min = row.min;
  int8_t max = row.max;
  uint8_t ends = 0;
  uint8_t low = 0;
  for (uint64_t i = 0; i < kBlock; ++i) {
    const int8_t code = codes[i];
    sum += code;
    min = std::min(min, code);
    max = std::max(max, code);
    ends = static_cast<uint8_t>(ends + (code == 127 || code <= -127 ? 1 : 0));
    low = static_cast<uint8_t>(low + (code == -128 ? 1 : 0));
  }
  row.sum += sum;
  row.min = min;
  row.max = max;
  row.at_ends += ends;
  row.minus_128 += low;
}

void AddCodes(const int8_t* codes, uint64_t count, RowStatistics& row) {
  for (; count >= kBlock; codes += kBlock, count -= kBlock) AddBlock(codes, row);
  for (uint64_t i = 0; i < count; ++i) {
    const int8_t code = codes[i];
    row.sum += code;
    row.min = std::min(row.min, code);
    row.max = std::max(row.max, code);
    row.at_ends += code == 127 || code <= -127 ? 1 : 0;
    row.minus_128 += code == -128 ? 1 : 0;
  }
}

void FinishRow(const RowStatistics& row, uint64_t index, CodeStatistics& all) {
  all.min = std::min(all.min, row.min);
  all.max = std::max(all.max, row.max);
  all.at_ends += row.at_ends;
  all.minus_128 += row.minus_128;
  if (!all.row_sums.empty()) all.row_sums[index] = row.sum;
  if (row.min != row.max) return;
  if (row.min == 0) {
    if (all.zero_rows++ == 0) all.first_zero_row = index;
  } else if (all.constant_rows++ == 0) {
    all.first_constant_row = index;
  }
}

}  // namespace

Status ForEachPiece(const Checkpoint& checkpoint, const TensorEntry& entry,
                    const std::function<void(std::span<const std::byte>, uint64_t)>& visit) {
  const File& file = checkpoint.shards()[entry.shard].file;
  Buffer buffer(std::min(entry.size, kScanPiece));
  for (uint64_t done = 0; done < entry.size;) {
    SLIM_TRY(CheckInterrupt());
    const uint64_t count = std::min(entry.size - done, kScanPiece);
    const auto piece = buffer.bytes().first(count);
    auto status = file.ReadExactAt(piece, entry.offset + done);
    if (!status.ok()) return std::move(status).error().WithTensor(entry.name);
    visit(piece, done);
    done += count;
  }
  return {};
}

Result<NotFinite> CountNotFinite(const Checkpoint& checkpoint, const TensorEntry& entry) {
  NotFinite result;
  // C64 is a pair of F32: positions count halves.
  const uint64_t width =
      std::max(DTypeBits(entry.dtype) / 8, 1U) / (entry.dtype == DType::kC64 ? 2 : 1);
  SLIM_TRY(ForEachPiece(checkpoint, entry, [&](std::span<const std::byte> bytes, uint64_t offset) {
    CountPiece(entry.dtype, bytes, offset / width, result);
  }));
  return result;
}

Result<CodeStatistics> ScanCodes(const Checkpoint& checkpoint, const TensorEntry& entry,
                                 bool row_sums) {
  CodeStatistics all;
  const uint64_t n = entry.shape[0];
  const uint64_t k = entry.shape[1];
  if (n == 0 || k == 0) return all;
  if (row_sums) all.row_sums.resize(n);
  RowStatistics row;
  SLIM_TRY(ForEachPiece(checkpoint, entry, [&](std::span<const std::byte> bytes, uint64_t offset) {
    const auto* codes = reinterpret_cast<const int8_t*>(bytes.data());
    for (uint64_t i = 0; i < bytes.size();) {
      const uint64_t column = (offset + i) % k;
      const uint64_t count = std::min(k - column, bytes.size() - i);
      AddCodes(codes + i, count, row);
      i += count;
      if (column + count < k) continue;
      FinishRow(row, (offset + i - 1) / k, all);
      row = RowStatistics();
    }
  }));
  return all;
}

Result<bool> SameBytes(const Checkpoint& checkpoint, const TensorEntry& a, const TensorEntry& b) {
  const File& other = checkpoint.shards()[b.shard].file;
  Buffer buffer(std::min(b.size, kScanPiece));
  bool same = a.size == b.size;
  Status failure;
  if (!same) return false;
  SLIM_TRY(ForEachPiece(checkpoint, a, [&](std::span<const std::byte> bytes, uint64_t offset) {
    if (!same || !failure.ok()) return;
    const auto piece = buffer.bytes().first(bytes.size());
    failure = other.ReadExactAt(piece, b.offset + offset);
    same = failure.ok() && std::memcmp(piece.data(), bytes.data(), bytes.size()) == 0;
  }));
  if (!failure.ok()) return std::move(failure).error().WithTensor(b.name);
  return same;
}

}  // namespace slim
