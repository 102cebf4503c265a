#include <algorithm>

#include <cuda_fp16.h>

#include "kernels/linear/linear_device.cuh"

namespace penstock::kernels {
namespace {

// CodeValue() on the device.
__device__ float DeviceCodeValue(WeightFormat format, uint32_t code) {
  switch (format) {
    case WeightFormat::kF32:
      return __uint_as_float(code);
    case WeightFormat::kBf16:
      return __uint_as_float(code << 16);
    case WeightFormat::kF16:
      return __half2float(__ushort_as_half(static_cast<unsigned short>(code)));
    case WeightFormat::kInt8:
      return static_cast<float>(static_cast<int8_t>(code));
    case WeightFormat::kInt4:
      return static_cast<float>(static_cast<int>(code) - (code & 8 ? 16 : 0));
    case WeightFormat::kFp8E4m3: {
      const float magnitude = __uint_as_float((code & 0x7F) << 20) * 0x1p120f;
      return code & 0x80 ? -magnitude : magnitude;
    }
    case WeightFormat::kTernary:
      return code == 1 ? 1.0f : code == 2 ? -1.0f : 0.0f;
    case WeightFormat::kPot4: {
      const float magnitude = __uint_as_float((127 - (code & 7)) << 23);
      return code & 8 ? -magnitude : magnitude;
    }
  }
  return 0;
}

// The layout of linear.h, worked out on the host.
struct Layout {
  int bits;
  bool scaled;
  int64_t lines;
  int64_t groups;
};

Layout LayoutOf(const LinearWeights& w) {
  return {FormatBits(w.format), IsScaled(w.format), w.lines(), w.groups()};
}

// PanelWeight() on the device, its scale multiplied in.
__device__ float DeviceWeight(const LinearWeights& w, const Layout& layout, int64_t n, int64_t k) {
  const int bits = layout.bits;
  const int64_t codes = 32 / bits, i = k % codes;
  const int64_t panel = n / kPanelColumns, column = n % kPanelColumns;
  const uint32_t word = static_cast<const uint32_t*>(
      w.panels)[(panel * layout.lines + k / codes) * kPanelColumns + column];
  if (bits == 32) return __uint_as_float(word);
  const uint32_t code = (word >> (i / 2 * bits + i % 2 * 16)) & ((1u << bits) - 1);
  const float value = DeviceCodeValue(w.format, code);
  if (!layout.scaled) return value;
  const int64_t group = w.group == 0 ? 0 : k / w.group;
  return value * w.scales[(panel * layout.groups + group) * kPanelColumns + column];
}

// One thread an output, one chain over k: a row's bits do not depend on the batch.
__global__ void LinearKernel(LinearArgs a, Layout layout) {
  for (int64_t i = CudaIndex(); i < a.rows * a.w.out; i += CudaStride()) {
    const int64_t row = i / a.w.out, n = i % a.w.out;
    const float* x = a.x + (a.x_rows != nullptr ? a.x_rows[row] : row) * a.x_stride;
    float sum = 0;
    for (int64_t k = 0; k < a.w.in; ++k) sum = fmaf(x[k], DeviceWeight(a.w, layout, n, k), sum);
    if (a.w.bias != nullptr) sum += a.w.bias[n];
    const int64_t at = row * a.y_stride + n;
    if (a.residual != nullptr) sum += a.residual[at];
    a.y[at] = sum;
  }
}

}  // namespace

void LaunchLinear(const LinearArgs& args) {
  LinearKernel<<<CudaBlocks(args.rows * args.w.out), kCudaThreads>>>(args, LayoutOf(args.w));
}

Status LinearCuda(const LinearArgs& args) {
  const Status status = CheckLinear(args);
  if (!status.ok() || args.rows == 0 || args.w.out == 0) return status;
  LinearArgs a = args;
  if (a.x_stride == 0) a.x_stride = a.w.in;
  if (a.y_stride == 0) a.y_stride = a.w.out;
  const int64_t y_count = (a.rows - 1) * a.y_stride + a.w.out;
  CudaCall call;
  a.w = UploadLinear(&call, args.w);
  int64_t last = a.rows - 1;
  if (args.x_rows != nullptr) last = *std::max_element(args.x_rows, args.x_rows + a.rows);
  a.x = call.Upload(args.x, last * a.x_stride + a.w.in);
  a.x_rows = call.Upload(args.x_rows, a.rows);
  a.y = call.Upload(args.y, y_count);  // the gaps between rows come back unchanged
  a.residual = call.Upload(args.residual, y_count);
  if (!call.failed()) LaunchLinear(a);
  call.Download(args.y, a.y, y_count);
  return call.Finish();
}

}  // namespace penstock::kernels
