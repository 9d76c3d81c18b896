// How many processors this process may use. Starts no thread: parallel/ does.
#pragma once

namespace slim {

// The smaller of the affinity mask and the cgroup quota (rounded up), at least 1.
int DefaultThreadCount();

}  // namespace slim
