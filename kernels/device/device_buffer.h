#pragma once

#include <cstddef>
#include <utility>

#include "kernels/device/status.h"

namespace penstock::kernels {

// Owns memory of the current CUDA device. A build without CUDA refuses every call.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~DeviceBuffer();

  // In place of what it owns; contents undefined.
  Status Allocate(size_t bytes);
  // At byte `at`; returns when the copy is done, after all work of the default stream.
  Status Write(size_t at, const void* host, size_t bytes);
  Status Read(size_t at, void* host, size_t bytes) const;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace penstock::kernels
