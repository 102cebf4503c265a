#pragma once

#include <cstddef>
#include <optional>

#include "absl/types/span.h"
#include "router_service/replicas/replica_view.h"

namespace penstock::router {

// The requests in flight above which a replica is hot: of the n values in order the one at
// floor(quantile * n), the last at most. n > 0. Reorders `in_flight`.
double HotThreshold(absl::Span<double> in_flight, double quantile);

// Prequal's rule: of healthy replicas whose latency is known, tried ones too, the threshold; of
// those not `excluded` the cold one with the least latency, then the fewest in flight, then the
// first; where all are hot the one with the fewest in flight, then the least latency, then the
// first. Unset: there is none. Wydrowski et al. 2024, arXiv:2312.10172, section 4. The latency is
// one at the replica's present load, so that whoever is chosen often gets dearer. Allocates nothing
// for up to 16 replicas.
std::optional<size_t> PickHotCold(absl::Span<const ReplicaView> replicas,
                                  absl::Span<const size_t> excluded, double quantile);

}  // namespace penstock::router
