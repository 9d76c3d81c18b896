#include "os/memory.h"

#include <malloc.h>

#include <fstream>
#include <string>

namespace slim {

void ReturnLargeBlocks() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

uint64_t AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  uint64_t kibibytes = 0;
  while (file >> name >> kibibytes) {
    if (name == "MemAvailable:") return kibibytes << 10;
    file.ignore(256, '\n');
  }
  return 0;
}

}  // namespace slim
