// Any bytes as a file of torch.save. What is accepted lies inside the file; everything else is
// refused with a rule, in one line.
#include "checkpoint/torch_file.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto source = slim::ByteSource::Of(bytes);
  const auto file = slim::ReadTorchFile(source);
  if (!file.ok()) {
    FUZZ_CHECK(!file.error().rule.empty() && file.error().ToString().size() < 4096);
    FUZZ_CHECK(file.error().ToString().find('\n') == std::string::npos);
    return 0;
  }
  FUZZ_CHECK(!file->tensors.empty());
  for (const slim::TorchTensor& tensor : file->tensors) {
    FUZZ_CHECK(tensor.offset <= size && tensor.extent <= size - tensor.offset);
    const auto bytes_needed = slim::ByteSize(tensor.dtype, tensor.shape);
    FUZZ_CHECK(bytes_needed.ok() && *bytes_needed <= tensor.extent);
    FUZZ_CHECK(tensor.strides.empty() || tensor.strides.size() == tensor.shape.size());
  }
  return 0;
}
