#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/block_sparse_attention/block_sparse_attention.h"

namespace penstock::kernels {
namespace {

// What a query of a sequence and key head sees.
std::vector<int64_t> Positions(const BlockSparseAttentionArgs& args, int64_t s, int64_t g,
                               int64_t query) {
  const int64_t lists = (args.queries + args.query_block - 1) / args.query_block;
  const int64_t list = (s * args.kv_heads + g) * lists + query / args.query_block;
  const int64_t first = args.first != nullptr ? args.first[s] : args.length[s] - args.queries;
  std::vector<int64_t> positions;
  if (first + query >= args.length[s]) return positions;
  for (int64_t p = 0; p <= first + query; ++p) {
    const int32_t* blocks = args.index + list * args.most_blocks;
    if (args.index == nullptr ||
        std::count(blocks, blocks + args.count[list], static_cast<int32_t>(p / args.block)) > 0) {
      positions.push_back(p);
    }
  }
  return positions;
}

void Attend(const float* q, const float* k, const float* v, const std::vector<int64_t>& positions,
            int64_t d, float* y) {
  std::vector<double> p;
  for (int64_t at : positions) {
    double dot = 0;
    for (int64_t c = 0; c < d; ++c) {
      dot += static_cast<double>(q[c]) * static_cast<double>(k[at * d + c]);
    }
    p.push_back(dot / std::sqrt(static_cast<double>(d)));
  }
  const double most = p.empty() ? 0 : *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& z : p) sum += z = std::exp(z - most);
  for (int64_t c = 0; c < d; ++c) {
    double value = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      value += p[i] * static_cast<double>(v[positions[i] * d + c]);
    }
    y[c] = p.empty() ? 0 : static_cast<float>(value / sum);
  }
}

}  // namespace

// Allocates, unlike the entries that serve.
Status BlockSparseAttentionReference(const BlockSparseAttentionArgs& args) {
  const Status status = CheckBlockSparseAttention(args);
  if (!status.ok()) return status;
  const int64_t d = args.head_dim, cache = args.most_blocks * args.block * d;
  for (int64_t s = 0; s < args.sequences; ++s) {
    for (int64_t query = 0; query < args.queries; ++query) {
      for (int64_t h = 0; h < args.heads && d > 0; ++h) {
        const int64_t g = h / (args.heads / args.kv_heads), at = (s * args.kv_heads + g) * cache;
        const int64_t head = ((s * args.queries + query) * args.heads + h) * d;
        Attend(args.q + head, args.k + at, args.v + at, Positions(args, s, g, query), d,
               args.y + head);
      }
    }
  }
  return status;
}

}  // namespace penstock::kernels
