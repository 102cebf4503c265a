#include "router_service/oip/pool_status.h"

#include "absl/strings/str_cat.h"
#include "router_service/pools/cacheable.h"

namespace penstock::router {

void DescribePool(const Pool& pool, double price_per_joule, v1::PoolStatus& status) {
  const PoolStatistics& statistics = pool.record->statistics;
  const PoolStatistics::Totals totals = statistics.totals();
  status.set_name(pool.name());
  status.set_granularity(config::v1::Pool::Granularity_Name(pool.config.granularity()));
  status.set_ready(pool.ready());
  for (const std::string& expert : pool.expert_names) status.add_experts(expert);
  status.set_requests(totals.successes + totals.failures);
  status.set_failures(totals.failures);
  status.set_energy_j(totals.joules);
  status.set_p50_ms(absl::ToDoubleMilliseconds(statistics.latencies().Quantile(0.5)));
  status.set_p99_ms(absl::ToDoubleMilliseconds(statistics.latencies().Quantile(0.99)));
  status.set_in_flight(totals.in_flight);
  status.set_price_per_joule(price_per_joule);
  if (!pool.config.has_cacheable() || pool.rooms == nullptr) return;
  if (absl::StatusOr<v1::CachePolicy> policy = ReadCacheable(pool.config); policy.ok()) {
    policy->set_version(pool.answer_version);
    *status.mutable_cache() = *std::move(policy);
  }
}

void DescribeExperts(const Pool& pool, v1::ListExpertsResponse& response) {
  const PoolStatistics::Totals totals = pool.record->statistics.totals();
  uint64_t dispatches = 0;
  for (const PoolStatistics::ExpertUse& use : totals.experts) dispatches += use.dispatches;
  for (size_t i = 0; i < pool.experts.size(); ++i) {
    const PoolExpert& expert = pool.experts[i];
    const PoolStatistics::ExpertUse& use = totals.experts[i];
    v1::ExpertStatus& status = *response.add_experts();
    status.set_pool(pool.name());
    status.set_name(expert.name);
    status.set_model(expert.model);
    status.set_admitted(expert.admitted);
    status.set_left_out_because(expert.left_out_because);
    status.set_requests(use.dispatches);
    if (use.dispatches > 0) {
      status.set_share(static_cast<double>(use.dispatches) / static_cast<double>(dispatches));
      status.set_energy_j_mean(use.joules / static_cast<double>(use.dispatches));
    }
    for (const std::shared_ptr<Replica>& replica : expert.replicas) {
      v1::ReplicaStatus& item = *status.add_replicas();
      item.set_address(replica->address());
      item.set_healthy(replica->healthy());
      const ReplicaGuard& guard = replica->guard();
      if (guard.has_breaker()) item.set_breaker(std::string(BreakerStateName(guard.state())));
      item.set_ejected(std::string(EjectionReasonName(guard.ejected())));
      item.set_in_flight(replica->in_flight());
      item.set_p50_ms(absl::ToDoubleMilliseconds(replica->latencies().Quantile(0.5)));
      item.set_p99_ms(absl::ToDoubleMilliseconds(replica->latencies().Quantile(0.99)));
      item.set_requests(replica->requests());
      item.set_failures(replica->failures());
    }
  }
}

absl::Status DescribePlan(const Pool& pool, v1::GetPlanResponse& response) {
  if (pool.record->planner == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("pool ", pool.name(), " does not plan: its configuration has no planning"));
  }
  const std::shared_ptr<const AdmissionPlan> plan = pool.record->planner->plan();
  if (plan == nullptr) {
    for (const std::string& expert : pool.expert_names) response.add_awake(expert);
    response.set_reason(absl::StrCat("no plan so far: it takes ", PoolPlanner::kLeastRows,
                                     " requests"));
    return absl::OkStatus();
  }
  response.set_version(plan->version);
  response.set_reason(std::string(ReplanReasonName(plan->reason)));
  response.set_verdict(plan->verdict);
  response.mutable_made()->set_seconds(absl::ToUnixSeconds(plan->made));
  for (size_t i = 0; i < plan->awake.size(); ++i) {
    (plan->awake[i] ? response.add_awake() : response.add_asleep())->assign(pool.expert_names[i]);
  }
  std::vector<std::string> names(plan->classes.size());
  for (const auto& [name, index] : pool.classes) names[index] = name;
  for (size_t c = 0; c < plan->classes.size(); ++c) {
    const ClassAdmission& admission = plan->classes[c];
    v1::ClassPlan& item = *response.add_classes();
    item.set_application_class(names[c]);
    for (size_t i = 0; i < admission.admitted.size(); ++i) {
      if (admission.admitted[i]) item.add_experts(pool.expert_names[i]);
    }
    item.set_value(admission.value);
    item.set_gap(admission.gap);
    item.set_energy_j(admission.energy_j);
    item.set_latency_ms(admission.latency_s * 1e3);
    item.set_problem(admission.problem);
  }
  return absl::OkStatus();
}

}  // namespace penstock::router
