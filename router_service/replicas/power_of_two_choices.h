#pragma once

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/random.h"
#include "router_service/replicas/replica_view.h"

namespace penstock::router {

// Power of two choices: of two distinct healthy replicas, drawn with probability proportional to
// their rate, the one with the smaller expected delay (in_flight + 1) / rate; a tie goes to either
// with the same chance. Mitzenmacher 2001, IEEE TPDS 12(10). `excluded` are indices already tried.
// UNAVAILABLE where none is left. Allocates nothing.
absl::StatusOr<size_t> PickOfTwo(absl::Span<const ReplicaView> replicas,
                                 absl::Span<const size_t> excluded, CounterRandom& random);

}  // namespace penstock::router
