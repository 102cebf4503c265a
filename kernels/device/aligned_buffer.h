#pragma once

#include <cstddef>
#include <memory>

namespace penstock::kernels {

// Zeroed memory on a cache line boundary; on a 2 MiB one, with huge pages asked for, where large.
class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes);

  void* data() const { return data_.get(); }
  float* floats() const { return static_cast<float*>(data_.get()); }
  size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(void* p) const;
  };
  std::unique_ptr<void, Free> data_;
  size_t bytes_ = 0;
};

}  // namespace penstock::kernels
