#pragma once

#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "router_service/selection/selector.h"

namespace penstock::router {

// Who runs where a pool has a cascade: `first`, whatever price and headroom, because nothing is
// known before its answer; true, and `excluded` as it came, since the others may be asked after it.
// A promise of quality, another objective or named experts are no cascade's to keep; and where
// `first` breaks the request's own limits, or is unset, the selector chooses: false.
bool SelectFirst(Selector& selector, const CandidateColumns& candidates,
                 const SelectionLimits& limits, std::optional<uint32_t> first,
                 absl::Span<Exclusion> excluded, SelectionResult& result);

}  // namespace penstock::router
