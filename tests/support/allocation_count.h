#pragma once

#include <cstdint>

namespace penstock {

// How often this thread has called operator new, in binaries that link allocation_count.cc.
uint64_t AllocationsOfThread();

}  // namespace penstock
