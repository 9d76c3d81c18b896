#include "verify/value_scan.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "kernels/scan.h"
#include "os/digest.h"
#include "os/interrupt.h"
#include "verify/page_watch.h"

namespace slim {
namespace {

// Exponent bits all ones (for e4m3 and e8m0 the NaN patterns) in `mask` mean not finite.
template <class Word>
void CountEach(std::span<const std::byte> bytes, Word mask, uint64_t first, NotFinite& result) {
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
      return CountEach<uint64_t>(bytes, 0x7FF0000000000000ULL, first, result);
    case DType::kF32:
    case DType::kC64:
      // One by one only where there is something to find.
      if (CountMasked32(bytes.data(), bytes.size() / 4, 0x7F800000U) > 0)
        CountEach<uint32_t>(bytes, 0x7F800000U, first, result);
      return;
    case DType::kBF16:
    case DType::kF16: {
      const uint16_t mask = dtype == DType::kF16 ? 0x7C00 : 0x7F80;
      if (CountMasked16(bytes.data(), bytes.size() / 2, mask) > 0)
        CountEach<uint16_t>(bytes, mask, first, result);
      return;
    }
    case DType::kF8E4M3:
      return CountEach<uint8_t>(bytes, uint8_t{0x7F}, first, result);
    case DType::kF8E5M2:
      return CountEach<uint8_t>(bytes, uint8_t{0x7C}, first, result);
    case DType::kF8E8M0:
      return CountEach<uint8_t>(bytes, uint8_t{0xFF}, first, result);
    default:
      return;
  }
}

void Add(const CodeScan& part, CodeScan& row) {
  row.sum += part.sum;
  row.min = std::min(row.min, part.min);
  row.max = std::max(row.max, part.max);
  row.at_ends += part.at_ends;
  row.minus_128 += part.minus_128;
}

// Counting single codes costs more than all else: some of them tell as much.
constexpr uint64_t kSampledCodes = 1ULL << 16;

void AddToHistogram(const int8_t* codes, uint64_t count, std::array<uint32_t, 256>& histogram) {
  for (uint64_t i = 0; i < count; ++i) ++histogram[static_cast<uint8_t>(codes[i] + 128)];
}

void FinishRow(const CodeScan& row, uint64_t index, CodeStatistics& all) {
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

void Watch(const Watchers& watchers, std::span<const std::byte> bytes, uint64_t offset) {
  if (watchers.pages != nullptr) watchers.pages->Add(bytes, offset);
  if (watchers.digest != nullptr) watchers.digest->Update(bytes);
}

}  // namespace

Status ForEachPiece(const Checkpoint& checkpoint, const TensorEntry& entry,
                    const std::function<void(std::span<const std::byte>, uint64_t)>& visit) {
  if (!entry.strides.empty()) {
    // Gathering a view reads all of it, whichever part is asked for.
    SLIM_ASSIGN(const Tensor whole, checkpoint.Read(entry));
    const std::span<const std::byte> bytes = whole.data.bytes();
    for (uint64_t done = 0; done < bytes.size(); done += kScanPiece)
      visit(bytes.subspan(done, std::min(bytes.size() - done, kScanPiece)), done);
    return {};
  }
  const File& file = checkpoint.shards()[entry.shard].file;
  thread_local Buffer buffer(kScanPiece);
  // Where elements straddle pages, pieces follow the elements.
  const uint64_t shift = entry.offset % sizeof(uint64_t) == 0 ? entry.offset % kScanPiece : 0;
  for (uint64_t done = 0; done < entry.size;) {
    SLIM_TRY(CheckInterrupt());
    const uint64_t room = kScanPiece - (shift + done) % kScanPiece;
    const auto piece = buffer.bytes().first(std::min(entry.size - done, room));
    auto status = file.ReadExactAt(piece, entry.offset + done);
    if (!status.ok()) return std::move(status).error().WithTensor(entry.name);
    visit(piece, done);
    done += piece.size();
  }
  return {};
}

Result<NotFinite> CountNotFinite(const Checkpoint& checkpoint, const TensorEntry& entry,
                                 const Watchers& watchers) {
  NotFinite result;
  // C64 is a pair of F32: positions count halves.
  const uint64_t width =
      std::max(DTypeBits(entry.dtype) / 8, 1U) / (entry.dtype == DType::kC64 ? 2 : 1);
  SLIM_TRY(ForEachPiece(checkpoint, entry, [&](std::span<const std::byte> bytes, uint64_t offset) {
    CountPiece(entry.dtype, bytes, offset / width, result);
    Watch(watchers, bytes, offset);
  }));
  return result;
}

Result<CodeStatistics> ScanCodes(const Checkpoint& checkpoint, const TensorEntry& entry,
                                 bool row_sums, const Watchers& watchers) {
  CodeStatistics all;
  const uint64_t n = entry.shape[0];
  const uint64_t k = entry.shape[1];
  if (n == 0 || k == 0) return all;
  if (row_sums) all.row_sums.resize(n);
  const uint64_t sampled = std::max<uint64_t>(entry.size / kSampledCodes, 1);  // every so many rows
  CodeScan row;
  SLIM_TRY(ForEachPiece(checkpoint, entry, [&](std::span<const std::byte> bytes, uint64_t offset) {
    const auto* codes = reinterpret_cast<const int8_t*>(bytes.data());
    for (uint64_t i = 0; i < bytes.size();) {
      const uint64_t column = (offset + i) % k;
      const uint64_t count = std::min(k - column, bytes.size() - i);
      Add(ScanCodes8(codes + i, count), row);
      if ((offset + i) / k % sampled == 0) AddToHistogram(codes + i, count, all.histogram);
      i += count;
      if (column + count < k) continue;
      FinishRow(row, (offset + i - 1) / k, all);
      row = CodeScan();
    }
    Watch(watchers, bytes, offset);
  }));
  return all;
}

Result<CodeStatistics> ScanSparseCodes(const SparseStream& stream, const SparseSize& size) {
  CodeStatistics all;
  std::vector<std::pair<int8_t, int8_t>> ranges(size.n, {int8_t{127}, int8_t{-128}});
  const uint64_t sampled = std::max<uint64_t>(size.n * size.k / kSampledCodes, 1);
  SLIM_TRY(ForEachSparseRun(stream,
                            [&](uint64_t row, uint64_t /*column*/, std::span<const std::byte> run) {
                              const auto* codes = reinterpret_cast<const int8_t*>(run.data());
                              const CodeScan scan = ScanCodes8(codes, run.size());
                              all.at_ends += scan.at_ends;
                              all.minus_128 += scan.minus_128;
                              auto& [min, max] = ranges[row];
                              min = std::min(min, scan.min);
                              max = std::max(max, scan.max);
                              if (row % sampled == 0)
                                AddToHistogram(codes, run.size(), all.histogram);
                            }));
  for (uint64_t row = 0; row < size.n; ++row)
    FinishRow({.min = ranges[row].first, .max = ranges[row].second}, row, all);
  return all;
}

Result<NotFinite> CountNotFiniteSparse(const SparseStream& stream, const SparseSize& size) {
  NotFinite result;
  SLIM_TRY(
      ForEachSparseRun(stream, [&](uint64_t row, uint64_t column, std::span<const std::byte> run) {
        if (CountMasked16(run.data(), run.size() / 2, 0x7C00) == 0) return;
        CountEach<uint16_t>(run, 0x7C00, (row * size.k + column) / 2, result);
      }));
  return result;
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
