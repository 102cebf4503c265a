#include "router_service/pacing/mirror_descent.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace penstock::router {

MirrorDescent::MirrorDescent(Options options, std::vector<double> start)
    : options_(options), prices_(std::move(start)) {
  for (size_t j = 0; j < prices_.size(); ++j) Move(j, 0);  // into the limits
}

void MirrorDescent::Step(absl::Span<const double> used) {
  for (size_t j = 0; j < prices_.size(); ++j) Move(j, 1 - used[j]);
}

void MirrorDescent::Move(size_t resource, double gradient) {
  double& price = prices_[resource];
  switch (options_.map) {
    case Map::kEuclidean:
      price = std::clamp(price - options_.step * gradient, 0.0, options_.most);
      return;
    case Map::kEntropic:
      price = std::clamp(price * std::exp(-options_.step * gradient), options_.least,
                         options_.most);
      return;
  }
}

}  // namespace penstock::router
