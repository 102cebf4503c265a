#include "router_service/replicas/power_of_two_choices.h"

#include <algorithm>

#include "absl/status/status.h"

namespace penstock::router {
namespace {

// Draws a usable replica other than `skip` with probability proportional to its rate;
// replicas.size(): there is none.
template <typename Usable>
size_t Draw(absl::Span<const ReplicaView> replicas, const Usable& usable, size_t skip,
            CounterRandom& random) {
  double total = 0;
  size_t last = replicas.size();
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (i == skip || !usable(i)) continue;
    total += replicas[i].rate;
    last = i;
  }
  if (last == replicas.size()) return last;
  double left = random.Uniform() * total;
  for (size_t i = 0; i < replicas.size(); ++i) {
    if (i == skip || !usable(i)) continue;
    left -= replicas[i].rate;
    if (left < 0) return i;
  }
  return last;  // rounding
}

}  // namespace

absl::StatusOr<size_t> PickOfTwo(absl::Span<const ReplicaView> replicas,
                                 absl::Span<const size_t> excluded, CounterRandom& random) {
  const auto usable = [&](size_t i) {
    return replicas[i].healthy && replicas[i].rate > 0 &&
           std::find(excluded.begin(), excluded.end(), i) == excluded.end();
  };
  const size_t none = replicas.size();
  const size_t a = Draw(replicas, usable, none, random);
  if (a == none) {
    return absl::UnavailableError(excluded.empty() ? "no healthy replica"
                                                   : "no other healthy replica");
  }
  const size_t b = Draw(replicas, usable, a, random);
  if (b == none) return a;
  const double delay_a = (replicas[a].in_flight + 1) / replicas[a].rate;
  const double delay_b = (replicas[b].in_flight + 1) / replicas[b].rate;
  if (delay_a != delay_b) return delay_a < delay_b ? a : b;
  return random.Below(2) == 0 ? a : b;
}

}  // namespace penstock::router
