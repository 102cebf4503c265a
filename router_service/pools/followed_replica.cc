#include "router_service/pools/followed_replica.h"

namespace penstock::router {

std::shared_ptr<Replica> FollowedReplica(ReplicaConnection& connection, const Clock& clock) {
  auto replica = std::make_shared<Replica>(connection.target());
  connection.WatchLoad([weak = std::weak_ptr<Replica>(replica), &clock](const v1::Load& load) {
    const std::shared_ptr<Replica> follower = weak.lock();
    if (follower == nullptr) return false;
    follower->InFlightReported(static_cast<double>(load.in_flight()), clock.Now());
    return true;
  });
  return replica;
}

}  // namespace penstock::router
