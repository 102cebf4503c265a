#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "router_service/resilience/outcome_window.h"

namespace penstock::router {

enum class EjectionReason : uint8_t { kNone, kSuccessRate, kLatency };
absl::string_view EjectionReasonName(EjectionReason reason);  // "", "success rate", "latency"

// As config.v1.OutlierEjection has them, with its defaults.
struct EjectionOptions {
  bool off = false;
  absl::Duration window = absl::Seconds(10);
  uint32_t min_requests = 20;
  double max_share = 0.5;
  double success_gap = 0.2;
  double latency_ratio = 5;
  absl::Duration ejection_time = absl::Seconds(10);
  absl::Duration max_ejection_time = absl::Minutes(2);
};

// Of one replica.
struct Ejection {
  EjectionReason reason = EjectionReason::kNone;  // kNone: it is not ejected
  absl::Time until = absl::InfinitePast();
  absl::Time returned = absl::InfinitePast();  // from the last one
  uint32_t again = 0;                          // each within a window of its return

  bool ejected() const { return reason != EjectionReason::kNone; }
};

struct EjectionCandidate {
  bool available = true;  // healthy, and its breaker is closed
  OutcomeTotals recent;
  Ejection ejection;
};

// Replicas of an expert that may be ejected at once.
size_t MostEjected(size_t replicas, double max_share);

// Looks at all replicas of one expert: ejections whose time is over end, and a replica that is far
// worse than the median of the others that say something is ejected, the worst first, while the cap
// allows it and another available one stays. Where replicas left and the cap fell, the longest
// ejected return. Indices of those that were ejected.
std::vector<size_t> SweepOutliers(absl::Span<EjectionCandidate> replicas,
                                  const EjectionOptions& options, absl::Time now);

}  // namespace penstock::router
