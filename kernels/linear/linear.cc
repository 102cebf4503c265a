#include "kernels/linear/linear.h"

#include <algorithm>
#include <cstring>

#include "kernels/linear/linear_slices.h"

namespace penstock::kernels {
namespace {

// By blocks of rows and slices of columns.
template <LinearEntry kEntry>
Status Shared(const LinearArgs& args) {
  ThreadPool* pool = PoolWithRoom(args.workspace, [&](int threads) {
    return LinearWorkspaceBytes(args.w, args.rows, threads);
  });
  if (pool == nullptr) return kEntry(args);
  const Status status = CheckLinear(args);
  if (!status.ok() || args.rows == 0) return status;
  const int64_t most = LinearBlock(args.w, args.rows);
  const int64_t blocks = (args.rows + most - 1) / most;
  const ThreadScratch scratch = {pool, static_cast<char*>(args.workspace.data),
                                 LinearWorkspaceBytes(args.w, args.rows)};
  return RunLinears(blocks, args.rows, scratch, kEntry, [&](int64_t block) {
    const int64_t first = args.rows * block / blocks;
    return LinearRows(args, first, args.rows * (block + 1) / blocks);
  });
}

constexpr LinearImpl kImpls[] = {
    {"cuda", Isa::kCuda, CudaDevicePresent, LinearCuda},
    {"avx512bf16", Isa::kAvx512Bf16, CpuHasAvx512Bf16, Shared<LinearAvx512Bf16>},
    {"avx512", Isa::kAvx512, CpuHasAvx512, Shared<LinearAvx512>},
    {"avx2", Isa::kAvx2, CpuHasAvx2, Shared<LinearAvx2>},
    {"reference", Isa::kReference, AlwaysSupported, Shared<LinearReference>},
};

}  // namespace

void PackedLinear::Allocate(const float* bias, int64_t in, int64_t out, WeightFormat format,
                            int64_t group) {
  weights_ = {nullptr, nullptr, in, out, format, group, nullptr};
  const int64_t columns = LinearPanels(out) * kPanelColumns;
  const int64_t words = columns * weights_.lines(), scales = columns * weights_.groups();
  buffer_ = AlignedBuffer(static_cast<size_t>(words + scales + columns) * sizeof(float));
  weights_.panels = buffer_.data();
  if (scales > 0) weights_.scales = buffer_.floats() + words;
  if (bias != nullptr && out > 0) {
    float* copy = buffer_.floats() + words + scales;
    std::memcpy(copy, bias, static_cast<size_t>(out) * sizeof(float));
    weights_.bias = copy;
  }
}

void PackedLinear::Put(int64_t n, int64_t k, uint32_t code) {
  const int64_t codes = CodesPerWord(weights_.format), i = k % codes;
  const int64_t line = n / kPanelColumns * weights_.lines() + k / codes;
  const int64_t shift = i / 2 * FormatBits(weights_.format) + i % 2 * 16;
  static_cast<uint32_t*>(buffer_.data())[line * kPanelColumns + n % kPanelColumns] |= code << shift;
}

PackedLinear::PackedLinear(const float* weight, const float* bias, int64_t in, int64_t out,
                           WeightFormat format, int64_t group) {
  if (IsScaled(format)) {
    *this = PackedLinear(Quantize(weight, in, out, format, group), bias);
    return;
  }
  Allocate(bias, in, out, format, group);
  for (int64_t n = 0; n < out; ++n) {
    for (int64_t k = 0; k < in; ++k) Put(n, k, NearestCode(format, weight[n * in + k]));
  }
}

PackedLinear::PackedLinear(const CodedMatrix& matrix, const float* bias) {
  Allocate(bias, matrix.in, matrix.out, matrix.format, matrix.group);
  const int64_t groups = weights_.groups();
  float* scales = const_cast<float*>(weights_.scales);
  for (int64_t n = 0; n < matrix.out; ++n) {
    for (int64_t k = 0; k < matrix.in; ++k) {
      Put(n, k, matrix.codes[static_cast<size_t>(n * matrix.in + k)]);
    }
    for (int64_t g = 0; g < groups; ++g) {
      scales[(n / kPanelColumns * groups + g) * kPanelColumns + n % kPanelColumns] =
          matrix.scales[static_cast<size_t>(n * groups + g)];
    }
  }
}

double PanelWeight(const LinearWeights& w, int64_t n, int64_t k) {
  const int64_t codes = CodesPerWord(w.format), i = k % codes, bits = FormatBits(w.format);
  const int64_t line = n / kPanelColumns * w.lines() + k / codes;
  const uint32_t word =
      static_cast<const uint32_t*>(w.panels)[line * kPanelColumns + n % kPanelColumns];
  const uint32_t code =
      bits == 32 ? word : (word >> (i / 2 * bits + i % 2 * 16)) & ((1u << bits) - 1);
  const double value = static_cast<double>(CodeValue(w.format, code));
  if (!IsScaled(w.format)) return value;
  const int64_t group = w.group == 0 ? 0 : k / w.group;
  const int64_t at = (n / kPanelColumns * w.groups() + group) * kPanelColumns + n % kPanelColumns;
  return value * static_cast<double>(w.scales[at]);
}

size_t LinearWorkspaceBytes(const LinearWeights& w, int64_t rows, int threads) {
  if (!LinearPicksRows(w.format) || rows <= 0) return 0;
  const int64_t block = std::min(rows, LinearBlock(w, rows));
  size_t bytes = kWorkspaceAlign + WorkspaceFloats(block * LinearXStride(w.in));
  if (LinearExpands(w, rows)) {
    bytes += static_cast<size_t>(kExpandedBytes) +
             WorkspaceFloats(block * kExpandedPanels * kPanelColumns);
  }
  return static_cast<size_t>(threads) * bytes;
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
  if (args.x_rows != nullptr && !LinearPicksRows(args.w.format)) {
    return {Code::kInvalidArgument, "linear: rows of f32 products are not picked"};
  }
  if ((args.x_stride != 0 && args.x_stride < args.w.in) ||
      (args.y_stride != 0 && args.y_stride < args.w.out)) {
    return {Code::kInvalidArgument, "linear: rows overlap"};
  }
  if (IsScaled(args.w.format) && args.w.in > 0 && args.w.scales == nullptr) {
    return {Code::kInvalidArgument, "linear: null operand"};
  }
  const size_t wanted = LinearWorkspaceBytes(args.w, args.rows);
  if (wanted > 0 && (args.workspace.data == nullptr || args.workspace.bytes < wanted)) {
    return {Code::kInvalidArgument, "linear: workspace too small"};
  }
  return {};
}

std::span<const LinearImpl> LinearImpls() { return kImpls; }

Status Linear(const LinearArgs& args) { return ForOp(LinearImpls()).run(args); }

}  // namespace penstock::kernels
