#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace penstock::kernels {

struct SimtLaunch {
  int64_t blocks = 1;
  int threads = 32;
  size_t shared_bytes = 0;
  uint32_t seed = 1;  // of the order in which blocks, and the threads between two meetings, run
};

// Runs a kernel's body on the CPU, one fiber a thread, defining what kernels/device/simt.h
// declares. It is as unkind as the device may be: shared memory starts as NaN, asynchronous copies
// land when they are waited for and not before, and threads run in a random order from one meeting
// (Sync or an operation of the warp) to the next, so that a missing one shows as a wrong result.
// Operands that are not aligned, rows of a matrix that share banks, lanes that meet in different
// operations and threads that wait for ever end the test with a message.
void RunSimt(const SimtLaunch& launch, const std::function<void()>& body);

}  // namespace penstock::kernels
