#include "kernels/exit_gate/exit_gate.h"

namespace penstock::kernels {
namespace {

constexpr ExitGateImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, ExitGateAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, ExitGateAvx2},
    {"reference", Isa::kReference, AlwaysSupported, ExitGateReference},
};

}  // namespace

// An exp counts as 8 flops.
Cost ExitGateCost(int64_t rows, int64_t classes) {
  const double m = static_cast<double>(rows), n = static_cast<double>(classes);
  return {m * n * 18, m * (4 * n + 5)};
}

Status CheckExitGate(const ExitGateArgs& args) {
  if (args.rows < 0 || args.classes < 1) {
    return {Code::kInvalidArgument, "exit_gate: needs at least one class"};
  }
  if (args.rows == 0) return {};
  if (args.logits == nullptr || args.gate == nullptr || args.exit == nullptr) {
    return {Code::kInvalidArgument, "exit_gate: null operand"};
  }
  return {};
}

std::span<const ExitGateImpl> ExitGateImpls() { return kImpls; }

Status ExitGate(const ExitGateArgs& args) { return ForOp(ExitGateImpls()).run(args); }

}  // namespace penstock::kernels
