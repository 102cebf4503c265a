#pragma once

#include "kernels/combine/combine.h"

namespace penstock::kernels {

// All pointers on the device. Defined in combine_cuda.cu.
void LaunchCombine(const CombineArgs& args);

}  // namespace penstock::kernels
