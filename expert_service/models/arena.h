#pragma once

#include <cstddef>
#include <vector>

#include "kernels/device/aligned_buffer.h"
#include "kernels/device/thread_pool.h"
#include "kernels/device/workspace.h"

namespace penstock::expert {

// The memory in which one worker runs models, and the threads that may help it. Buffers grow to the
// largest execution seen and stay: after warm-up nothing is allocated. Not thread-safe.
class Arena {
 public:
  // From kValues on, as many as the values that a model needs at a time.
  enum Slot : size_t { kAverage, kScratch, kAnswers, kRows, kLeaves, kValues };

  // `pool` null: nobody helps.
  explicit Arena(kernels::ThreadPool* pool = nullptr) : pool_(pool) {}

  int threads() const { return pool_ == nullptr ? 1 : pool_->threads(); }
  // At least `bytes`, contents undefined.
  void* Take(size_t slot, size_t bytes) {
    if (buffers_.size() <= slot) buffers_.resize(slot + 1);
    kernels::AlignedBuffer& buffer = buffers_[slot];
    if (buffer.bytes() < bytes) {
      buffer = kernels::AlignedBuffer();  // freed before its successor is allocated
      buffer = kernels::AlignedBuffer(bytes);
    }
    return buffer.data();
  }
  kernels::Workspace Scratch(size_t bytes) {
    void* data = Take(kScratch, bytes);
    return {data, buffers_[kScratch].bytes(), pool_};
  }

 private:
  kernels::ThreadPool* const pool_;
  std::vector<kernels::AlignedBuffer> buffers_;
};

}  // namespace penstock::expert
