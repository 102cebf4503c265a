#pragma once

#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "router_service/pacing/resource.h"
#include "router_service/selection/selector.h"

namespace penstock::router {

// Budgets of resources beside joules in a choice: their prices come off the scores, and their
// headroom binds as that of joules does. `amounts`: by expert, what each is expected to take;
// empty: no such budget binds.

// Takes price * amount off the scores, a right answer being worth `value`.
void ApplyPrices(const OtherTerms& terms, absl::Span<const Amounts> amounts, double value,
                 CandidateColumns& candidates);

// SelectFirst (its contract holds); then, where these budgets do not cover who was chosen: the best
// that they cover, or else the one that takes least, degraded. Experts beyond headroom and those
// that the caller named run all the same.
bool SelectWithinBudgets(Selector& selector, const CandidateColumns& candidates,
                         absl::Span<const Amounts> amounts, const OtherTerms& terms,
                         const SelectionLimits& limits, std::optional<uint32_t> first,
                         absl::Span<Exclusion> excluded, SelectionResult& result);

}  // namespace penstock::router
