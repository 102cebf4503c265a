#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/random.h"

namespace penstock::router {

// A replica as the picker sees it.
struct ReplicaView {
  bool healthy = true;
  double in_flight = 0;  // reported, plus this router's own since the report
  double rate = 1;  // requests per second that it serves, mu; relative rates do. 0: never picked
};

// Power of two choices: of two distinct healthy replicas, drawn with probability proportional to
// their rate, the one with the smaller expected delay (in_flight + 1) / rate; a tie goes to either
// with the same chance. Mitzenmacher 2001, IEEE TPDS 12(10). `excluded` are indices already tried.
// UNAVAILABLE where none is left. Allocates nothing.
absl::StatusOr<size_t> PickReplica(absl::Span<const ReplicaView> replicas,
                                   absl::Span<const size_t> excluded, CounterRandom& random);

}  // namespace penstock::router
