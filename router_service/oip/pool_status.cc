#include "router_service/oip/pool_status.h"

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
      item.set_in_flight(replica->in_flight());
      item.set_p50_ms(absl::ToDoubleMilliseconds(replica->latencies().Quantile(0.5)));
      item.set_p99_ms(absl::ToDoubleMilliseconds(replica->latencies().Quantile(0.99)));
      item.set_requests(replica->requests());
      item.set_failures(replica->failures());
    }
  }
}

}  // namespace penstock::router
