// Any bytes as a compressed weight: the first three give n, k and the length of the index. Rejected
// or decoded to n · k codes; codes that are decoded come back from a second round.
#include "checkpoint/sparse_codec.h"

#include <array>
#include <vector>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const uint64_t n = 1 + data[0];
  const uint64_t k = 1 + data[1];
  const auto rest = std::as_bytes(std::span(data + 3, size - 3));
  const size_t entries = std::min<size_t>(size_t{data[2]} * 8, rest.size());
  const std::array<int64_t, 5> info = {8, 8, static_cast<int64_t>(k), static_cast<int64_t>(n), 1};
  const auto index = rest.first(entries);
  const auto weight = rest.subspan(entries);
  const auto codes = slim::DecompressMatrix(
      {slim::DType::kI8, {weight.size()}, weight}, {slim::DType::kI8, {index.size()}, index},
      {slim::DType::kI64, {5}, std::as_bytes(std::span(info))});
  if (!codes.ok()) {
    FUZZ_CHECK(!codes.error().rule.empty());
    return 0;
  }
  const auto view = codes->view();
  FUZZ_CHECK(view.bytes.size() == n * k);
  const auto again = slim::CompressMatrix(view.bytes, n, k);
  if (!again.ok()) return 0;  // not shorter than the codes
  const auto back =
      slim::DecompressMatrix(again->weight.view(), again->index.view(), again->info.view());
  FUZZ_CHECK(back.ok() && std::ranges::equal(back->view().bytes, view.bytes));
  return 0;
}
