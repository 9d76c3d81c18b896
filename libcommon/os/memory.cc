#include "os/memory.h"

#include <malloc.h>

namespace slim {

void ReturnLargeBlocks() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 1 << 20);
#endif
}

}  // namespace slim
