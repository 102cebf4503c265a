#include "kernels/sinkhorn_assign/sinkhorn_assign.h"

#include "kernels/sinkhorn_assign/capacity_rounding.h"
#include "kernels/sinkhorn_assign/transport.h"

namespace penstock::kernels {
namespace {

constexpr SinkhornImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, SinkhornAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, SinkhornAvx2},
    {"reference", Isa::kReference, AlwaysSupported, SinkhornReference},
};

// Written so that NaN is not a mass.
bool Masses(const float* masses, int64_t count) {
  for (int64_t i = 0; masses != nullptr && i < count; ++i) {
    if (masses[i] == 0 || (masses[i] >= kLeastMass && masses[i] <= kMostMass)) continue;
    return false;
  }
  return true;
}

}  // namespace

size_t SinkhornWorkspaceBytes(int64_t rows, int64_t experts, int64_t k) {
  const int64_t padded = TransportColumns(experts);
  return kWorkspaceAlign + WorkspaceFloats(rows * padded) + 5 * WorkspaceFloats(padded) +
         3 * WorkspaceFloats(rows) + WorkspaceFloats(RoundingScratch(rows, experts, k));
}

// An exp counts as 8 flops; the logits stay in cache between iterations.
Cost SinkhornCost(int64_t rows, int64_t experts, int64_t iterations) {
  const double pairs = static_cast<double>(rows) * static_cast<double>(experts);
  return {pairs * static_cast<double>(iterations) * 14, 4 * pairs};
}

Status CheckSinkhorn(const SinkhornArgs& args) {
  if (args.rows < 0 || args.experts < 1) {
    return {Code::kInvalidArgument, "sinkhorn_assign: needs at least one expert"};
  }
  if (args.k < 1 || args.k > args.experts) {
    return {Code::kInvalidArgument, "sinkhorn_assign: k must be in 1 .. experts"};
  }
  if (args.iterations < 1) {
    return {Code::kInvalidArgument, "sinkhorn_assign: needs at least one iteration"};
  }
  if (!(args.temperature >= 1e-30f && args.temperature <= 1e30f)) {
    return {Code::kInvalidArgument, "sinkhorn_assign: temperature must be in 1e-30 .. 1e30"};
  }
  if (args.rows > kMaxSinkhornSlots / args.k) {
    return {Code::kUnsupported, "sinkhorn_assign: more than 2^30 slots"};
  }
  if (args.rows == 0) return {};
  if (args.logits == nullptr || args.potential == nullptr || args.ids == nullptr ||
      args.weights == nullptr) {
    return {Code::kInvalidArgument, "sinkhorn_assign: null operand"};
  }
  if (!Masses(args.row_mass, args.rows) || !Masses(args.expert_mass, args.experts)) {
    return {Code::kInvalidArgument, "sinkhorn_assign: a mass must be 0 or in 1e-12 .. 1e12"};
  }
  for (int64_t e = 0; args.capacity != nullptr && e < args.experts; ++e) {
    if (args.capacity[e] < 0) {
      return {Code::kInvalidArgument, "sinkhorn_assign: negative capacity"};
    }
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < SinkhornWorkspaceBytes(args.rows, args.experts, args.k)) {
    return {Code::kInvalidArgument, "sinkhorn_assign: workspace too small"};
  }
  return {};
}

std::span<const SinkhornImpl> SinkhornImpls() { return kImpls; }

Status SinkhornAssign(const SinkhornArgs& args) { return ForOp(SinkhornImpls()).run(args); }

}  // namespace penstock::kernels
