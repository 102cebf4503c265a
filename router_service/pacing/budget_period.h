#pragma once

#include "absl/time/time.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// Zero for a budget per request.
inline absl::Duration PeriodLength(config::v1::Budget::Per per) {
  switch (per) {
    case config::v1::Budget::SECOND:
      return absl::Seconds(1);
    case config::v1::Budget::HOUR:
      return absl::Hours(1);
    case config::v1::Budget::DAY:
      return absl::Hours(24);
    default:  // protobuf's sentinels
      return absl::ZeroDuration();
  }
}

}  // namespace penstock::router
