// Any bytes as a numpy dictionary of tensors (an old layout of quantized weights). What is accepted
// lies inside the file; everything else is refused with a rule, in one line.
#include "checkpoint/npy_file.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto source = slim::ByteSource::Of(std::as_bytes(std::span(data, size)));
  const auto tensors = slim::ReadNpyDict(source, "weight");
  if (!tensors.ok()) {
    FUZZ_CHECK(!tensors.error().rule.empty());
    FUZZ_CHECK(tensors.error().ToString().find('\n') == std::string::npos);
    return 0;
  }
  for (const slim::TorchTensor& tensor : *tensors)
    FUZZ_CHECK(tensor.offset <= size && tensor.extent <= size - tensor.offset);
  return 0;
}
