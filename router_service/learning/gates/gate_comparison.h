#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "router_service/gating/gate.h"
#include "router_service/learning/outcome_table.h"
#include "router_service/learning/train_report.h"

namespace penstock::router {

// A gate on rows that it was not fitted on, as the router would ask it: the quality of the expert
// with the largest weight, and by how much it differs from that of `other` (an expert a row) and of
// drawing one at random. Intervals are bootstrapped over ids; `seed` draws the replicates.
GateReport CompareGate(const std::string& name, const Gate& gate, const OutcomeTable& heldout,
                       absl::Span<const size_t> other, uint64_t seed);

}  // namespace penstock::router
