#pragma once

#include "kernels/permute/permute.h"

namespace penstock::kernels {

// All pointers on the device. Defined in permute_cuda.cu.
void LaunchPermute(const PermuteArgs& args);

}  // namespace penstock::kernels
