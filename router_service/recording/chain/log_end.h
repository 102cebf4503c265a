#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "penstock/v1/decision_log.pb.h"
#include "router_service/recording/chain/record_hash.h"

namespace penstock::router {

// A segment that is complete.
struct KeptSegment {
  uint64_t sequence = 0;
  std::string name;
  uint64_t bytes = 0;
  absl::Time ended;  // none of its records is later
};

// Where a log goes on after its router stopped, in order or not.
struct LogEnd {
  std::string log;        // id; empty: there is no log as yet
  uint64_t sequence = 0;  // of the last record
  RecordHash hash{};
  uint64_t oldest_sequence = 0;  // from where on it should be kept
  std::deque<KeptSegment> segments;
  std::optional<v1::LogRecovery> recovery;  // it did not end in order
};

// Finds it from the head, the headers and the last segment, and takes off that segment what a crash
// left that the head did not promise; the rest is on the disk then. What else is wrong stays as it
// is, and the log goes on after its head: the break is what `penstock log verify` then tells.
// FAILED_PRECONDITION where neither head nor last segment says where to go on.
absl::StatusOr<LogEnd> FindLogEnd(const std::string& folder, absl::Time now);

}  // namespace penstock::router
