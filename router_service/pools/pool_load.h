#pragma once

#include <vector>

#include "absl/time/time.h"
#include "router_service/pools/pool.h"

namespace penstock::router {

// What the experts of a pool have to do at one moment, and how much they can do at once.
struct PoolLoad {
  std::vector<double> in_flight;  // by expert: requests at its available replicas, queues included
  std::vector<double> slots;      // by expert, of its available replicas; 0: it does not serve

  // All requests over all slots; 0 where nobody serves.
  double utilisation() const;
};

PoolLoad ReadPoolLoad(const Pool& pool, absl::Time now);

// `slots`, and what `selection` says of load. INVALID_ARGUMENT for what is out of range or does not
// go with the pool's granularity.
absl::Status ValidateLoadSettings(const config::v1::Pool& pool);

}  // namespace penstock::router
