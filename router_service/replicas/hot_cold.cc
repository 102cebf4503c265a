#include "router_service/replicas/hot_cold.h"

#include <algorithm>
#include <tuple>

#include "absl/container/inlined_vector.h"

namespace penstock::router {

double HotThreshold(absl::Span<double> in_flight, double quantile) {
  const auto rank = static_cast<size_t>(quantile * static_cast<double>(in_flight.size()));
  const auto at = in_flight.begin() + static_cast<ptrdiff_t>(std::min(rank, in_flight.size() - 1));
  std::nth_element(in_flight.begin(), at, in_flight.end());
  return *at;
}

std::optional<size_t> PickHotCold(absl::Span<const ReplicaView> replicas,
                                  absl::Span<const size_t> excluded, double quantile) {
  const auto known = [&](size_t i) { return replicas[i].healthy && replicas[i].latency_s; };
  absl::InlinedVector<double, 16> loads;
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (known(i)) loads.push_back(replicas[i].in_flight);
  }
  if (loads.empty()) return std::nullopt;
  const double threshold = HotThreshold(absl::MakeSpan(loads), quantile);
  const auto rank = [&](size_t i) {
    const ReplicaView& replica = replicas[i];
    const bool hot = replica.in_flight > threshold;
    return hot ? std::tuple(hot, replica.in_flight, *replica.latency_s)
               : std::tuple(hot, *replica.latency_s, replica.in_flight);
  };
  std::optional<size_t> best;
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (!known(i) || std::find(excluded.begin(), excluded.end(), i) != excluded.end()) continue;
    if (!best || rank(i) < rank(*best)) best = i;
  }
  return best;
}

}  // namespace penstock::router
