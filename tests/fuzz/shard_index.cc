// Any bytes as a shard index. What is accepted names plain files only and reads back the same after
// being written.
#include "checkpoint/shard_index.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto index = slim::ParseShardIndex(std::string(slim::InputText(data, size)));
  if (!index.ok()) {
    FUZZ_CHECK(index.error().ToString().find('\n') == std::string::npos);
    return 0;
  }
  for (const std::string& file : index->files()) {
    FUZZ_CHECK(file.ends_with(".safetensors") && file.find('/') == std::string::npos);
  }
  const auto again = slim::ParseShardIndex(slim::WriteShardIndex(*index));
  FUZZ_CHECK(again.ok() && again->weight_map() == index->weight_map());
  FUZZ_CHECK(again->total_size == index->total_size.value_or(0));
  return 0;
}
