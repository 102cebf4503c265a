#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/time/clock.h"
#include "router_service/planning/coverage.h"
#include "router_service/planning/set_cost.h"
#include "router_service/planning/set_search.h"

namespace penstock::router {

// Which experts does an application class admit?
//   max F(S)  with  E(S) <= limits.energy_j, D(S) <= limits.latency_s, required in S, none of
//   forbidden
struct ClassPlanRequest {
  std::vector<ExpertCost> costs;
  SetLimits limits;
  std::vector<size_t> required, forbidden;
  std::vector<size_t> warm_start;  // a plan that held before; speeds the search, does not change it
};

struct ClassPlan {
  std::vector<size_t> experts;  // ascending
  double value = 0;             // F(S)
  double bound = 0;             // no admissible set is worth more
  double energy_j = 0;          // E(S)
  double latency_s = 0;         // D(S)
  size_t nodes = 0;
  SearchEnd end = SearchEnd::kProven;

  double gap() const { return bound - value; }
  double relative_gap() const { return value > 0 ? gap() / value : gap(); }
};

// INVALID_ARGUMENT for figures that make no sense, FAILED_PRECONDITION if the required experts
// alone break a limit. Values: Coverage of the class's requests.
absl::StatusOr<ClassPlan> PlanClass(const Coverage& values, const ClassPlanRequest& request,
                                    const SetSearchLimits& search, const Clock& clock);

enum class BindingLimit { kNone, kEnergy, kLatency, kEither, kBoth };
// "none", "energy", "latency", "either" (lifting one of them is enough), "both" (only lifting both
// helps)
absl::string_view BindingLimitName(BindingLimit binding);

// One way to have a better set by loosening one limit.
struct NextStep {
  double limit = 0;  // the least looser limit found that pays, to 1 %
  double more = 0;   // above the present limit
  double gain = 0;   // of F
  std::vector<size_t> experts;
};

struct PlanAdvice {
  BindingLimit binding = BindingLimit::kNone;
  double without_energy_limit = 0;   // F then
  double without_latency_limit = 0;  // F then
  std::optional<NextStep> next_joule, next_second;
};

// What the limits of a plan cost, found by planning again with looser ones.
absl::StatusOr<PlanAdvice> AdvisePlan(const Coverage& values, const ClassPlanRequest& request,
                                      const ClassPlan& plan, const SetSearchLimits& search,
                                      const Clock& clock);

struct FrontierPoint {
  double limit = 0;  // the energy limit that it was planned for
  ClassPlan plan;
};

// The best sets for `points` energy limits between the cheapest expert and all of them, each set
// once, by ascending joules; the latency limit stays.
absl::StatusOr<std::vector<FrontierPoint>> EnergyFrontier(const Coverage& values,
                                                          const ClassPlanRequest& request,
                                                          size_t points,
                                                          const SetSearchLimits& search,
                                                          const Clock& clock);

// Every row's posterior of being the responsible expert: the row's largest quality shared by those
// that reach it, 0 where nobody has any. A gate fitted to it needs no refit for a subset, whose
// optimum is the full one, restricted and renormalised. quality, result: [experts, rows].
std::vector<double> ResponsibilityShares(absl::Span<const double> quality, size_t experts,
                                         size_t rows);

// The weights of `set`, renormalised over it; all 0 where they sum to 0.
std::vector<double> RestrictWeights(absl::Span<const double> weights, absl::Span<const size_t> set);

}  // namespace penstock::router
