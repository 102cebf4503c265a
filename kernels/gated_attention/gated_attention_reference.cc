#include <cmath>
#include <limits>
#include <vector>

#include "kernels/gated_attention/gated_attention.h"

namespace penstock::kernels {
namespace {

using Matrix = std::vector<std::vector<double>>;  // [positions][columns]

Matrix Multiply(const Matrix& x, const LinearWeights& w) {
  Matrix y(x.size(), std::vector<double>(static_cast<size_t>(w.out)));
  for (size_t p = 0; p < x.size(); ++p) {
    for (int64_t n = 0; n < w.out; ++n) {
      double sum = 0;
      for (int64_t k = 0; k < w.in; ++k) {
        sum += x[p][static_cast<size_t>(k)] * PanelWeight(w, n, k);
      }
      y[p][static_cast<size_t>(n)] = sum;
    }
  }
  return y;
}

Matrix Normed(const Matrix& x, const float* weight, float eps) {
  Matrix y = x;
  for (std::vector<double>& row : y) {
    double squares = 0;
    for (double v : row) squares += v * v;
    const double root =
        std::sqrt(squares / static_cast<double>(row.size()) + static_cast<double>(eps));
    for (size_t i = 0; i < row.size(); ++i) row[i] *= static_cast<double>(weight[i]) / root;
  }
  return y;
}

// Adds softmax(q K^T / sqrt(dh)) V * sigmoid(gate) of one head and one query to y.
void Attend(const Matrix& projected, size_t query, size_t head, size_t head_dim, size_t d,
            GateShape shape, std::vector<double>* y) {
  const size_t at = head * head_dim;
  std::vector<double> scores(projected.size());
  double max = -std::numeric_limits<double>::infinity();
  for (size_t p = 0; p < projected.size(); ++p) {
    for (size_t c = at; c < at + head_dim; ++c) {
      scores[p] += projected[query][c] * projected[p][d + c];
    }
    scores[p] /= std::sqrt(static_cast<double>(head_dim));
    if (scores[p] > max) max = scores[p];
  }
  double sum = 0;
  for (double& s : scores) sum += s = std::exp(s - max);
  for (size_t c = at; c < at + head_dim; ++c) {
    double value = 0;
    for (size_t p = 0; p < projected.size(); ++p)
      value += scores[p] / sum * projected[p][2 * d + c];
    const double gate = projected[query][3 * d + (shape == GateShape::kHeadWise ? head : c)];
    (*y)[c] = value / (1 + std::exp(-gate));
  }
}

}  // namespace

// Allocates, unlike the entries that serve: doubles do not fit the callers' workspace.
Status GatedAttentionReference(const GatedAttentionArgs& args) {
  const Status status = CheckGatedAttention(args);
  if (!status.ok()) return status;
  const GatedAttentionWeights& w = args.w;
  const size_t d = static_cast<size_t>(w.out.out), heads = static_cast<size_t>(w.heads);
  const size_t positions = static_cast<size_t>(args.positions);
  for (int64_t row = 0; row < args.rows; ++row) {
    const float* at = args.x + row * args.positions * w.out.out;
    Matrix x(positions);
    for (size_t p = 0; p < positions; ++p) x[p].assign(at + p * d, at + (p + 1) * d);
    const Matrix projected = Multiply(w.norm != nullptr ? Normed(x, w.norm, w.eps) : x, w.project);
    Matrix attended(positions, std::vector<double>(d));
    for (size_t p = 0; p < positions; ++p) {
      for (size_t h = 0; h < heads; ++h) {
        Attend(projected, p, h, d / heads, d, w.gate, &attended[p]);
      }
    }
    const Matrix out = Multiply(attended, w.out);
    float* y = args.y + row * args.positions * w.out.out;
    for (size_t p = 0; p < positions; ++p) {
      for (size_t i = 0; i < d; ++i) {
        y[p * d + i] = static_cast<float>(out[p][i] + (w.residual ? x[p][i] : 0));
      }
    }
  }
  return status;
}

}  // namespace penstock::kernels
