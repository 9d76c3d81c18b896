#include "run/block_options.h"

#include <span>

#include "os/memory.h"

namespace slim {

void ResizeWide(std::vector<float>& values, uint64_t count) {
  if (count > values.capacity()) {
    values = std::vector<float>();
    values.reserve(count);
    PreferLargePages(std::as_writable_bytes(std::span(values.data(), count)));
  }
  values.resize(count);
}

}  // namespace slim
