#include "kernels/softmax/softmax.h"

namespace penstock::kernels {
namespace {

constexpr SoftmaxImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, SoftmaxCuda},
    {"avx512", Isa::kAvx512, CpuHasAvx512, SoftmaxAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, SoftmaxAvx2},
    {"reference", Isa::kReference, AlwaysSupported, SoftmaxReference},
};

}  // namespace

// An exp counts as 8 flops: its polynomial.
Cost SoftmaxCost(int64_t rows, int64_t dim) {
  const double n = static_cast<double>(rows) * static_cast<double>(dim);
  return {11 * n, 8 * n};
}

Status CheckSoftmax(const SoftmaxArgs& args) {
  if (args.rows < 0 || args.dim < 0) return {Code::kInvalidArgument, "softmax: negative size"};
  if (args.rows == 0 || args.dim == 0) return {};
  if (args.x == nullptr || args.y == nullptr) {
    return {Code::kInvalidArgument, "softmax: null operand"};
  }
  return {};
}

std::span<const SoftmaxImpl> SoftmaxImpls() { return kImpls; }

Status Softmax(const SoftmaxArgs& args) { return ForOp(SoftmaxImpls()).run(args); }

}  // namespace penstock::kernels
