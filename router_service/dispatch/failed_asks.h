#pragma once

#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "router_service/dispatch/expert_ask.h"
#include "router_service/dispatch/local_answer.h"
#include "router_service/dispatch/route_request.h"
#include "router_service/pools/pool.h"

namespace penstock::router {

// Whether another expert may be asked instead of those that were: all of them failed, none for what
// the caller has done, and no replica forbade to ask again. `beside`: of the expert whose answer
// would not have stood for another's.
bool MayAskInstead(const std::vector<AskResult>& asks, const std::optional<LocalAsk>& beside);

// Whether a replica of the expert can be asked whose endpoint none of these asks has found dead,
// nor without the expert's model.
bool HasLivingReplica(const PoolExpert& expert, const std::vector<AskResult>& asks);

// Whether the pool's retries have a token for one more. It may be gone when it is to be taken.
bool HasRetry(const RouteRequest& request, absl::Time now);

}  // namespace penstock::router
