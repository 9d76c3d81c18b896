// Any bits through the kernels of rows: every instruction set gives the bits of the baseline, where
// one NaN is as good as another. The first four bytes choose the type, the alignment and the
// length of the row, the next eight scale and offset, the rest are values, or codes.
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include <vector>

#include "fuzz.h"
#include "kernels/convert.h"
#include "kernels/isa.h"
#include "kernels/matmul.h"
#include "kernels/quantize.h"
#include "kernels/reduce.h"
#include "kernels/scan.h"

namespace slim {
namespace {

struct Row {
  DType dtype = DType::kF32;
  size_t shift = 0;  // of the bytes from an aligned address
  float scale = 0;
  float offset = 0;
  std::vector<float> values;
  std::vector<int8_t> codes;  // the bytes of `values`
};

using Trace = std::vector<uint32_t>;

float ReadFloat(InputReader& input) {
  uint32_t bits = 0;
  for (int i = 0; i < 4; ++i) bits = bits << 8 | input.Byte();
  return std::bit_cast<float>(bits);
}

Row ReadRow(InputReader& input) {
  constexpr DType kTypes[] = {DType::kF32, DType::kBF16, DType::kF16};
  Row row;
  row.dtype = kTypes[input.Choice(std::size(kTypes))];
  row.shift = input.Choice(8);
  const size_t count = input.Choice(200);
  row.scale = ReadFloat(input);
  row.offset = ReadFloat(input);
  while (row.values.size() < count) row.values.push_back(ReadFloat(input));
  row.codes.resize(count * sizeof(float));
  if (count > 0) std::memcpy(row.codes.data(), row.values.data(), row.codes.size());
  return row;
}

void Add(Trace& trace, float value) {
  trace.push_back(std::isnan(value) ? 0x7FC00000U : std::bit_cast<uint32_t>(value));
}

void Add(Trace& trace, const std::vector<int8_t>& codes) {
  for (const int8_t code : codes) trace.push_back(static_cast<uint32_t>(code));
}

void Convert(const Row& row, Trace& trace) {
  const uint64_t count = row.values.size();
  std::vector<std::byte> bytes(row.shift + count * DTypeBits(row.dtype) / 8 + 1);
  std::vector<float> back(count);
  FromFloat(row.dtype, row.values.data(), bytes.data() + row.shift, count);
  ToFloat(row.dtype, bytes.data() + row.shift, back.data(), count);
  for (const float value : back) Add(trace, value);
  back = row.values;
  RoundToDType(row.dtype, back.data(), count);
  for (const float value : back) Add(trace, value);
}

void Quantize(const Row& row, Trace& trace) {
  const uint64_t count = row.values.size();
  std::vector<int8_t> codes(count);
  QuantizeRow(row.values.data(), count, row.scale, row.offset, row.dtype, -128, 127, codes.data());
  Add(trace, codes);
  QuantizeRow(row.values.data(), count, row.scale, row.offset, row.dtype, -8, 7, codes.data());
  Add(trace, codes);
  QuantizeStatic(row.values.data(), count, row.scale, static_cast<float>(row.shift) - 4,
                 codes.data());
  Add(trace, codes);
  Add(trace, QuantizeToken(row.values.data(), count, codes.data()));
  Add(trace, codes);
  std::vector<float> back(count);
  DequantizeRow(row.codes.data(), count, row.scale, row.offset, back.data());
  for (const float value : back) Add(trace, value);
}

void Reduce(const Row& row, Trace& trace) {
  const uint64_t count = row.values.size();
  trace.push_back(AllFinite(row.values.data(), count) ? 1 : 0);
  Add(trace, Dot(row.values.data(), row.values.data() + count / 2, count / 2));
  const CodeScan scan = ScanCodes8(row.codes.data(), row.codes.size());
  const auto words = row.codes.data() + std::min(row.shift, row.codes.size());
  const uint64_t rest = row.codes.size() - std::min(row.shift, row.codes.size());
  for (const uint64_t number :
       {static_cast<uint64_t>(scan.sum), scan.at_ends, scan.minus_128,
        CountMasked16(words, rest / 2, 0x7F80), CountMasked32(words, rest / 4, 0x7F800000)}) {
    trace.push_back(static_cast<uint32_t>(number));
  }
  Add(trace, {scan.min, scan.max});
  trace.push_back(static_cast<uint32_t>(SumInt8(row.codes.data(), row.codes.size())));
  if (count == 0 || !AllFinite(row.values.data(), count)) return;
  // Zeros have no defined sign there.
  const MinMax range = FindMinMax(row.values.data(), count);
  Add(trace, range.min + 0.0F);
  Add(trace, range.max + 0.0F);
  Add(trace, AbsMax(row.values.data(), count));
}

}  // namespace
}  // namespace slim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace slim;
  InputReader input(data, size);
  const Row row = ReadRow(input);
  std::optional<Trace> baseline;
  for (const Isa isa : SupportedIsas()) {
    FUZZ_CHECK(SetIsa(IsaName(isa)).ok());
    Trace trace;
    Convert(row, trace);
    Quantize(row, trace);
    Reduce(row, trace);
    if (!baseline) baseline = trace;
    FUZZ_CHECK(trace == *baseline);
  }
  return 0;
}
