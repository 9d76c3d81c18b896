#include "verify/page_watch.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "tensor/tensor.h"

namespace slim {
namespace {

constexpr uint64_t kShortestRow = 64;
constexpr size_t kSlots = 16384;

bool AllZero(const std::byte* bytes, uint64_t count) {
  return count == 0 || (bytes[0] == std::byte{0} && std::memcmp(bytes, bytes + 1, count - 1) == 0);
}

// Pages such as zeros or ones repeat for good reasons.
bool HoldsOneValue(const std::byte* page) {
  return std::memcmp(page, page + sizeof(uint64_t), PageWatcher::kPage - sizeof(uint64_t)) == 0;
}

}  // namespace

PageWatcher::PageWatcher(const TensorEntry& entry) : entry_(entry) {
  // A view's bytes are not beside each other in the file.
  if (!entry.strides.empty()) return;
  if (entry.shape.size() < 2 || entry.shape[0] == 0 || entry.size < 2 * kPage) return;
  const uint64_t row = entry.size / entry.shape[0];
  if (row < kShortestRow || entry.offset % sizeof(uint64_t) != 0) return;
  row_bytes_ = row;
  seen_.resize(kSlots);
}

void PageWatcher::Add(std::span<const std::byte> bytes, uint64_t offset) {
  if (row_bytes_ == 0) return;
  all_zero_ = all_zero_ && AllZero(bytes.data(), bytes.size());
  uint64_t at = (kPage - (entry_.offset + offset) % kPage) % kPage;  // the first border
  const uint64_t head = std::min<uint64_t>(at, bytes.size());
  if (head >= sizeof(uint64_t)) last_word_ = LoadLe<uint64_t>(&bytes[head - sizeof(uint64_t)]);
  // Zeros from the tensor's begin on may be the rest of a page that the tensor before shares.
  if (offset == 0 && head > 0 && AllZero(bytes.data(), head)) run_begin_ = 0;
  for (; at + kPage <= bytes.size(); at += kPage) AddPage(&bytes[at], offset + at);
  if (offset + bytes.size() < entry_.size || !run_begin_) return;
  const uint64_t tail = at < bytes.size() ? bytes.size() - at : 0;
  if (AllZero(bytes.data() + bytes.size() - tail, tail)) {
    EndRun(entry_.size);
  } else if (tail < sizeof(uint64_t) || LoadLe<uint64_t>(&bytes[at]) != 0) {
    EndRun(entry_.size - tail);
  }
}

void PageWatcher::AddPage(const std::byte* page, uint64_t offset) {
  const auto first = LoadLe<uint64_t>(page);
  if (first == 0 && AllZero(page, kPage)) {
    // A zero before the border: the zeros do not begin here, so the border did not make them.
    if (!run_begin_ && last_word_ != 0) run_begin_ = offset;
  } else {
    if (run_begin_ && first != 0) EndRun(offset);
    run_begin_.reset();
    AddSignature(page, offset);
  }
  last_word_ = LoadLe<uint64_t>(page + kPage - sizeof(uint64_t));
}

void PageWatcher::EndRun(uint64_t end) {
  const Run run = {*run_begin_, end};
  run_begin_.reset();
  // Padded rows of an embedding and dead channels are whole rows.
  if (run.begin % row_bytes_ == 0 && run.end % row_bytes_ == 0) return;
  if (run.end - run.begin < kPage) return;
  ++zero_runs_;
  if (!zeroes_) zeroes_ = run;
}

void PageWatcher::AddSignature(const std::byte* page, uint64_t offset) {
  if (candidate_) return;
  const auto mix = [&](size_t at) { return LoadLe<uint64_t>(page + at); };
  uint64_t signature = mix(1024) * 0x9E3779B97F4A7C15ULL ^ mix(2056);
  signature = signature * 0xC2B2AE3D27D4EB4FULL ^ mix(3080);
  Seen& slot = seen_[(signature * 0x9E3779B97F4A7C15ULL >> 40) % kSlots];
  if (slot.signature == signature && IsCopy(slot, offset) && !HoldsOneValue(page))
    candidate_ = Twins{slot.offset, offset};
  slot = {signature, offset, last_word_};
}

// Of two pages that look alike.
bool PageWatcher::IsCopy(const Seen& seen, uint64_t offset) const {
  if (offset == seen.offset) return false;
  if ((offset - seen.offset) % row_bytes_ != 0) return true;
  const bool same_row_before =
      seen.offset >= sizeof(uint64_t) && offset % row_bytes_ >= sizeof(uint64_t);
  return same_row_before && seen.before != last_word_;
}

Result<std::optional<PageWatcher::Twins>> PageWatcher::RepeatedPages(
    const Checkpoint& checkpoint) const {
  if (!candidate_) return std::optional<Twins>();
  Buffer pages(2 * kPage);
  const auto first = pages.bytes().first(kPage);
  const auto second = pages.bytes().last(kPage);
  SLIM_TRY(checkpoint.ReadPart(entry_, first, candidate_->first));
  SLIM_TRY(checkpoint.ReadPart(entry_, second, candidate_->second));
  const bool same = std::memcmp(first.data(), second.data(), kPage) == 0;
  return same ? candidate_ : std::optional<Twins>();
}

}  // namespace slim
