// How the process gives memory back. Owns no memory.
#pragma once

namespace slim {

// From here on every block of at least 1 MiB is mapped and unmapped on its own. The C library's
// default raises that limit to the largest block freed so far: freed tensors of a streaming tool
// then stay in the heaps of its threads, several times what is in use. Call once, before threads.
void ReturnLargeBlocks();

}  // namespace slim
