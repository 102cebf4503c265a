#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "kernels/device/status.h"

namespace penstock::kernels {

// Host operands on the device for one call. The first failure sticks and turns the rest into
// no-ops.
class CudaCall {
 public:
  CudaCall() = default;
  CudaCall(const CudaCall&) = delete;
  CudaCall& operator=(const CudaCall&) = delete;

  template <typename T>
  T* Allocate(int64_t count) {
    void* p = nullptr;
    if (failed_ == cudaSuccess && count > 0) {
      Note(cudaMallocAsync(&p, static_cast<size_t>(count) * sizeof(T), nullptr));
      if (owned_count_ == kMaxBuffers) Note(cudaErrorMemoryAllocation);
      if (p != nullptr && owned_count_ < kMaxBuffers) owned_[owned_count_++] = p;
    }
    return static_cast<T*>(p);
  }

  // Null stays null.
  template <typename T>
  T* Upload(const T* host, int64_t count) {
    if (host == nullptr) return nullptr;
    T* p = Allocate<T>(count);
    if (failed_ == cudaSuccess && count > 0) {
      Note(cudaMemcpyAsync(p, host, static_cast<size_t>(count) * sizeof(T), cudaMemcpyHostToDevice,
                           nullptr));
    }
    return p;
  }

  template <typename T>
  void Download(T* host, const T* device, int64_t count) {
    Note(cudaGetLastError());
    if (failed_ == cudaSuccess && count > 0) {
      Note(cudaMemcpyAsync(host, device, static_cast<size_t>(count) * sizeof(T),
                           cudaMemcpyDeviceToHost, nullptr));
    }
  }

  bool failed() const { return failed_ != cudaSuccess; }

  // Frees, waits, reports. Exactly once.
  Status Finish() {
    Note(cudaGetLastError());
    for (int i = 0; i < owned_count_; ++i) Note(cudaFreeAsync(owned_[i], nullptr));
    Note(cudaStreamSynchronize(nullptr));
    if (failed_ != cudaSuccess) return {Code::kDeviceError, cudaGetErrorString(failed_)};
    return {};
  }

 private:
  static constexpr int kMaxBuffers = 16;

  void Note(cudaError_t error) {
    if (failed_ == cudaSuccess) failed_ = error;
  }

  cudaError_t failed_ = cudaSuccess;
  void* owned_[kMaxBuffers] = {};
  int owned_count_ = 0;
};

inline constexpr int kCudaThreads = 128;

// Blocks for one thread an element; kernels stride over the rest, so the cap costs nothing.
inline unsigned CudaBlocks(int64_t elements) {
  const int64_t blocks = (elements + kCudaThreads - 1) / kCudaThreads;
  constexpr int64_t kMost = 65535;
  return static_cast<unsigned>(blocks < 1 ? 1 : (blocks < kMost ? blocks : kMost));
}

#if defined(__CUDACC__)
__device__ inline int64_t CudaIndex() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline int64_t CudaStride() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }
#endif

}  // namespace penstock::kernels
