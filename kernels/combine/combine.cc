#include "kernels/combine/combine.h"

namespace penstock::kernels {
namespace {

constexpr CombineImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, CombineCuda},
    {"avx512", Isa::kAvx512, CpuHasAvx512, CombineAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, CombineAvx2},
    {"reference", Isa::kReference, AlwaysSupported, CombineReference},
};

}  // namespace

Cost CombineCost(int64_t rows, int64_t k, int64_t dim) {
  const double m = static_cast<double>(rows), slots = static_cast<double>(k),
               n = static_cast<double>(dim);
  return {2 * m * slots * n, m * (4 * n * (slots + 1) + 8 * slots)};
}

Status CheckCombine(const CombineArgs& args) {
  if (args.rows < 0 || args.k < 0 || args.dim < 0 || args.pairs < 0) {
    return {Code::kInvalidArgument, "combine: negative size"};
  }
  if (args.rows == 0 || args.dim == 0) return {};
  if (args.y == nullptr || (args.pairs > 0 && args.h == nullptr) ||
      (args.k > 0 && (args.dst == nullptr || args.weights == nullptr))) {
    return {Code::kInvalidArgument, "combine: null operand"};
  }
  return {};
}

std::span<const CombineImpl> CombineImpls() { return kImpls; }

Status Combine(const CombineArgs& args) { return ForOp(CombineImpls()).run(args); }

}  // namespace penstock::kernels
