#include "kernels/value_mix/value_mix.h"

namespace penstock::kernels {
namespace {

constexpr ValueMixImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, ValueMixAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, ValueMixAvx2},
    {"reference", Isa::kReference, AlwaysSupported, ValueMixReference},
};

}  // namespace

size_t ValueMixWorkspaceBytes(int64_t heads, int64_t slots) {
  return kWorkspaceAlign + WorkspaceFloats(heads * (slots + 1));
}

Cost ValueMixCost(int64_t rows, int64_t heads, int64_t head_dim, int64_t slots) {
  const double m = static_cast<double>(rows), h = static_cast<double>(heads),
               n = h * static_cast<double>(head_dim), s = static_cast<double>(slots);
  return {m * (2 * s + 1) * n + m * h * (s + 1) * 12, 4 * m * (n * (s + 2) + h * (s + 1) + 1)};
}

Status CheckValueMix(const ValueMixArgs& args) {
  if (args.rows < 0 || args.heads < 0 || args.head_dim < 0 || args.slots < 0 ||
      args.vocabulary < 0) {
    return {Code::kInvalidArgument, "value_mix: negative size"};
  }
  if (args.rows == 0 || args.heads == 0 || args.head_dim == 0) return {};
  if (args.v == nullptr || args.gates == nullptr || args.token == nullptr ||
      (args.slots > 0 && args.vocabulary > 0 && args.bank == nullptr)) {
    return {Code::kInvalidArgument, "value_mix: null operand"};
  }
  for (int64_t t = 0; t < args.rows; ++t) {
    if (args.token[t] < 0 || args.token[t] >= args.vocabulary) {
      return {Code::kInvalidArgument, "value_mix: a token is not in the vocabulary"};
    }
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < ValueMixWorkspaceBytes(args.heads, args.slots)) {
    return {Code::kInvalidArgument, "value_mix: workspace too small"};
  }
  return {};
}

std::span<const ValueMixImpl> ValueMixImpls() { return kImpls; }

Status ValueMix(const ValueMixArgs& args) { return ForOp(ValueMixImpls()).run(args); }

}  // namespace penstock::kernels
