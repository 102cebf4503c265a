#include "kernels/linear/linear.h"

#include <cstring>

namespace penstock::kernels {
namespace {

constexpr LinearImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, LinearCuda},
    {"avx512", Isa::kAvx512, CpuHasAvx512, LinearAvx512},
    {"avx2", Isa::kAvx2, CpuHasAvx2, LinearAvx2},
    {"reference", Isa::kReference, AlwaysSupported, LinearReference},
};

}  // namespace

PackedLinear::PackedLinear(const float* weight, const float* bias, int64_t in, int64_t out) {
  const int64_t panels = LinearPanels(out);
  const int64_t weights = panels * in * kPanelColumns;
  buffer_ = AlignedBuffer(static_cast<size_t>(weights + panels * kPanelColumns) * sizeof(float));
  float* packed = buffer_.floats();
  for (int64_t n = 0; n < out; ++n) {
    float* column = packed + n / kPanelColumns * in * kPanelColumns + n % kPanelColumns;
    for (int64_t k = 0; k < in; ++k) column[k * kPanelColumns] = weight[n * in + k];
  }
  weights_ = {packed, nullptr, in, out};
  if (bias != nullptr && out > 0) {
    std::memcpy(packed + weights, bias, static_cast<size_t>(out) * sizeof(float));
    weights_.bias = packed + weights;
  }
}

Cost LinearCost(int64_t rows, int64_t in, int64_t out) {
  const double m = static_cast<double>(rows), k = static_cast<double>(in),
               n = static_cast<double>(out);
  return {2 * m * k * n, 4 * (k * n + m * (k + n))};
}

Status CheckLinear(const LinearArgs& args) {
  if (args.rows < 0 || args.w.in < 0 || args.w.out < 0) {
    return {Code::kInvalidArgument, "linear: negative size"};
  }
  if (args.rows == 0 || args.w.out == 0) return {};
  if (args.y == nullptr || (args.w.in > 0 && (args.x == nullptr || args.w.panels == nullptr))) {
    return {Code::kInvalidArgument, "linear: null operand"};
  }
  if ((args.x_stride != 0 && args.x_stride < args.w.in) ||
      (args.y_stride != 0 && args.y_stride < args.w.out)) {
    return {Code::kInvalidArgument, "linear: rows overlap"};
  }
  return {};
}

std::span<const LinearImpl> LinearImpls() { return kImpls; }

Status Linear(const LinearArgs& args) { return ForOp(LinearImpls()).run(args); }

}  // namespace penstock::kernels
