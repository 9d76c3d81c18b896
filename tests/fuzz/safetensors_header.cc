// Any bytes as a safetensors header. What is accepted covers the data exactly, and laying the same
// tensors out again gives a header that reads back the same. The first byte is the size of the
// data.
#include "checkpoint/safetensors_header.h"

#include "checkpoint/sniff.h"
#include "fuzz.h"

namespace slim {
namespace {

void CheckAccepted(const SafetensorsHeader& header, size_t header_bytes, uint64_t file_size) {
  FUZZ_CHECK(header.data_start == 8 + header_bytes);
  uint64_t position = 0;
  std::vector<TensorSpec> specs;
  for (const HeaderTensor& tensor : header.tensors) {
    FUZZ_CHECK(tensor.begin == position);
    const auto size = ByteSize(tensor.dtype, tensor.shape);
    FUZZ_CHECK(size.ok() && tensor.end - tensor.begin == *size);
    position = tensor.end;
    specs.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  FUZZ_CHECK(header.data_start + position == file_size);
  const auto layout = LayOutSafetensors(specs, header.metadata);
  FUZZ_CHECK(layout.ok());
  const auto again =
      ParseSafetensorsHeader(std::string_view(layout->header).substr(8), layout->file_size);
  FUZZ_CHECK(again.ok() && again->aligned);
  FUZZ_CHECK(again->tensors.size() == header.tensors.size());
  FUZZ_CHECK(again->metadata == header.metadata);
}

}  // namespace
}  // namespace slim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slim::InputReader input(data, size);
  const uint64_t data_bytes = input.Byte();
  const std::string_view json = input.Rest();
  const uint64_t file_size = 8 + json.size() + data_bytes;
  const auto header = slim::ParseSafetensorsHeader(json, file_size);
  if (header.ok()) {
    slim::CheckAccepted(*header, json.size(), file_size);
  } else {
    FUZZ_CHECK(!header.error().rule.empty() && header.error().ToString().size() < 4096);
    FUZZ_CHECK(header.error().ToString().find('\n') == std::string::npos);
  }
  slim::SniffForeignFormat(std::as_bytes(std::span(data, size)));
  return 0;
}
