#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock::router {

// Requests in flight by replica (ReplicaKeys names them); those with none are left out.
using InFlightTable = std::map<std::string, uint64_t, std::less<>>;

// What one router has in flight, as it tells the others in one value of the store.
struct InFlightReport {
  // Whoever writes it, however little happens there, writes another number: a value that stays the
  // same is of a router that is gone.
  uint64_t round = 0;
  InFlightTable in_flight;
};

// Bounds of one report.
inline constexpr size_t kMostReportBytes = 64 << 10;
inline constexpr size_t kMostReportReplicas = 1024;
inline constexpr size_t kLongestReplicaKey = 512;

// "1 ROUND" and, for each replica, "IN_FLIGHT KEY", a line each; what the bounds leave no room for
// is those with the fewest, then the last by name. Keys that are too long or hold control
// characters, beside the tab within, are left out.
std::string FormatInFlightReport(const InFlightReport& report);
// INVALID_ARGUMENT for anything else than FormatInFlightReport writes.
absl::StatusOr<InFlightReport> ParseInFlightReport(absl::string_view text);

}  // namespace penstock::router
