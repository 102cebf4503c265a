#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace penstock::gateway {

// Why a request was refused for want of room.
enum class ShedReason {
  kQuota,      // its tenant's own limit
  kQueueFull,  // and nobody in it has to make room
  kPushedOut,  // by one that is more urgent, or of a tenant with fewer waiting
  kNoTime,     // on arrival: its turn would come too late for its deadline
  kOutOfTime,  // its turn did not come in time, though it was expected to
  kDeadline,   // the same, and the deadline passed
};

// What happens at the gateway's door, for metrics. Must not block.
class AdmissionObserver {
 public:
  virtual ~AdmissionObserver() = default;
  // Before a request was admitted; 0 for most.
  virtual void Waited(absl::Duration waited) = 0;
  // `pool` is as its caller named it.
  virtual void Shed(absl::string_view pool, ShedReason reason) = 0;
  // Of a pool that has answered.
  virtual void LimitChanged(absl::string_view pool, uint32_t limit) = 0;
  // After each change, in order.
  virtual void Waiting(uint32_t queued, uint32_t in_flight) = 0;
};

}  // namespace penstock::gateway
