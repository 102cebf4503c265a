#include "router_service/replicas/load_latency.h"

#include <algorithm>

namespace penstock::router {
namespace {
// One answer alone may be the one that stalled.
constexpr size_t kEnough = 3;
}  // namespace

size_t LoadLatency::IndexOf(double in_flight) {
  size_t index = 0;
  for (double limit = 1; index + 1 < kLoads && in_flight >= limit; limit *= 2) ++index;
  return index;
}

void LoadLatency::Add(double in_flight, absl::Duration latency, absl::Time now) {
  OfLoad& load = loads_[IndexOf(in_flight)];
  load.answers[load.next] = {now, absl::ToDoubleSeconds(latency)};
  load.next = (load.next + 1) % kKept;
  newest_ = std::max(newest_, now);
}

std::optional<double> LoadLatency::At(double in_flight, absl::Time oldest) const {
  if (newest_ == absl::InfinitePast() || newest_ < oldest) return std::nullopt;
  std::array<double, kLoads * kKept> found;
  size_t count = 0;
  const auto take = [&](size_t load) {
    for (const Answer& answer : loads_[load].answers) {
      if (answer.at != absl::InfinitePast() && answer.at >= oldest) found[count++] = answer.seconds;
    }
  };
  const size_t home = IndexOf(in_flight);
  take(home);
  for (size_t off = 1; off < kLoads && count < kEnough; ++off) {
    if (off <= home) take(home - off);
    if (home + off < kLoads) take(home + off);
  }
  // What came last may have pushed out newer answers: those of attempts need not end in order.
  if (count == 0) return std::nullopt;
  const auto middle = found.begin() + static_cast<ptrdiff_t>((count - 1) / 2);
  std::nth_element(found.begin(), middle, found.begin() + static_cast<ptrdiff_t>(count));
  return *middle;
}

}  // namespace penstock::router
