#include "kernels/prefix_ffn/prefix_ffn.h"

#include <algorithm>
#include <limits>

namespace penstock::kernels {
namespace {

constexpr PrefixFfnImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, PrefixFfnAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, PrefixFfnAvx2},
    {"reference", Isa::kReference, AlwaysSupported, PrefixFfnReference},
};

const float* At(const float* base, int64_t offset) {
  return base != nullptr ? base + offset : nullptr;
}

}  // namespace

PackedPrefixFfn::PackedPrefixFfn(const float* in, const float* in_bias, const float* out,
                                 const float* out_bias, const float* base, int64_t count, int64_t d,
                                 int64_t r, int64_t o, PrefixActivation activation) {
  for (int64_t i = 0; i < count; ++i) {
    matrices_.emplace_back(in + i * r * d, At(in_bias, i * r), d, r);
    matrices_.emplace_back(out + i * o * r, At(out_bias, i * o), r, o);
    learners_.push_back({matrices_[matrices_.size() - 2].weights(), matrices_.back().weights()});
  }
  if (base != nullptr) base_.assign(base, base + o);
  weights_ = {nullptr, count, d, r, o, activation, nullptr};
}

PrefixFfnWeights PackedPrefixFfn::weights() const {
  PrefixFfnWeights w = weights_;
  w.learners = learners_.data();
  if (!base_.empty()) w.base = base_.data();
  return w;
}

size_t PackedPrefixFfn::bytes() const {
  size_t bytes = base_.size() * sizeof(float);
  for (const PackedLinear& matrix : matrices_) bytes += matrix.bytes();
  return bytes;
}

size_t PrefixFfnLinearBytes(const PrefixFfnWeights& w, int64_t rows) {
  size_t most = 0;
  for (int64_t i = 0; i < w.count; ++i) {
    most = std::max({most, LinearWorkspaceBytes(w.learners[i].in, rows),
                     LinearWorkspaceBytes(w.learners[i].out, rows)});
  }
  return most;
}

size_t PrefixFfnWorkspaceBytes(const PrefixFfnWeights& w, int64_t rows) {
  const int64_t block = std::min(rows, kPrefixRowBlock);
  return kWorkspaceAlign + WorkspaceFloats(rows) + WorkspaceFloats(w.count + 1) +
         WorkspaceFloats(block * w.d) + WorkspaceFloats(block * w.r) +
         WorkspaceFloats(block * w.o) + PrefixFfnLinearBytes(w, block);
}

Cost PrefixFfnCost(const PrefixFfnWeights& w, int64_t rows, int64_t run, int64_t most) {
  const double learner = static_cast<double>(w.r) * static_cast<double>(w.d + w.o);
  return {static_cast<double>(run) * (2 * learner + 10 * static_cast<double>(w.r)),
          4 * (static_cast<double>(most) * learner +
               static_cast<double>(rows) * static_cast<double>(w.d + w.o + 1))};
}

Status CheckPrefixFfn(const PrefixFfnArgs& args) {
  const PrefixFfnWeights& w = args.w;
  if (args.rows < 0 || w.count < 0 || w.d < 0 || w.r < 0 || w.o < 0) {
    return {Code::kInvalidArgument, "prefix_ffn: negative size"};
  }
  if (args.rows > std::numeric_limits<int32_t>::max()) {
    return {Code::kUnsupported, "prefix_ffn: more than 2^31 - 1 rows"};
  }
  if (args.rows == 0 || w.o == 0) return {};
  if (args.width == nullptr || args.y == nullptr || (w.d > 0 && args.x == nullptr) ||
      (w.count > 0 && w.learners == nullptr)) {
    return {Code::kInvalidArgument, "prefix_ffn: null operand"};
  }
  for (int64_t i = 0; i < w.count; ++i) {
    const PrefixLearner& learner = w.learners[i];
    if (learner.in.in != w.d || learner.in.out != w.r || learner.out.in != w.r ||
        learner.out.out != w.o) {
      return {Code::kInvalidArgument, "prefix_ffn: learners must be of one shape"};
    }
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < PrefixFfnWorkspaceBytes(w, args.rows)) {
    return {Code::kInvalidArgument, "prefix_ffn: workspace too small"};
  }
  return {};
}

std::span<const PrefixFfnImpl> PrefixFfnImpls() { return kImpls; }

Status PrefixFfn(const PrefixFfnArgs& args) { return ForOp(PrefixFfnImpls()).run(args); }

}  // namespace penstock::kernels
