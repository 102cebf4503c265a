#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "router_service/planning/replan_trigger.h"

namespace penstock::router {

// Whom one application class may ask.
struct ClassAdmission {
  std::vector<uint8_t> admitted;  // [experts], who sleeps is not
  // Of the class's set, where it has limits and the plan was made: F, how far from the best it may
  // be, and what it takes.
  bool planned = false;
  double value = 0;
  double gap = 0;
  double energy_j = 0;
  double latency_s = 0;
  // Why there is no set of its own: everybody awake is admitted, less those it forbids.
  std::string problem;
};

// What the request path reads of planning. Immutable.
struct AdmissionPlan {
  uint64_t version = 0;
  ReplanReason reason = ReplanReason::kNone;
  absl::Time made;
  std::vector<ClassAdmission> classes;  // by the pool's class index; 0 is "none"
  std::vector<uint8_t> awake;           // [experts]
  std::string verdict;                  // whether choosing who is awake pays; empty: not asked
};

}  // namespace penstock::router
