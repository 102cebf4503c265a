#include "gateway/page/status_merge.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace penstock::gateway {
namespace {

void Add(const v1::PoolStatus& part, v1::PoolStatus& pool) {
  // One router that serves it is enough.
  pool.set_ready(pool.ready() || part.ready());
  pool.set_requests(pool.requests() + part.requests());
  pool.set_failures(pool.failures() + part.failures());
  pool.set_energy_j(pool.energy_j() + part.energy_j());
  pool.set_in_flight(pool.in_flight() + part.in_flight());
  pool.set_p50_ms(std::max(pool.p50_ms(), part.p50_ms()));
  pool.set_p99_ms(std::max(pool.p99_ms(), part.p99_ms()));
  pool.set_price_per_joule(std::max(pool.price_per_joule(), part.price_per_joule()));
}

int Severity(absl::string_view breaker) {
  if (breaker == "open") return 3;
  if (breaker == "half-open") return 2;
  return breaker.empty() ? 0 : 1;
}

void Add(const v1::ReplicaStatus& part, v1::ReplicaStatus& replica) {
  replica.set_healthy(replica.healthy() && part.healthy());
  replica.set_in_flight(replica.in_flight() + part.in_flight());
  replica.set_requests(replica.requests() + part.requests());
  replica.set_failures(replica.failures() + part.failures());
  replica.set_p50_ms(std::max(replica.p50_ms(), part.p50_ms()));
  replica.set_p99_ms(std::max(replica.p99_ms(), part.p99_ms()));
  if (Severity(part.breaker()) > Severity(replica.breaker())) replica.set_breaker(part.breaker());
  if (replica.ejected().empty()) replica.set_ejected(part.ejected());
}

void Add(const v1::ExpertStatus& part, v1::ExpertStatus& expert) {
  expert.set_admitted(expert.admitted() && part.admitted());
  if (expert.left_out_because().empty()) expert.set_left_out_because(part.left_out_because());
  const auto before = static_cast<double>(expert.requests());
  const auto more = static_cast<double>(part.requests());
  if (before + more > 0) {
    expert.set_energy_j_mean(
        (expert.energy_j_mean() * before + part.energy_j_mean() * more) / (before + more));
  }
  expert.set_requests(expert.requests() + part.requests());
  for (const v1::ReplicaStatus& replica : part.replicas()) {
    auto& known = *expert.mutable_replicas();
    const auto it = std::find_if(known.begin(), known.end(), [&](const v1::ReplicaStatus& each) {
      return each.address() == replica.address();
    });
    if (it == known.end()) {
      *known.Add() = replica;
    } else {
      Add(replica, *it);
    }
  }
}

}  // namespace

v1::ListPoolsResponse MergePools(const std::vector<v1::ListPoolsResponse>& parts) {
  v1::ListPoolsResponse merged;
  absl::flat_hash_map<std::string, int> index;
  for (const v1::ListPoolsResponse& part : parts) {
    for (const v1::PoolStatus& pool : part.pools()) {
      const auto [it, fresh] = index.try_emplace(pool.name(), merged.pools_size());
      if (fresh) {
        *merged.add_pools() = pool;
      } else {
        Add(pool, *merged.mutable_pools(it->second));
      }
    }
  }
  return merged;
}

v1::ListExpertsResponse MergeExperts(const std::vector<v1::ListExpertsResponse>& parts) {
  if (parts.size() == 1) return parts[0];
  v1::ListExpertsResponse merged;
  absl::flat_hash_map<std::pair<std::string, std::string>, int> index;
  absl::flat_hash_map<std::string, uint64_t> of_pool;
  for (const v1::ListExpertsResponse& part : parts) {
    for (const v1::ExpertStatus& expert : part.experts()) {
      of_pool[expert.pool()] += expert.requests();
      const auto [it, fresh] =
          index.try_emplace({expert.pool(), expert.name()}, merged.experts_size());
      if (fresh) {
        *merged.add_experts() = expert;
      } else {
        Add(expert, *merged.mutable_experts(it->second));
      }
    }
  }
  for (v1::ExpertStatus& expert : *merged.mutable_experts()) {
    const auto all = static_cast<double>(of_pool[expert.pool()]);
    expert.set_share(all > 0 ? static_cast<double>(expert.requests()) / all : 0);
  }
  return merged;
}

}  // namespace penstock::gateway
