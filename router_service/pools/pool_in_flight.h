#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "router_service/pools/pool.h"
#include "router_service/replicas/shared_load/replica_keys.h"
#include "router_service/replicas/shared_load/shared_load.h"

namespace penstock::router {

// The replicas of all pools, as other routers hear of them.
class PoolInFlight final : public ReplicaLoads {
 public:
  // As they are at that moment; thread-safe.
  using Pools = std::function<std::vector<std::shared_ptr<const Pool>>()>;

  PoolInFlight(Pools pools, ReplicaKeys keys) : pools_(std::move(pools)), keys_(std::move(keys)) {}

  // A replica that several experts name is one: what they have there is added up. One whose stream
  // of loads tells every router what all of them have there is left out.
  std::optional<InFlightTable> Own(absl::Time now) override;
  void SetOthers(const InFlightTable& others, absl::Time now) override;

 private:
  const Pools pools_;
  const ReplicaKeys keys_;
};

}  // namespace penstock::router
