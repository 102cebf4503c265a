#include "kernels/associative_memory/associative_memory.h"

// associative_memory_rows.h is written in terms of what comes before it.
// clang-format off
#include "kernels/device/simd_avx2.h"
#include "kernels/device/simd_exp.h"
#include "kernels/associative_memory/associative_memory_rows.h"
// clang-format on

namespace penstock::kernels {

Status AssociativeMemoryAvx2(const AssociativeMemoryArgs& args) {
  return AssociativeMemoryRows(args, {LinearAvx2, CausalConvAvx2, SoftmaxAvx2});
}

}  // namespace penstock::kernels
