#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "router_service/learning/outcome_table.h"

namespace penstock::router {

// What a gate learns of a request.
enum class GateLabels {
  kShared,   // all experts that are right, or best at their mean price, share it
  kUtility,  // the one expert of the largest utility, at what it cost this request
};

// Soft targets [experts, rows] for the gate. Without a price: quality over the sum of qualities, so
// that the right experts of a request share it; with one: the experts that attain the largest
// quality minus priced mean cost share it. A request that nobody gets right (without price) teaches
// nothing and has no target.
std::vector<float> SharedTargets(const OutcomeTable& table, double price);

// u(e) = r_e - price * a_e of each row, a_e its own cost or, where unknown, the expert's mean:
// argmax over the experts whose quality is known, ties to the cheaper, then the lower one; kNobody
// where none is. A new price needs nothing but this: no expert is asked again. Yao et al. 2024,
// arXiv:2404.15244.
inline constexpr size_t kNobody = std::numeric_limits<size_t>::max();
std::vector<size_t> UtilityLabels(const OutcomeTable& table, double price);

// Of either kind, [experts, rows]: a utility label takes all of its row.
std::vector<float> GateTargets(const OutcomeTable& table, GateLabels labels, double price);

}  // namespace penstock::router
