#include "bench/replay/load_question.h"

#include <string>

#include "common/status_macros.h"
#include "router_service/simulation/load/load_simulation.h"

namespace penstock::router {
namespace {

using Json = nlohmann::ordered_json;

struct Contender {
  LoadPolicy policy;
  double window = 0;
};

constexpr Contender kContenders[] = {{LoadPolicy::kQuality},        {LoadPolicy::kFreeSlots},
                                     {LoadPolicy::kPriced},         {LoadPolicy::kTogether, 0.125},
                                     {LoadPolicy::kTogether, 0.25}, {LoadPolicy::kTogether, 0.5},
                                     {LoadPolicy::kTogether, 1}};
// Of each expert on the mean.
constexpr size_t kSlots = 16;

absl::StatusOr<Json> Row(const ReplayCase& replay, const Contender& contender, double utilisation,
                         uint64_t seeds) {
  LoadOptions options;
  options.policy = contender.policy;
  options.utilisation = utilisation;
  options.slots = kSlots * replay.outcomes.experts.size();
  if (contender.window > 0) options.window = contender.window;
  LoadReport mean;
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    options.seed = seed;
    PENSTOCK_ASSIGN_OR_RETURN(const LoadReport report, SimulateLoad(replay.outcomes, options));
    const auto count = static_cast<double>(seeds);
    mean.quality += report.quality / count;
    mean.p50 += report.p50 / count;
    mean.p99 += report.p99 / count;
    mean.busiest += report.busiest / count;
    mean.together += report.together / count;
  }
  return Json{{"question", "load"},
              {"set", replay.set},
              {"utilisation", utilisation},
              {"contender", std::string(LoadPolicyName(contender.policy))},
              {"window_run_times", contender.window},
              {"experts", replay.outcomes.experts.size()},
              {"slots", options.slots},
              {"requests", options.requests},
              {"seeds", seeds},
              {"quality", mean.quality},
              {"p50_run_times", mean.p50},
              {"p99_run_times", mean.p99},
              {"busiest_utilisation", mean.busiest},
              {"requests_together", mean.together}};
}

}  // namespace

absl::StatusOr<Json> LoadQuestion(const ReplayCase& replay, uint64_t seeds) {
  Json rows = Json::array();
  for (const double utilisation : {0.7, 0.8, 0.9, 0.95}) {
    for (const Contender& contender : kContenders) {
      PENSTOCK_ASSIGN_OR_RETURN(Json row, Row(replay, contender, utilisation, seeds));
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace penstock::router
