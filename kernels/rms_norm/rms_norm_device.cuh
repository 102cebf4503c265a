#pragma once

#include "kernels/rms_norm/rms_norm.h"

namespace penstock::kernels {

// All pointers on the device. Defined in rms_norm_cuda.cu.
void LaunchRmsNorm(const RmsNormArgs& args);

}  // namespace penstock::kernels
