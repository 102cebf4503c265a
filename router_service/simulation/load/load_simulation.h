#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "router_service/simulation/outcome_matrix.h"

namespace penstock::router {

// How requests come to their experts.
enum class LoadPolicy : uint8_t {
  kQuality,    // "quality": the best predicted, whatever its load
  kFreeSlots,  // "free slots": the best predicted with a free slot, else the shortest queue a slot
  kPriced,     // "priced": the best predicted less the price of load
  kTogether,   // "together": in windows while the pool is busy, else the best predicted
};
absl::string_view LoadPolicyName(LoadPolicy policy);

struct LoadOptions {
  LoadPolicy policy = LoadPolicy::kQuality;
  // Arrivals over what all slots serve, in (0, 1): Poisson.
  double utilisation = 0.9;
  size_t requests = 20000;
  // Slots of all experts; each expert has as many as let it serve its even part of the requests.
  size_t slots = 96;
  double max_utilisation = 0.85;  // of kPriced
  // Of kTogether: the window in units of the mean run time, and as the configuration has them.
  double window = 0.5;
  double busy = 0.7;
  size_t most = 256;
  double entropy = 0.05;
  uint64_t seed = 1;
};

struct LoadReport {
  double quality = 0;  // mean of the answers
  // From arrival to answer, in units of the mean run time.
  double p50 = 0, p99 = 0;
  double busiest = 0;   // share of its time that the busiest expert's slots ran
  double together = 0;  // mean requests a window; 0: there was none
  // Of every assignment and completion, in order: equal runs have equal digests.
  uint64_t digest = 0;
};

// Arrivals are rows of the matrix, drawn by (seed, number); each runs as long as was recorded of
// its expert, first come first served. Estimates are the matrix's. INVALID_ARGUMENT where options
// or the matrix mean nothing.
absl::StatusOr<LoadReport> SimulateLoad(const OutcomeMatrix& outcomes, const LoadOptions& options);

}  // namespace penstock::router
