#include "router_service/evaluation/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/random.h"

namespace penstock::router {
namespace {

double Quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const size_t below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

GroupBootstrap::GroupBootstrap(absl::Span<const uint32_t> group, uint64_t seed)
    : group_(group.begin(), group.end()), seed_(seed) {
  for (const uint32_t g : group_) groups_ = std::max<size_t>(groups_, g + 1);
}

std::vector<float> GroupBootstrap::Weights(uint64_t replicate) const {
  CounterRandom random(seed_, replicate);
  std::vector<float> times(groups_, 0.0f);
  for (size_t draw = 0; draw < groups_; ++draw) times[random.Below(groups_)] += 1;
  std::vector<float> weights(group_.size());
  for (size_t row = 0; row < group_.size(); ++row) weights[row] = times[group_[row]];
  return weights;
}

Interval PercentileInterval(std::vector<double> replicates, double level) {
  std::erase_if(replicates, [](double value) { return std::isnan(value); });
  if (replicates.size() < 2) {
    const double none = std::numeric_limits<double>::quiet_NaN();
    return {none, none};
  }
  std::sort(replicates.begin(), replicates.end());
  return {Quantile(replicates, (1 - level) / 2), Quantile(replicates, (1 + level) / 2)};
}

}  // namespace penstock::router
