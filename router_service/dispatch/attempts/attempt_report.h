#pragma once

#include <optional>

#include "absl/time/time.h"
#include "common/net/infer_call.h"
#include "router_service/dispatch/energy_tally.h"

namespace penstock::router {

// What an expert's ORCA trailer says of one attempt. Other people's servers send none.
struct AttemptReport {
  std::optional<double> joules;
  EnergyMethod method = EnergyMethod::kUnknown;
  std::optional<absl::Duration> queue;
  std::optional<absl::Duration> compute;
  std::optional<double> queue_depth;
  std::optional<double> in_flight;  // those that wait too
};

// Reads `endpoint-load-metrics-bin`, or `x-orca-bin` where the client library hides the first key.
// A trailer that does not parse, or joules that are negative or not finite, count as absent.
AttemptReport ReadAttemptReport(const Metadata& trailers);

}  // namespace penstock::router
