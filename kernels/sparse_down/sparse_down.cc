#include "kernels/sparse_down/sparse_down.h"

#include <limits>

namespace penstock::kernels {
namespace {

constexpr SparseDownImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, SparseDownAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, SparseDownAvx2},
    {"reference", Isa::kReference, AlwaysSupported, SparseDownReference},
};

}  // namespace

Cost SparseDownCost(int64_t rows, int64_t f, int64_t d, int64_t active, int64_t read) {
  const double n = static_cast<double>(d);
  return {2 * static_cast<double>(active) * n,
          4 * (static_cast<double>(read) * n +
               static_cast<double>(rows) * (static_cast<double>(f) + n))};
}

Status CheckSparseDown(const SparseDownArgs& args) {
  if (args.rows < 0 || args.f < 0 || args.d < 0) {
    return {Code::kInvalidArgument, "sparse_down: negative size"};
  }
  if (!(args.threshold >= 0 && args.threshold <= std::numeric_limits<float>::max())) {
    return {Code::kInvalidArgument, "sparse_down: the threshold must be finite and at least 0"};
  }
  if (args.rows == 0 || args.d == 0) return {};
  if (args.y == nullptr || (args.f > 0 && (args.h == nullptr || args.w == nullptr))) {
    return {Code::kInvalidArgument, "sparse_down: null operand"};
  }
  return {};
}

std::span<const SparseDownImpl> SparseDownImpls() { return kImpls; }

Status SparseDown(const SparseDownArgs& args) { return ForOp(SparseDownImpls()).run(args); }

}  // namespace penstock::kernels
