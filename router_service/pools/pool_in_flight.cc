#include "router_service/pools/pool_in_flight.h"

#include <string>

namespace penstock::router {

std::optional<InFlightTable> PoolInFlight::Own(absl::Time now) {
  std::optional<InFlightTable> own;
  for (const std::shared_ptr<const Pool>& pool : pools_()) {
    for (const PoolExpert& expert : pool->experts) {
      for (const std::shared_ptr<Replica>& replica : expert.replicas) {
        if (replica->streams_load(now)) continue;
        const std::optional<std::string> key = keys_.Of(replica->target().address(), expert.model);
        if (!key.has_value()) continue;
        if (!own.has_value()) own.emplace();
        if (const uint64_t in_flight = replica->in_flight(); in_flight > 0) {
          (*own)[*key] += in_flight;
        }
      }
    }
  }
  return own;
}

void PoolInFlight::SetOthers(const InFlightTable& others, absl::Time now) {
  for (const std::shared_ptr<const Pool>& pool : pools_()) {
    for (const PoolExpert& expert : pool->experts) {
      for (const std::shared_ptr<Replica>& replica : expert.replicas) {
        const std::optional<std::string> key = keys_.Of(replica->target().address(), expert.model);
        if (!key.has_value()) continue;
        const auto found = others.find(*key);
        replica->OthersReported(found == others.end() ? 0 : static_cast<double>(found->second),
                                now);
      }
    }
  }
}

}  // namespace penstock::router
