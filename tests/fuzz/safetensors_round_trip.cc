// Any tensors, in any order of names and types: what is laid out is read as what was asked for.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "checkpoint/safetensors_header.h"
#include "fuzz.h"

namespace slim {
namespace {

// Quotes and controls among them; in UTF-8, as every reader has checked.
std::string ReadName(InputReader& input) {
  std::string name;
  for (size_t length = input.Choice(9); name.size() < length;) {
    name += static_cast<char>(input.Byte());
  }
  return IsUtf8(name) ? name : "name";
}

std::vector<TensorSpec> ReadSpecs(InputReader& input) {
  std::vector<TensorSpec> specs(input.Choice(20));
  for (TensorSpec& spec : specs) {
    spec.name = ReadName(input);
    spec.dtype = static_cast<DType>(input.Choice(DTypeNames().size()));
    const size_t rank = input.Choice(5);
    for (size_t i = 0; i < rank; ++i) {
      const uint64_t length = input.Byte();
      spec.shape.push_back(length << input.Choice(60));
    }
  }
  return specs;
}

void CheckTensor(const SafetensorsHeader& header, const TensorSpec& spec, uint64_t offset) {
  const auto found =
      std::ranges::find(header.tensors, std::string_view(spec.name), &HeaderTensor::name);
  FUZZ_CHECK(found != header.tensors.end());
  FUZZ_CHECK(found->dtype == spec.dtype && found->shape == spec.shape);
  FUZZ_CHECK(header.data_start + found->begin == offset);
  FUZZ_CHECK(found->end - found->begin == ByteSize(spec.dtype, spec.shape).value());
}

}  // namespace
}  // namespace slim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace slim;
  InputReader input(data, size);
  std::vector<std::pair<std::string, std::string>> metadata;
  for (size_t i = input.Choice(4); i > 0; --i) {
    metadata.emplace_back("k" + std::to_string(i), ReadName(input));
  }
  const std::vector<TensorSpec> specs = ReadSpecs(input);
  const auto layout = LayOutSafetensors(specs, metadata);
  if (!layout.ok()) return 0;
  const auto header =
      ParseSafetensorsHeader(std::string_view(layout->header).substr(8), layout->file_size);
  FUZZ_CHECK(header.ok());
  FUZZ_CHECK(header->aligned && header->tensors.size() == specs.size());
  for (size_t i = 0; i < specs.size(); ++i) CheckTensor(*header, specs[i], layout->offsets[i]);
  FUZZ_CHECK(header->metadata.size() == metadata.size());
  return 0;
}
