#include "kernels/associative_memory/associative_memory.h"

#include <algorithm>

namespace penstock::kernels {
namespace {

constexpr AssociativeMemoryImpl kImpls[] = {
    {"avx512", Isa::kAvx512, CpuHasAvx512, AssociativeMemoryAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, AssociativeMemoryAvx2},
    {"reference", Isa::kReference, AlwaysSupported, AssociativeMemoryReference},
};

std::vector<float> Transposed(const float* matrix, int64_t rows, int64_t columns) {
  std::vector<float> transposed;
  transposed.reserve(static_cast<size_t>(rows * columns));
  for (int64_t j = 0; j < columns; ++j) {
    for (int64_t i = 0; i < rows; ++i) transposed.push_back(matrix[i * columns + j]);
  }
  return transposed;
}

// Two arrays, one behind the other; zeros for one that is null.
std::vector<float> Stacked(const float* first, const float* second, int64_t count) {
  std::vector<float> stacked(static_cast<size_t>(2 * count), 0.0f);
  if (first != nullptr) std::copy_n(first, count, stacked.begin());
  if (second != nullptr) std::copy_n(second, count, stacked.begin() + count);
  return stacked;
}

PackedLinear Gates(const float* local_gate, const float* local_bias, const float* global_gate,
                   const float* global_bias, int64_t d) {
  const bool biased = local_bias != nullptr || global_bias != nullptr;
  return PackedLinear(Stacked(local_gate, global_gate, d * d).data(),
                      biased ? Stacked(local_bias, global_bias, d).data() : nullptr, d, 2 * d);
}

Status CheckWeights(const AssociativeMemoryWeights& w) {
  const int64_t d = w.keys.in, slots = w.keys.out;
  if (d < 0 || slots < 1) {
    return {Code::kInvalidArgument, "associative_memory: needs at least one slot"};
  }
  if (w.values.in != slots || w.values.out != d || w.gates.in != d || w.gates.out != 2 * d ||
      w.conv.channels != d) {
    return {Code::kInvalidArgument, "associative_memory: weights disagree in d or slots"};
  }
  if (w.conv.width < 1 || w.conv.width > kMostConvWidth) {
    return {Code::kInvalidArgument, "associative_memory: width must be 1 to 16"};
  }
  if (d > 0 && (w.norm_weight == nullptr || w.conv.taps == nullptr)) {
    return {Code::kInvalidArgument, "associative_memory: null weights"};
  }
  return {};
}

}  // namespace

PackedAssociativeMemory::PackedAssociativeMemory(const float* norm_weight, const float* norm_bias,
                                                 const float* conv, const float* conv_bias,
                                                 const float* memory, const float* local_gate,
                                                 const float* local_bias, const float* global_gate,
                                                 const float* global_bias, int64_t d, int64_t width,
                                                 int64_t slots, float eps)
    : norm_weight_(norm_weight, norm_weight + d),
      conv_(conv, conv_bias, d, width),
      keys_(memory, nullptr, d, slots),
      values_(Transposed(memory, slots, d).data(), nullptr, slots, d),
      gates_(Gates(local_gate, local_bias, global_gate, global_bias, d)),
      eps_(eps) {
  if (norm_bias != nullptr) norm_bias_.assign(norm_bias, norm_bias + d);
}

AssociativeMemoryWeights PackedAssociativeMemory::weights() const {
  return {norm_weight_.data(),
          norm_bias_.empty() ? nullptr : norm_bias_.data(),
          eps_,
          conv_.weights(),
          keys_.weights(),
          values_.weights(),
          gates_.weights()};
}

size_t PackedAssociativeMemory::bytes() const {
  return (norm_weight_.size() + norm_bias_.size()) * sizeof(float) + conv_.bytes() + keys_.bytes() +
         values_.bytes() + gates_.bytes();
}

size_t AssociativeLinearBytes(const AssociativeMemoryWeights& w, int64_t rows) {
  return std::max({LinearWorkspaceBytes(w.keys, rows), LinearWorkspaceBytes(w.values, rows),
                   LinearWorkspaceBytes(w.gates, rows)});
}

// h, local and global; scores; gates; a convolution's state.
size_t AssociativeMemoryWorkspaceBytes(const AssociativeMemoryWeights& w, int64_t sequences,
                                       int64_t steps) {
  const int64_t d = w.keys.in, rows = AssociativeBlock(sequences, steps);
  return kWorkspaceAlign + 3 * WorkspaceFloats(rows * d) + WorkspaceFloats(rows * w.keys.out) +
         WorkspaceFloats(rows * 2 * d) + WorkspaceFloats((w.conv.width - 1) * d) +
         AssociativeLinearBytes(w, rows);
}

// A layer norm counts as 8 flops an element, a softmax as 11, two gates and their sum as 20.
Cost AssociativeMemoryCost(const AssociativeMemoryWeights& w, int64_t sequences, int64_t steps) {
  const double rows = static_cast<double>(sequences) * static_cast<double>(steps),
               d = static_cast<double>(w.keys.in), m = static_cast<double>(w.keys.out),
               taps = static_cast<double>(w.conv.width);
  const double state = 2 * static_cast<double>(sequences) * (taps - 1) * d;
  return {rows * (d * (4 * m + 4 * d + 2 * taps + 28) + 11 * m),
          4 * (d * (2 * m + 2 * d + taps + 2) + 2 * rows * d + state)};
}

Status CheckAssociativeMemory(const AssociativeMemoryArgs& args) {
  const Status status = CheckWeights(args.w);
  if (!status.ok()) return status;
  if (args.sequences < 0 || args.steps < 0) {
    return {Code::kInvalidArgument, "associative_memory: negative size"};
  }
  if (args.sequences == 0 || args.steps == 0 || args.w.keys.in == 0) return {};
  if (args.x == nullptr || args.y == nullptr) {
    return {Code::kInvalidArgument, "associative_memory: null operand"};
  }
  if (args.workspace.data == nullptr ||
      args.workspace.bytes < AssociativeMemoryWorkspaceBytes(args.w, args.sequences, args.steps)) {
    return {Code::kInvalidArgument, "associative_memory: workspace too small"};
  }
  return {};
}

std::span<const AssociativeMemoryImpl> AssociativeMemoryImpls() { return kImpls; }

Status AssociativeMemory(const AssociativeMemoryArgs& args) {
  return ForOp(AssociativeMemoryImpls()).run(args);
}

}  // namespace penstock::kernels
