#include "router_service/dispatch/failed_asks.h"

#include <algorithm>
#include <string>

#include "router_service/dispatch/attempts/replacement.h"
#include "router_service/dispatch/attempts/retry_pushback.h"

namespace penstock::router {
namespace {

bool FoundDead(const std::vector<AskResult>& asks, absl::string_view address,
               absl::string_view model) {
  for (const AskResult& ask : asks) {
    const bool found =
        std::any_of(ask.attempts.begin(), ask.attempts.end(), [&](const AskAttempt& attempt) {
          return attempt.run.replica() == address &&
                 (attempt.away == AskAttempt::Away::kEndpoint ||
                  (attempt.away == AskAttempt::Away::kModel && ask.model == model));
        });
    if (found) return true;
  }
  return false;
}

}  // namespace

bool MayAskInstead(const std::vector<AskResult>& asks, const std::optional<LocalAsk>& beside) {
  return std::all_of(asks.begin(), asks.end(), [&](const AskResult& ask) {
    if (beside && beside->expert == ask.expert) return true;
    return !ask.status.ok() && MayAskAnother(ask.status) &&
           ReadRetryPushback(ask.trailers) < absl::InfiniteDuration();
  });
}

bool HasLivingReplica(const PoolExpert& expert, const std::vector<AskResult>& asks) {
  const std::string model = expert.ServedModel();
  return std::any_of(
      expert.replicas.begin(), expert.replicas.end(),
      [&](const std::shared_ptr<Replica>& replica) {
        return replica->available() && !FoundDead(asks, replica->target().address(), model);
      });
}

bool HasRetry(const RouteRequest& request, absl::Time now) {
  RetryBudget* const retries = request.pool->record->retries.get();
  return retries == nullptr || retries->tokens(now) >= 1;
}

}  // namespace penstock::router
