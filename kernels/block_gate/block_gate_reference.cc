#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/block_gate/block_gate.h"

namespace penstock::kernels {
namespace {

// Of query i, counted over all rows.
std::vector<double> Logits(const BlockGateArgs& args, int64_t i) {
  const int32_t keyed = args.keyed != nullptr ? args.keyed[i] : args.blocks[i];
  std::vector<double> logits(static_cast<size_t>(keyed), 0);
  for (size_t j = 0; j < logits.size(); ++j) {
    const float* key =
        args.keys + (i / args.queries * args.most_blocks + static_cast<int64_t>(j)) * args.dim;
    for (int64_t c = 0; c < args.dim; ++c) {
      logits[j] += static_cast<double>(args.q[i * args.dim + c]) * static_cast<double>(key[c]);
    }
    logits[j] /= std::sqrt(static_cast<double>(std::max<int64_t>(args.dim, 1)));
  }
  return logits;
}

// Adds those above the threshold.
void Above(const std::vector<double>& logits, double threshold, std::vector<bool>* kept) {
  double most = -std::numeric_limits<double>::infinity(), sum = 0;
  for (double z : logits) most = std::max(most, z);
  for (double z : logits) sum += std::exp(z - most);
  for (size_t j = 0; j < logits.size(); ++j) {
    if (std::exp(logits[j] - most) / sum > threshold) (*kept)[j] = true;
  }
}

// Adds the largest until `budget` are kept.
void Largest(const std::vector<double>& logits, int64_t budget, std::vector<bool>* kept) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  for (size_t j : order) {
    if (std::count(kept->begin(), kept->end(), true) >= budget) return;
    (*kept)[j] = true;
  }
}

std::vector<bool> Kept(const BlockGateArgs& args, int64_t i, bool* finite) {
  const std::vector<double> logits = Logits(args, i);
  const size_t blocks = static_cast<size_t>(args.blocks[i]);
  *finite = std::all_of(logits.begin(), logits.end(), [](double z) {
    return std::abs(z) <= static_cast<double>(std::numeric_limits<float>::max());
  });
  if (!*finite || (args.budget > 0 && static_cast<int64_t>(blocks) <= args.budget)) {
    return std::vector<bool>(blocks, true);
  }
  std::vector<bool> kept(blocks, false);
  for (size_t j = logits.size(); j < blocks; ++j) kept[j] = true;
  if (blocks > 0) kept.back() = true;
  if (blocks > 0 && args.keep_first) kept[0] = true;
  if (args.budget > 0) {
    Largest(logits, args.budget, &kept);
  } else {
    Above(logits, static_cast<double>(args.threshold), &kept);
  }
  return kept;
}

}  // namespace

// Allocates, unlike the entries that serve.
Status BlockGateReference(const BlockGateArgs& args) {
  const Status status = CheckBlockGate(args);
  if (!status.ok()) return status;
  for (int64_t i = 0; i < args.rows * args.queries; ++i) {
    bool finite = true;
    const std::vector<bool> kept = Kept(args, i, &finite);
    if (!finite && args.not_finite != nullptr) ++*args.not_finite;
    int32_t* index = args.index + i * args.most_blocks;
    int32_t count = 0;
    for (size_t j = 0; j < kept.size(); ++j) {
      if (kept[j]) index[count++] = static_cast<int32_t>(j);
    }
    std::fill(index + count, index + args.most_blocks, kNoBlock);
    args.count[i] = count;
  }
  return status;
}

}  // namespace penstock::kernels
