#include "router_service/selection/batch_places.h"

#include <algorithm>
#include <cmath>

namespace penstock::router {

std::vector<uint32_t> PlacesFor(absl::Span<const double> in_flight, absl::Span<const double> slots,
                                size_t requests) {
  const size_t experts = slots.size();
  std::vector<uint32_t> places(experts, 0);
  // Up to `level` requests a slot.
  const auto fill = [&](double level) {
    size_t sum = 0;
    for (size_t i = 0; i < experts; ++i) {
      const double room = std::floor(level * slots[i] - in_flight[i] + 1e-9);
      places[i] = static_cast<uint32_t>(
          std::clamp(slots[i] > 0 ? room : 0.0, 0.0, static_cast<double>(requests)));
      sum += places[i];
    }
    return sum;
  };
  if (fill(1) >= requests) return places;
  double low = 1, high = 1;
  for (size_t i = 0; i < experts; ++i) {
    if (slots[i] <= 0) continue;
    high = std::max(high, (in_flight[i] + static_cast<double>(requests)) / slots[i]);
  }
  while (high - low > 1e-3) {
    const double middle = 0.5 * (low + high);
    (fill(middle) >= requests ? high : low) = middle;
  }
  fill(high);
  return places;
}

}  // namespace penstock::router
