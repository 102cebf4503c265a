#pragma once

#include "kernels/gated_mlp/gated_mlp.h"
#include "kernels/linear/linear_device.cuh"

namespace penstock::kernels {

// act(gate) * up in place of gate; rows [gate: f, up: f], on the device. In gated_mlp_cuda.cu.
void LaunchGlu(Activation activation, float* gate_up, int64_t rows, int64_t f);

}  // namespace penstock::kernels
