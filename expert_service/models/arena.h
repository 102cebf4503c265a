#pragma once

#include <array>
#include <cstddef>

#include "kernels/device/aligned_buffer.h"
#include "kernels/device/workspace.h"

namespace penstock::expert {

// The memory in which one worker runs models. Buffers grow to the largest execution seen and stay:
// after warm-up nothing is allocated. Not thread-safe.
class Arena {
 public:
  enum Slot { kInput, kEven, kOdd, kAverage, kScratch, kSlots };

  // At least `bytes`, contents undefined.
  void* Take(Slot slot, size_t bytes) {
    kernels::AlignedBuffer& buffer = buffers_[slot];
    if (buffer.bytes() < bytes) {
      buffer = kernels::AlignedBuffer();  // freed before its successor is allocated
      buffer = kernels::AlignedBuffer(bytes);
    }
    return buffer.data();
  }
  kernels::Workspace Scratch(size_t bytes) {
    void* data = Take(kScratch, bytes);
    return {data, buffers_[kScratch].bytes()};
  }

 private:
  std::array<kernels::AlignedBuffer, kSlots> buffers_;
};

}  // namespace penstock::expert
