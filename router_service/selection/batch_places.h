#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace penstock::router {

// What each expert of a pool takes of `requests` that are assigned together, each at most all of
// them: its free slots; where these are too few, queues up to the level, the same number of
// requests a slot, at which there is room for all. By expert: requests in flight, and slots (0: it
// does not serve).
std::vector<uint32_t> PlacesFor(absl::Span<const double> in_flight, absl::Span<const double> slots,
                                size_t requests);

}  // namespace penstock::router
