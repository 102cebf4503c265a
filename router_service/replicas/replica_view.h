#pragma once

#include <optional>

#include "absl/time/time.h"

namespace penstock::router {

// A replica as those see it that pick one.
struct ReplicaView {
  bool healthy = true;
  // Reported, plus this router's own since the report; where nothing is, this router's own and what
  // others told of theirs.
  double in_flight = 0;
  double rate = 1;  // requests per second that it serves, mu; relative rates do. 0: never picked
  // What answers of late took at a load like the present one; unset: none is of late.
  std::optional<double> latency_s;
  // The same of whenever there were answers last; unset: there was never one.
  std::optional<double> last_latency_s;
  absl::Time heard = absl::InfinitePast();  // when the newest of those came
  bool unanswered = false;  // an attempt has failed or was given up since its last answer
  bool asked = false;       // something of this router's is in flight there
};

}  // namespace penstock::router
