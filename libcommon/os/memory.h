// How much memory there is, and how the process gives it back. Owns no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace slim {

// From here on every block of at least 1 MiB is mapped and unmapped on its own. The C library's
// default raises that limit to the largest block freed so far: freed tensors of a streaming tool
// then stay in the heaps of its threads, several times what is in use. Call once, before threads.
void ReturnLargeBlocks();

// Asks that whole large pages inside `memory`, which has not been touched yet, are used for it:
// fewer page faults while it is filled, fewer misses of the TLB after. No effect where there are
// none.
void PreferLargePages(std::span<std::byte> memory);

// Bytes that can be allocated without swapping, as the system estimates, and within the limit of
// the cgroup; 0 where nobody says.
uint64_t AvailableMemory();

}  // namespace slim
