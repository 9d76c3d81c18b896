// Headers made to a plan: the input chooses tensors and at most one offence. Without an offence the
// header must be accepted, with one it must be refused.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string>
#include <vector>

#include "checkpoint/safetensors_header.h"
#include "fuzz.h"

namespace slim {
namespace {

enum Offence : size_t {
  kNone,
  kHole,
  kOverlap,
  kWrongSize,
  kTwin,
  kExtraField,
  kMissingField,
  kRealNumber,
  kNegative,
  kUnknownDType,
  kTrailing,
  kTruncated,
  kMetadataNumber,
  kOffenceCount
};

struct Field {
  std::string dtype;
  std::string shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

std::string Render(const std::string& name, const Field& field, Offence offence) {
  std::string shape = field.shape;
  if (offence == kRealNumber) shape = "[1.0]";
  if (offence == kNegative) shape = "[-1]";
  const std::string dtype = offence == kUnknownDType ? field.dtype + "X" : field.dtype;
  std::string out = fmt::format("\"{}\":{{\"dtype\":\"{}\"", name, dtype);
  if (offence != kMissingField) out += ",\"shape\":" + shape;
  if (offence == kExtraField) out += ",\"extra\":null";
  const uint64_t end = offence == kWrongSize ? field.end + 1 : field.end;
  return out + fmt::format(",\"data_offsets\":[{},{}]}}", field.begin, end);
}

Field MakeField(InputReader& input, uint64_t& position) {
  const auto dtype = static_cast<DType>(input.Choice(DTypeNames().size()));
  Shape shape;
  const size_t rank = input.Choice(4);
  for (size_t i = 0; i < rank; ++i) shape.push_back(8 * input.Choice(5));
  // Four- and six-bit elements fill whole bytes when there are eight of them.
  if (DTypeBits(dtype) % 8 != 0) shape.push_back(8);
  Field field;
  field.dtype = DTypeName(dtype);
  field.shape = fmt::format("[{}]", fmt::join(shape, ","));
  field.begin = position;
  position += ByteSize(dtype, shape).value();
  field.end = position;
  return field;
}

}  // namespace
}  // namespace slim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace slim;
  InputReader input(data, size);
  const auto offence = static_cast<Offence>(input.Choice(kOffenceCount));
  const size_t count = 1 + input.Choice(8);
  const size_t victim = input.Choice(count);
  std::string json = "{";
  if (offence == kMetadataNumber) json += "\"__metadata__\":{\"k\":1},";
  uint64_t position = 0;
  for (size_t i = 0; i < count; ++i) {
    if (i == victim && offence == kHole) ++position;
    Field field = MakeField(input, position);
    // An overlap needs bytes to share: one byte before this tensor belongs to it as well.
    const bool overlaps = i == victim && offence == kOverlap;
    if (overlaps) field = {"U8", "[1]", field.begin + 1, field.begin + 2};
    const std::string name = fmt::format("t{}", i);
    json += i == 0 ? "" : ",";
    json += Render(name, field, i == victim ? offence : kNone);
    if (i == victim && offence == kTwin) json += "," + Render(name, field, kNone);
  }
  json += "}";
  uint64_t file_size = 8 + json.size() + position;
  if (offence == kTrailing) file_size += 1 + input.Byte();
  if (offence == kTruncated) --file_size;
  const auto header = ParseSafetensorsHeader(json, file_size);
  // A twin of a tensor of no size is refused as a twin, never accepted; so is everything else.
  FUZZ_CHECK(header.ok() == (offence == kNone));
  FUZZ_CHECK(header.ok() ? header->tensors.size() == count
                         : header.error().code == ErrorCode::kInput);
  return 0;
}
