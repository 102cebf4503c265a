#include "kernels/moe_ffn/cuda/packed_experts.h"

#include <algorithm>
#include <vector>

namespace penstock::kernels {
namespace {

// Output n of a packed bfloat16 matrix as a row, 0 behind its end. `row` has an even stride.
void UnpackRow(const LinearWeights& w, int64_t n, int64_t stride, uint16_t* row) {
  std::fill(row, row + stride, uint16_t{0});
  const auto* words = static_cast<const uint32_t*>(w.panels) +
                      n / kPanelColumns * w.lines() * kPanelColumns + n % kPanelColumns;
  for (int64_t k = 0; k < w.in; ++k) {
    row[k] = static_cast<uint16_t>(words[k / 2 * kPanelColumns] >> (k % 2 * 16));
  }
}

float BiasOf(const LinearWeights& w, int64_t n) { return w.bias == nullptr ? 0 : w.bias[n]; }

// [gate_up_rows][d_stride], and the bias of each row (0 where the weights have none).
void PackGateUp(const GatedMlpWeights& w, const ExpertLayout& layout, uint16_t* weights,
                float* bias) {
  const int64_t stride = layout.d_stride();
  std::fill(weights, weights + layout.gate_up_rows() * stride, uint16_t{0});
  std::fill(bias, bias + layout.gate_up_rows(), 0.0f);
  for (int64_t n = 0; n < 2 * layout.f; ++n) {
    const bool up = n >= layout.f;
    const int64_t row = GateUpRow(up ? n - layout.f : n, up);
    UnpackRow(w.gate_up, n, stride, weights + row * stride);
    bias[row] = BiasOf(w.gate_up, n);
  }
}

// [o][f_stride], and the bias.
void PackDown(const GatedMlpWeights& w, const ExpertLayout& layout, uint16_t* weights,
              float* bias) {
  for (int64_t n = 0; n < layout.o; ++n) {
    UnpackRow(w.down, n, layout.f_stride(), weights + n * layout.f_stride());
    bias[n] = BiasOf(w.down, n);
  }
}

}  // namespace

bool AllBf16(const MoeWeights& w) {
  return std::all_of(w.experts, w.experts + w.count, [](const GatedMlpWeights& expert) {
    return expert.gate_up.format == WeightFormat::kBf16 &&
           expert.down.format == WeightFormat::kBf16;
  });
}

ExpertLayout LayoutOf(const MoeWeights& w) { return {w.count, w.d, w.f, w.o}; }

Status PackExperts(const MoeWeights& w,
                   const std::function<Status(size_t, const void*, size_t)>& write) {
  const ExpertLayout layout = LayoutOf(w);
  const int64_t gate_up = layout.gate_up_rows() * layout.d_stride();
  const int64_t down = layout.o * layout.f_stride();
  std::vector<uint16_t> weights(static_cast<size_t>(std::max(gate_up, down)));
  std::vector<float> bias(static_cast<size_t>(std::max(layout.gate_up_rows(), layout.o)));
  std::vector<uint8_t> activations;
  Status status;
  const auto write_expert = [&](int64_t e, size_t base, int64_t count, size_t bias_base,
                                int64_t rows) {
    const auto at = static_cast<size_t>(e), bytes = static_cast<size_t>(2 * count),
               bias_bytes = static_cast<size_t>(4 * rows);
    if (status.ok()) status = write(base + at * bytes, weights.data(), bytes);
    if (status.ok()) status = write(bias_base + at * bias_bytes, bias.data(), bias_bytes);
  };
  for (int64_t e = 0; e < w.count && status.ok(); ++e) {
    PackGateUp(w.experts[e], layout, weights.data(), bias.data());
    write_expert(e, layout.gate_up(), gate_up, layout.gate_up_bias(), layout.gate_up_rows());
    PackDown(w.experts[e], layout, weights.data(), bias.data());
    write_expert(e, layout.down(), down, layout.down_bias(), layout.o);
    activations.push_back(static_cast<uint8_t>(w.experts[e].activation));
  }
  if (status.ok()) status = write(layout.activations(), activations.data(), activations.size());
  return status;
}

}  // namespace penstock::kernels
