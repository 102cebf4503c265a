#include <cuda_runtime.h>

#include "kernels/device/isa.h"

namespace penstock::kernels {

bool CudaDevicePresent() {
  static const bool present = [] {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
  }();
  return present;
}

}  // namespace penstock::kernels
