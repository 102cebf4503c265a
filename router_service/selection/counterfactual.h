#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "router_service/selection/selection.h"

namespace penstock::router {

enum class LimitName : uint8_t { kEnergyCap, kHeadroom, kTimeLeft, kPrice, kMinQuality };

// Who would be chosen if one limit were another and all else the same.
struct Counterfactual {
  LimitName limit = LimitName::kEnergyCap;
  bool more = false;  // of the limit
  double present = 0;
  // The nearest value of the limit, in the unit of SelectionLimits, at which (exclusive: beyond
  // which) the experts chosen are others.
  double bound = 0;
  bool exclusive = false;
  SelectionResult selection;  // there; nobody where its `chosen` is empty
};

// Values of a limit that are gone through one by one.
inline constexpr size_t kTried = 128;

// For each limit the least change up and the least change down, where there is one, that changes
// who is chosen, by the selector itself. Exact: a time left or a promise of quality takes effect
// where it passes an expert's figure, and those are gone through; over prices, and over joules
// between the experts' own, each choice holds on one interval, so bisection down to neighbouring
// doubles finds its ends. (A selection that is not proven optimal may break an interval in two.)
// Of more figures than kTried they are gone through by doubling steps instead and the last step is
// bisected: who is chosen does change at the value named, but where the present choice comes back
// after a nearer change that change may be passed over.
// The price is looked for up to a million times the largest worth per joule, where no choice is
// left to it. `first`, `selection`: as SelectFirst took and gave them. For explanations: at most
// some 1500 selections, however large the pool; `selections` is how many.
std::vector<Counterfactual> Counterfactuals(const CandidateColumns& candidates,
                                            const SelectionLimits& limits,
                                            std::optional<uint32_t> first,
                                            const SelectionResult& selection,
                                            size_t* selections = nullptr);

}  // namespace penstock::router
