// Any bytes as the beginning of a GGUF file. What is accepted lies inside the file and apart, and
// what slim can write of it reads back the same.
#include "checkpoint/gguf_header.h"

#include "checkpoint/dialects/gguf_config.h"
#include "checkpoint/dialects/gguf_tokenizer.h"
#include "fuzz.h"

namespace slim {
namespace {

void CheckAccepted(const GgufHeader& header, uint64_t file_size) {
  FUZZ_CHECK(header.data_start <= file_size);
  std::vector<TensorSpec> specs;
  for (const GgufTensor& tensor : header.tensors) {
    FUZZ_CHECK(tensor.offset % header.alignment == 0);
    FUZZ_CHECK(header.data_start + tensor.offset + tensor.size <= file_size);
    if (tensor.type->dtype) specs.push_back({tensor.name, *tensor.type->dtype, tensor.shape});
  }
  const auto layout = LayOutGguf(specs, header.metadata);
  FUZZ_CHECK(layout.ok());
  GgufMetadata metadata;
  for (const auto& pair : header.metadata) {
    if (pair.first != "general.alignment") metadata.push_back(pair);
  }
  const auto plain = LayOutGguf(specs, metadata);
  const auto again = ParseGgufHeader(std::as_bytes(std::span(plain->header)), plain->file_size);
  FUZZ_CHECK(again.ok() && again->tensors.size() == specs.size());
  FUZZ_CHECK(again->metadata.size() == metadata.size());
  std::vector<std::string> notes;
  for (const MadeFile& file : TokenizerOfGguf(header, notes))
    FUZZ_CHECK(ParseJson(file.content).ok());
  const float factors[] = {1, 1.5F, static_cast<float>(file_size)};
  const auto config = ConfigOfGguf(header, factors);
  if (config.ok()) FUZZ_CHECK(ParseJson(*config).ok());
}

}  // namespace
}  // namespace slim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slim::InputReader input(data, size);
  const uint64_t data_bytes = uint64_t{32} * input.Byte();
  const std::string_view bytes = input.Rest();
  const uint64_t file_size = bytes.size() + data_bytes;
  const auto header = slim::ParseGgufHeader(std::as_bytes(std::span(bytes)), file_size);
  if (header.ok()) {
    slim::CheckAccepted(*header, file_size);
  } else {
    FUZZ_CHECK(!header.error().rule.empty() && header.error().ToString().size() < 4096);
    FUZZ_CHECK(header.error().ToString().find('\n') == std::string::npos);
  }
  return 0;
}
