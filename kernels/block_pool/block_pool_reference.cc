#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/block_pool/block_pool.h"

namespace penstock::kernels {
namespace {

struct Strides {
  int64_t sequence, head, position;
};

Strides StridesOf(const BlockPoolArgs& args) {
  const BlockPoolWeights& w = args.w;
  Strides strides = {args.sequence_stride, args.head_stride, args.position_stride};
  if (strides.position == 0) strides.position = w.head_dim;
  if (strides.head == 0) strides.head = args.most_blocks * w.block * w.head_dim;
  if (strides.sequence == 0) strides.sequence = w.gate_heads * w.group * strides.head;
  return strides;
}

// One pool of one element of a head, over a block's positions.
double Pool(const std::vector<double>& values, uint8_t pool) {
  double sum = 0;
  for (double v : values) sum += v;
  for (double v : values) {
    if (std::isnan(v)) return v;
  }
  if (pool == kPoolMax) return *std::max_element(values.begin(), values.end());
  if (pool == kPoolMin) return *std::min_element(values.begin(), values.end());
  return sum / static_cast<double>(values.size());
}

std::vector<double> Pooled(const BlockPoolArgs& args, int64_t s, int64_t gate_head, int64_t block) {
  const BlockPoolWeights& w = args.w;
  const Strides strides = StridesOf(args);
  const int64_t end = std::min<int64_t>((block + 1) * w.block, args.length[s]);
  std::vector<double> pooled;
  for (int64_t h = gate_head * w.group; h < (gate_head + 1) * w.group; ++h) {
    for (uint8_t pool : {kPoolMax, kPoolMin, kPoolMean}) {
      for (int64_t c = 0; (w.pools & pool) != 0 && c < w.head_dim; ++c) {
        std::vector<double> values;
        for (int64_t p = block * w.block; p < end; ++p) {
          values.push_back(static_cast<double>(
              args.x[s * strides.sequence + h * strides.head + p * strides.position + c]));
        }
        pooled.push_back(Pool(values, pool));
      }
    }
  }
  return pooled;
}

std::vector<double> Multiply(const LinearWeights& w, const std::vector<double>& x) {
  std::vector<double> y;
  for (int64_t n = 0; n < w.out; ++n) {
    double sum = w.bias != nullptr ? static_cast<double>(w.bias[n]) : 0;
    for (int64_t k = 0; k < w.in; ++k) sum += x[static_cast<size_t>(k)] * PanelWeight(w, n, k);
    y.push_back(sum);
  }
  return y;
}

void Rotate(double position, double base, std::vector<double>* z) {
  const size_t half = z->size() / 2;
  for (size_t i = 0; i < half; ++i) {
    const double angle =
        position * std::pow(base, -2 * static_cast<double>(i) / static_cast<double>(z->size()));
    const double a = (*z)[i], b = (*z)[half + i];
    (*z)[i] = a * std::cos(angle) - b * std::sin(angle);
    (*z)[half + i] = b * std::cos(angle) + a * std::sin(angle);
  }
}

}  // namespace

// Allocates, unlike the entries that serve: doubles do not fit the callers' workspace.
Status BlockPoolReference(const BlockPoolArgs& args) {
  const Status status = CheckBlockPool(args);
  if (!status.ok()) return status;
  const BlockPoolWeights& w = args.w;
  const int64_t dim = w.gate_heads > 0 ? w.project[0].out : 0;
  for (int64_t s = 0; s < args.sequences && args.most_blocks * dim > 0; ++s) {
    const int64_t first = args.first_block != nullptr ? args.first_block[s] : 0;
    for (int64_t h = 0; h < w.gate_heads; ++h) {
      for (int64_t j = first; j < BlocksOf(args.length[s], w.block); ++j) {
        std::vector<double> z = Multiply(w.project[h], Pooled(args, s, h, j));
        const int64_t position =
            (args.rope_first != nullptr ? args.rope_first[s] : 0) + j * args.rope_step;
        if (w.rope_base > 0) {
          Rotate(static_cast<double>(position), static_cast<double>(w.rope_base), &z);
        }
        float* y = args.y + ((s * w.gate_heads + h) * args.most_blocks + j) * dim;
        for (size_t i = 0; i < z.size(); ++i) y[i] = static_cast<float>(z[i]);
      }
    }
  }
  return status;
}

}  // namespace penstock::kernels
