#include "router_service/selection/branch_and_bound.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace penstock::router {

// The multiplier where the relaxed subset just fits: the dual is convex, and its slope is the
// joules left.
double BranchAndBound::RootMultiplier(absl::Span<const SubsetItem> items, size_t k, double joules) {
  const auto energy_at = [&](double mu) {
    order_.clear();
    for (uint32_t i = 0; i < items.size(); ++i) {
      if (items[i].net - mu * items[i].energy_j > 0) order_.push_back(i);
    }
    if (order_.size() > k) {
      std::nth_element(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(k),
                       order_.end(), [&](uint32_t a, uint32_t b) {
                         const double x = items[a].net - mu * items[a].energy_j;
                         const double y = items[b].net - mu * items[b].energy_j;
                         return x != y ? x > y : a < b;
                       });
      order_.resize(k);
    }
    double sum = 0;
    for (const uint32_t i : order_) sum += items[i].energy_j;
    return sum;
  };
  double low = 0;
  double high = 0;
  for (const SubsetItem& item : items) {
    if (item.energy_j > 0) high = std::max(high, item.net / item.energy_j);
  }
  for (int i = 0; i < 30 && high > low; ++i) {
    const double middle = 0.5 * (low + high);
    (energy_at(middle) > joules ? low : high) = middle;
  }
  return high;
}

void BranchAndBound::FillBounds(absl::Span<const SubsetItem> items, size_t k) {
  const size_t n = items.size();
  items_count_ = n;
  tops_.resize(kMultipliers * (n + 1) * (k + 1));
  for (size_t m = 0; m < used_multipliers_; ++m) {
    double* row = tops_.data() + (m * (n + 1) + n) * (k + 1);
    std::fill(row, row + k + 1, 0.0);
    largest_.clear();
    for (size_t depth = n; depth-- > 0;) {
      row -= k + 1;
      const double value = items[depth].net - multipliers_[m] * items[depth].energy_j;
      if (value > 0) {
        const auto at = std::upper_bound(largest_.begin(), largest_.end(), value, std::greater<>());
        largest_.insert(at, value);
        if (largest_.size() > k) largest_.pop_back();
      }
      row[0] = 0;
      for (size_t c = 0; c < k; ++c) row[c + 1] = row[c] + (c < largest_.size() ? largest_[c] : 0);
    }
  }
}

double BranchAndBound::Bound(const Node& node, size_t k, double joules) const {
  double best = 0;
  for (size_t m = 0; m < used_multipliers_; ++m) {
    const double top = tops_[(m * (items_count_ + 1) + node.depth) * (k + 1) + k - node.taken];
    // With an unlimited budget only the multiplier 0 is used: 0 * infinity is no number.
    const double slack = multipliers_[m] > 0 ? multipliers_[m] * (joules - node.energy_j) : 0;
    const double bound = node.value + top + slack;
    if (m == 0 || bound < best) best = bound;
  }
  return best;
}

BranchAndBound::Result BranchAndBound::Solve(absl::Span<SubsetItem> items, size_t k, double joules,
                                             bool need_marked, size_t node_limit,
                                             std::vector<uint32_t>& picked) {
  Result result;
  multipliers_[0] = 0;
  used_multipliers_ = 1;
  double mu = 0;
  if (std::isfinite(joules)) {
    mu = RootMultiplier(items, k, joules);
    if (mu > 0) {
      multipliers_[1] = mu;
      multipliers_[2] = mu / 2;
      multipliers_[3] = mu * 2;
      used_multipliers_ = kMultipliers;
    }
  }
  // By what an item adds over the price of its joules: the first dive is a good subset already.
  std::sort(items.begin(), items.end(), [mu](const SubsetItem& a, const SubsetItem& b) {
    const double x = a.net - mu * a.energy_j;
    const double y = b.net - mu * b.energy_j;
    return x != y ? x > y : a.id < b.id;
  });
  FillBounds(items, k);
  path_.resize(k);
  stack_.clear();
  Node root;
  root.bound = Bound(root, k, joules);
  stack_.push_back(root);
  // A node must promise more than rounding.
  const auto hopeless = [&](double bound) {
    return result.found && bound <= result.value + 1e-12 * (1 + std::abs(result.value));
  };
  while (!stack_.empty()) {
    const Node node = stack_.back();
    if (hopeless(node.bound)) {
      stack_.pop_back();
      continue;
    }
    if (result.nodes == node_limit) {
      double open = node.bound;
      for (const Node& other : stack_) open = std::max(open, other.bound);
      result.gap = result.found ? std::max(0.0, open - result.value) : open;
      return result;
    }
    stack_.pop_back();
    ++result.nodes;
    if (node.takes) path_[node.taken - 1] = node.depth - 1;
    if (node.taken > 0 && (node.marked || !need_marked) &&
        (!result.found || node.value > result.value)) {
      result.found = true;
      result.value = node.value;
      picked.clear();
      for (size_t i = 0; i < node.taken; ++i) picked.push_back(items[path_[i]].id);
    }
    if (node.depth == items.size() || node.taken == k) continue;
    const SubsetItem& item = items[node.depth];
    Node without = node;
    ++without.depth;
    without.takes = false;
    without.bound = Bound(without, k, joules);
    if (!hopeless(without.bound)) stack_.push_back(without);
    if (node.energy_j + item.energy_j <= joules) {
      Node with = without;
      ++with.taken;
      with.value += item.net;
      with.energy_j += item.energy_j;
      with.marked |= item.marked;
      with.takes = true;
      with.bound = Bound(with, k, joules);
      if (!hopeless(with.bound)) stack_.push_back(with);
    }
  }
  return result;
}

}  // namespace penstock::router
