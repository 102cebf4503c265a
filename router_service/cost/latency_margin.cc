#include "router_service/cost/latency_margin.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {

void LatencyMargin::Observe(bool miss) {
  const double gain = std::max(0.03, 0.3 / std::sqrt(1.0 + static_cast<double>(observations_)));
  theta_ += gain * ((miss ? 1.0 : 0.0) - (1.0 - promise_));
  ++observations_;
}

}  // namespace penstock::router
