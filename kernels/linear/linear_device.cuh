#pragma once

#include "kernels/device/cuda_buffer.cuh"
#include "kernels/linear/linear.h"

namespace penstock::kernels {

// Packed weights on the device, for the length of one call.
inline LinearWeights UploadLinear(CudaCall* call, const LinearWeights& w) {
  return {call->Upload(w.panels, LinearPanels(w.out) * w.in * kPanelColumns),
          call->Upload(w.bias, w.out), w.in, w.out};
}

// All pointers on the device, strides explicit. Defined in linear_cuda.cu.
void LaunchLinear(const LinearArgs& args);

}  // namespace penstock::kernels
