#include "run/logits_file.h"

#include <cassert>
#include <cstring>

#include "base/bytes.h"  // little-endian, checked at compile time
#include "checkpoint/safetensors_header.h"

namespace slim {

Result<std::string> EncodeLogitsFile(std::span<const int32_t> ids, std::span<const float> logits) {
  assert(!ids.empty() && logits.size() % ids.size() == 0);
  const Shape rows = {ids.size(), logits.size() / ids.size()};
  SLIM_ASSIGN(
      const SafetensorsLayout layout,
      LayOutSafetensors({{"input_ids", DType::kI32, {ids.size()}}, {"logits", DType::kF32, rows}}));
  std::string bytes(layout.file_size, '\0');
  std::memcpy(bytes.data(), layout.header.data(), layout.header.size());
  std::memcpy(bytes.data() + layout.offsets[0], ids.data(), ids.size_bytes());
  std::memcpy(bytes.data() + layout.offsets[1], logits.data(), logits.size_bytes());
  return bytes;
}

}  // namespace slim
