#include "bench/replay/deadline_question.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "router_service/simulation/token_steps/promise_report.h"
#include "router_service/simulation/token_steps/token_profile.h"
#include "router_service/simulation/token_steps/token_simulation.h"

namespace penstock::router {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kPromises[] = {0.95, 0.99};
constexpr double kLoad = 0.7;
constexpr double kCountedFromSeconds = 300;

// Of the expert in the middle; of two, the faster.
double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>((values.size() - 1) / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

absl::StatusOr<Json> DeadlineQuestion(const ReplayCase& replay,
                                      const std::string& token_profiles_file, uint64_t seeds) {
  const OutcomeMatrix& outcomes = replay.outcomes;
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<TokenProfile> all,
                            ReadTokenProfiles(token_profiles_file));
  PENSTOCK_ASSIGN_OR_RETURN(const std::vector<TokenProfile> profiles,
                            InOrderOf(outcomes.experts, all));
  DeadlineDraw draw;
  draw.unit_s = Median(MeanUnloadedSeconds(outcomes, profiles));
  const double capacity = PoolCapacity(outcomes, profiles);
  Json rows = Json::array();
  for (const NamedTrace& named : replay.traces) {
    const ArrivalTrace trace = named.trace.Overlaid(kLoad * capacity / named.trace.rate());
    for (const double promise : kPromises) {
      for (uint64_t seed = 1; seed <= seeds; ++seed) {
        PENSTOCK_ASSIGN_OR_RETURN(
            const TokenStepResult result,
            SimulateTokenSteps(DrawArrivals(trace, outcomes.rows(), draw, seed), outcomes, profiles,
                               {.promise = promise}));
        const PromiseReport report = MakePromiseReport(result, outcomes, kCountedFromSeconds);
        rows.push_back({{"question", "deadline"},
                        {"set", replay.set},
                        {"trace", named.name},
                        {"promise", promise},
                        {"seed", seed},
                        {"requests", report.requests},
                        {"requests_per_second", trace.rate()},
                        {"load", kLoad},
                        {"deadline_unit_s", draw.unit_s},
                        {"coverage", report.coverage},
                        {"worst_expert_coverage", report.worst_expert_coverage},
                        {"worst_expert", outcomes.experts[report.worst_expert]},
                        {"promised_share", report.promised_share},
                        {"promised_hit_share", report.promised_hit_share},
                        {"near_deadline_share", report.near_deadline_share},
                        {"near_deadline_hit_share", report.near_deadline_hit_share},
                        {"unpromised_share", report.unpromised_share},
                        {"unpromised_hit_share", report.unpromised_hit_share},
                        {"quality", report.quality},
                        {"promised_quality", report.promised_quality},
                        {"wait_s_mean", report.wait_s_mean},
                        {"digest", absl::StrCat(absl::Hex(result.digest, absl::kZeroPad16))}});
      }
    }
  }
  return rows;
}

}  // namespace penstock::router
