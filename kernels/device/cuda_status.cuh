#pragma once

#include <cuda_runtime.h>

#include "kernels/device/status.h"

namespace penstock::kernels {

inline Status ToStatus(cudaError_t error) {
  if (error == cudaSuccess) return {};
  // It is told here; left in the runtime it would meet the thread's next call, which is good. What
  // no call survives stays there all the same.
  static_cast<void>(cudaGetLastError());
  return {Code::kDeviceError, cudaGetErrorString(error)};
}

}  // namespace penstock::kernels
