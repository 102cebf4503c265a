#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/pacing/reservation.h"
#include "router_service/simulation/decisions/mismatch.h"

namespace penstock::router {

// What its budgets told a request, by the journal's sequence.
using LoggedViews = absl::Span<const std::pair<uint64_t, BudgetTerms>>;

// Makes each choice of a decision again, from what its selector saw, and compares: price and
// headroom with what the budgets told as replayed, who is chosen and with which weights, who was
// asked later, and that nobody else ran. True: all the same.
bool ReplayChoices(const v1::Decision& decision, LoggedViews views, Mismatches& mismatches);

}  // namespace penstock::router
