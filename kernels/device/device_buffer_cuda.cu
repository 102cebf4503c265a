#include <cuda_runtime.h>

#include "kernels/device/cuda_status.cuh"
#include "kernels/device/device_buffer.h"

namespace penstock::kernels {
namespace {

constexpr Status kOutside = {Code::kInvalidArgument, "device buffer: copy beyond its end"};

}  // namespace

DeviceBuffer::~DeviceBuffer() {
  // Nobody to report to; an error sticks in the runtime and meets the next call.
  if (data_ != nullptr) static_cast<void>(cudaFree(data_));
}

Status DeviceBuffer::Allocate(size_t bytes) {
  *this = DeviceBuffer();
  if (bytes == 0) return {};
  const Status status = ToStatus(cudaMalloc(&data_, bytes));
  if (status.ok()) bytes_ = bytes;
  return status;
}

Status DeviceBuffer::Write(size_t at, const void* host, size_t bytes) {
  if (at > bytes_ || bytes > bytes_ - at) return kOutside;
  if (bytes == 0) return {};
  return ToStatus(cudaMemcpy(static_cast<char*>(data_) + at, host, bytes, cudaMemcpyHostToDevice));
}

Status DeviceBuffer::Read(size_t at, void* host, size_t bytes) const {
  if (at > bytes_ || bytes > bytes_ - at) return kOutside;
  if (bytes == 0) return {};
  return ToStatus(
      cudaMemcpy(host, static_cast<const char*>(data_) + at, bytes, cudaMemcpyDeviceToHost));
}

}  // namespace penstock::kernels
