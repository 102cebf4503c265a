#pragma once

#include "kernels/device/cuda_buffer.cuh"
#include "kernels/linear/linear.h"

namespace penstock::kernels {

// Packed weights on the device, for the length of one call.
inline LinearWeights UploadLinear(CudaCall* call, const LinearWeights& w) {
  const int64_t columns = LinearPanels(w.out) * kPanelColumns;
  LinearWeights on_device = w;
  on_device.panels =
      call->Upload(static_cast<const uint32_t*>(w.panels), columns * w.lines());
  on_device.bias = call->Upload(w.bias, w.out);
  on_device.scales = call->Upload(w.scales, columns * w.groups());
  return on_device;
}

// All pointers on the device, strides explicit. Defined in linear_cuda.cu.
void LaunchLinear(const LinearArgs& args);

}  // namespace penstock::kernels
