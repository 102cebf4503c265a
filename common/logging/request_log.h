#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace penstock {

// How a request ended. What the caller wrote of it may be anything.
struct RequestEnd {
  absl::string_view service;  // "gateway", "router", "expert"
  absl::string_view request_id;
  absl::string_view pool;    // or model
  absl::string_view tenant;  // empty: not known
  const absl::Status& status;
  absl::Duration latency;
  // False: another service's word is passed on, and that one logs it.
  bool decided_here = true;
};

// One line a request that ended badly, at the service that decided so: `request_failed` (error)
// where the platform is at fault, `request_refused` and `request_of_stranger` (info),
// `request_invalid` (debug) where the caller is, and for debuggers `request_answered`. A read of the level is all that an answered
// request costs where nobody debugs.
void LogRequest(const RequestEnd& end);

}  // namespace penstock
