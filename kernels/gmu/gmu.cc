#include "kernels/gmu/gmu.h"

#include <algorithm>

namespace penstock::kernels {
namespace {

constexpr GmuImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, GmuCuda},
    {"avx512", Isa::kAvx512, CpuHasAvx512, GmuAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, GmuAvx2},
    {"reference", Isa::kReference, AlwaysSupported, GmuReference},
};

}  // namespace

size_t GmuLinearBytes(const GmuWeights& w, int64_t rows) {
  return std::max(LinearWorkspaceBytes(w.in, rows), LinearWorkspaceBytes(w.out, rows));
}

size_t GmuWorkspaceBytes(const GmuWeights& w, int64_t rows) {
  const int64_t block = std::min(rows, kGmuRowBlock);
  return kWorkspaceAlign + WorkspaceFloats(block * w.in.out) + GmuLinearBytes(w, block);
}

// A silu and its product count as 10 flops.
Cost GmuCost(int64_t rows, int64_t d, int64_t dm, int64_t o) {
  const double m = static_cast<double>(rows), memory = static_cast<double>(dm),
               weights = memory * static_cast<double>(d + o);
  return {m * (2 * weights + 10 * memory),
          4 * (weights + m * (memory + static_cast<double>(d + o)))};
}

Status CheckGmu(const GmuArgs& args) {
  const GmuWeights& w = args.w;
  if (args.rows < 0 || w.in.in < 0 || w.in.out < 0 || w.out.out < 0) {
    return {Code::kInvalidArgument, "gmu: negative size"};
  }
  if (w.in.out != w.out.in) {
    return {Code::kInvalidArgument, "gmu: in and out disagree in the memory's width"};
  }
  if (args.memory_stride != 0 && args.memory_stride < w.in.out) {
    return {Code::kInvalidArgument, "gmu: memory rows overlap"};
  }
  if (args.rows == 0 || w.out.out == 0) return {};
  if (args.y == nullptr || (w.in.in > 0 && args.x == nullptr) ||
      (w.in.out > 0 && args.memory == nullptr)) {
    return {Code::kInvalidArgument, "gmu: null operand"};
  }
  if (args.workspace.data == nullptr || args.workspace.bytes < GmuWorkspaceBytes(w, args.rows)) {
    return {Code::kInvalidArgument, "gmu: workspace too small"};
  }
  return {};
}

std::span<const GmuImpl> GmuImpls() { return kImpls; }

Status Gmu(const GmuArgs& args) { return ForOp(GmuImpls()).run(args); }

}  // namespace penstock::kernels
