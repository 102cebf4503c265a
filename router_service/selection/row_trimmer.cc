#include "router_service/selection/row_trimmer.h"

#include <algorithm>

namespace penstock::router {

void RowTrimmer::Trim(absl::Span<RowPair> pairs, const RowTrimLimits& limits,
                      absl::Span<uint8_t> keep, RowTrimResult& result) {
  result = RowTrimResult();
  constexpr uint32_t kNobody = ~uint32_t{0};
  best_.assign(limits.rows, kNobody);
  for (uint32_t i = 0; i < pairs.size(); ++i) {
    uint32_t& best = best_[pairs[i].row];
    const bool better =
        best == kNobody || pairs[i].weight > pairs[best].weight ||
        (pairs[i].weight == pairs[best].weight && pairs[i].expert < pairs[best].expert);
    if (better) best = i;
  }
  std::fill(keep.begin(), keep.end(), uint8_t{1});
  double worth = 0;
  double energy = 0;
  for (const uint32_t i : best_) {
    if (i == kNobody) continue;
    worth += limits.value * pairs[i].weight;
    energy += pairs[i].energy_j;
  }
  order_.clear();
  for (uint32_t i = 0; i < pairs.size(); ++i) {
    if (best_[pairs[i].row] != i) order_.push_back(i);
  }
  // Weight per joule, descending, without dividing by joules that may be 0.
  std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
    const RowPair& x = pairs[a];
    const RowPair& y = pairs[b];
    const double left = x.weight * y.energy_j;
    const double right = y.weight * x.energy_j;
    if (left != right) return left > right;
    return x.row != y.row ? x.row < y.row : x.expert < y.expert;
  });

  result.curve.push_back({worth, energy});
  result.within_cap = energy <= limits.energy_cap_j;
  result.energy_j = energy;
  const size_t step = (order_.size() + kCurve - 2) / (kCurve - 1);
  bool open = true;  // by the cap: what follows a dropped pair is worth less a joule
  for (size_t at = 0; at < order_.size(); ++at) {
    const RowPair& pair = pairs[order_[at]];
    worth += limits.value * pair.weight;
    energy += pair.energy_j;
    if ((at + 1) % step == 0 || at + 1 == order_.size()) result.curve.push_back({worth, energy});
    const bool worthwhile = limits.value * pair.weight >= limits.price_per_joule * pair.energy_j;
    open = open && result.energy_j + pair.energy_j <= limits.energy_cap_j;
    if (worthwhile && open) {
      result.energy_j += pair.energy_j;
      continue;
    }
    keep[order_[at]] = 0;
    ++result.dropped;
    if (worthwhile) ++result.dropped_by_cap;
  }

  sum_.assign(limits.rows, 0);
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (keep[i] != 0) sum_[pairs[i].row] += pairs[i].weight;
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (keep[i] == 0) continue;
    if (sum_[pairs[i].row] > 0) {
      pairs[i].weight /= sum_[pairs[i].row];
    } else {
      pairs[i].weight = best_[pairs[i].row] == i ? 1 : 0;
    }
  }
}

}  // namespace penstock::router
