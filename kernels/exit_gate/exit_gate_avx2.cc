#include "kernels/device/simd_avx2.h"
#include "kernels/device/simd_exp.h"
#include "kernels/exit_gate/exit_gate.h"
#include "kernels/exit_gate/exit_gate_rows.h"

namespace penstock::kernels {

Status ExitGateAvx2(const ExitGateArgs& args) { return ExitGateRows(args); }

}  // namespace penstock::kernels
