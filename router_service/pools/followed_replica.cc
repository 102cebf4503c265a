#include "router_service/pools/followed_replica.h"

namespace penstock::router {

std::shared_ptr<Replica> FollowedReplica(ReplicaConnection& connection, const Clock& clock) {
  auto replica = std::make_shared<Replica>(connection.target());
  connection.WatchLoad(replica, [to = replica.get(), &clock](const v1::Load& load) {
    to->LoadStreamed(static_cast<double>(load.in_flight()), clock.Now());
  });
  return replica;
}

}  // namespace penstock::router
