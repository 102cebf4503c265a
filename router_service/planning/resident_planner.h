#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "common/time/clock.h"
#include "router_service/planning/set_search.h"

namespace penstock::router {

// Which experts should be awake at all, under a limit of watts? An awake expert draws idle watts
// whether it is asked or not; what they leave is spent request by request, where it buys most, at
// the price that the pacer finds:
//   max over S of V(S; (watts - sum of idle_i over S) / rate),
//   V(S; B) = the most value with at most k of S asked in a request and B joules a request on
//   average
//           = min over p >= 0 of mean_x (sum of the k largest max(0, v_i(x) - p a_i(x)), i in S) +
//           p B.
// Without idle watts an expert that is awake and never asked costs nothing, so all experts with
// prices are as good as any choice.
struct ResidentRequest {
  size_t experts = 0, rows = 0;
  std::vector<double> values;      // [experts, rows], predicted quality
  std::vector<double> joules;      // [experts, rows], active joules
  std::vector<double> idle_watts;  // [experts]
  std::vector<double> latency_s;   // [experts], or empty
  double latency_limit_s = std::numeric_limits<double>::infinity();
  double watts = 0;  // idle and active together
  double requests_per_s = 0;
  size_t k = 1;
  std::vector<size_t> required, forbidden;
};

struct ResidentPlan {
  std::vector<size_t> experts;  // ascending
  double value = 0;             // mean a request, on the sample
  double bound = 0;             // no set has more
  double price_per_joule = 0;
  double idle_watts = 0, active_watts = 0;
  std::vector<double> share;  // [experts] of requests that ask it
  // All that latency and prohibition allow, awake, at their own best price. Unset where their idle
  // watts alone are more than the limit.
  double all_value = 0;
  bool all_fit = false;
  size_t nodes = 0;
  SearchEnd end = SearchEnd::kProven;

  double gap() const { return bound - value; }
  // Whether choosing is worth anything against keeping all awake.
  bool choosing_pays() const { return !all_fit || value > all_value + 1e-6; }
};

absl::StatusOr<ResidentPlan> PlanResidents(const ResidentRequest& request,
                                           const SetSearchLimits& search, const Clock& clock);

// One sentence: whether choosing who is awake pays, and by how much.
std::string DescribeChoice(const ResidentPlan& plan);

}  // namespace penstock::router
