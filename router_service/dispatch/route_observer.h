#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "penstock/v1/routing.pb.h"

namespace penstock::router {

// What became of one request.
struct RouteEvent {
  absl::string_view pool;  // empty: it names none of ours
  absl::StatusCode code = absl::StatusCode::kOk;
  absl::Duration latency;
  absl::Duration cpu;                      // of the routing itself
  const v1::Decision* decision = nullptr;  // null: refused before one was made
};

// Where counts go. Thread-safe.
class RouteObserver {
 public:
  virtual ~RouteObserver() = default;
  virtual void RequestFinished(const RouteEvent& event) = 0;
};

}  // namespace penstock::router
