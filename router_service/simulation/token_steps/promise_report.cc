#include "router_service/simulation/token_steps/promise_report.h"

#include <limits>

namespace penstock::router {
namespace {

// Of how many, how many were good.
struct Share {
  size_t of = 0;
  size_t good = 0;
  void Add(bool is_good) {
    ++of;
    good += is_good ? 1 : 0;
  }
  double value() const {
    return of > 0 ? static_cast<double>(good) / static_cast<double>(of)
                  : std::numeric_limits<double>::quiet_NaN();
  }
};

}  // namespace

PromiseReport MakePromiseReport(const TokenStepResult& result, const OutcomeMatrix& outcomes,
                                double from_s) {
  Share covered, promised, promised_hit, near, near_hit, unpromised_hit;
  std::vector<Share> by_expert(outcomes.experts.size());
  PromiseReport report;
  for (const TokenRun& run : result.runs) {
    if (run.arrived_s < from_s) continue;
    ++report.requests;
    const bool kept = run.latency_s() <= run.predicted_s;
    const bool hit = run.latency_s() <= run.deadline_s;
    covered.Add(kept);
    by_expert[run.expert].Add(kept);
    promised.Add(run.promised);
    (run.promised ? promised_hit : unpromised_hit).Add(hit);
    if (run.promised) {
      near.Add(run.predicted_s > kNear * run.deadline_s);
      if (run.predicted_s > kNear * run.deadline_s) near_hit.Add(hit);
    }
    const double quality = outcomes.Row(run.row)[run.expert].quality;
    report.quality += quality;
    report.promised_quality += run.promised ? quality : 0;
    report.wait_s_mean += run.started_s - run.arrived_s;
  }
  report.coverage = covered.value();
  report.worst_expert_coverage = std::numeric_limits<double>::quiet_NaN();
  for (size_t e = 0; e < by_expert.size(); ++e) {
    if (by_expert[e].of < kExpertRequests) continue;
    // The first comparison is with NaN.
    if (!(by_expert[e].value() >= report.worst_expert_coverage)) {
      report.worst_expert_coverage = by_expert[e].value();
      report.worst_expert = e;
    }
  }
  report.promised_share = promised.value();
  report.promised_hit_share = promised_hit.value();
  report.near_deadline_share = near.value();
  report.near_deadline_hit_share = near_hit.value();
  report.unpromised_share = 1 - promised.value();
  report.unpromised_hit_share = unpromised_hit.value();
  const double n = static_cast<double>(report.requests);
  report.quality /= n;
  report.promised_quality /= static_cast<double>(promised.good);
  report.wait_s_mean /= n;
  return report;
}

}  // namespace penstock::router
