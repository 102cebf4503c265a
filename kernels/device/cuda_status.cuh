#pragma once

#include <cuda_runtime.h>

#include "kernels/device/status.h"

namespace penstock::kernels {

inline Status ToStatus(cudaError_t error) {
  if (error == cudaSuccess) return {};
  return {Code::kDeviceError, cudaGetErrorString(error)};
}

}  // namespace penstock::kernels
