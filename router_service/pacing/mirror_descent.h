#pragma once

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// Online dual mirror descent over any number of resources (Balseiro, Lu, Mirrokni, Dual Mirror
// Descent for Online Allocation Problems, ICML 2020, arXiv:2002.10421). Resources are counted in
// shares of what the budget allows a request, so that prices are in quality units and one step
// serves all:
//   g_j = 1 - used_j;  Euclidean: p_j = max(0, p_j - step g_j);  entropic: p_j = p_j exp(-step g_j)
// Not thread-safe.
class MirrorDescent {
 public:
  enum class Map { kEuclidean, kEntropic };
  struct Options {
    Map map = Map::kEntropic;
    // .5 / sqrt(10,000): a memory of some 200 requests.
    double step = 0.005;
    // An entropic price that reached 0 would stay there.
    double least = 1e-4;
    double most = 10;
  };

  MirrorDescent(Options options, std::vector<double> start);

  // A request used these shares.
  void Step(absl::Span<const double> used);
  // A correction or a part of a request: `gradient` = allowed less used.
  void Move(size_t resource, double gradient);
  double price(size_t resource) const { return prices_[resource]; }
  absl::Span<const double> prices() const { return prices_; }

 private:
  const Options options_;
  std::vector<double> prices_;
};

}  // namespace penstock::router
