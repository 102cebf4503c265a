#pragma once

#include <memory>

#include "common/time/clock.h"
#include "router_service/pools/replica.h"
#include "router_service/pools/replica_connector.h"

namespace penstock::router {

// A replica at the other end of `connection`, which outlives it, and whose load it follows for as
// long as it is there. `clock` outlives the connection.
std::shared_ptr<Replica> FollowedReplica(ReplicaConnection& connection, const Clock& clock);

}  // namespace penstock::router
