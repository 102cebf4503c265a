#include "kernels/rms_norm/rms_norm.h"

namespace penstock::kernels {
namespace {

constexpr RmsNormImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, RmsNormCuda},
    {"avx512", Isa::kAvx512, CpuHasAvx512, RmsNormAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, RmsNormAvx2},
    {"reference", Isa::kReference, AlwaysSupported, RmsNormReference},
};

}  // namespace

Cost RmsNormCost(int64_t rows, int64_t dim) {
  const double n = static_cast<double>(rows) * static_cast<double>(dim);
  return {4 * n, 8 * n + 4 * static_cast<double>(dim)};
}

Status CheckRmsNorm(const RmsNormArgs& args) {
  if (args.rows < 0 || args.dim < 0) return {Code::kInvalidArgument, "rms_norm: negative size"};
  if (args.rows == 0 || args.dim == 0) return {};
  if (args.x == nullptr || args.weight == nullptr || args.y == nullptr) {
    return {Code::kInvalidArgument, "rms_norm: null operand"};
  }
  return {};
}

std::span<const RmsNormImpl> RmsNormImpls() { return kImpls; }

Status RmsNorm(const RmsNormArgs& args) { return ForOp(RmsNormImpls()).run(args); }

}  // namespace penstock::kernels
