#include "router_service/resilience/resilience_record.h"

namespace penstock::router {

absl::string_view RetryResultName(RetryResult result) {
  switch (result) {
    case RetryResult::kAnswered:
      return "answered";
    case RetryResult::kFailed:
      return "failed";
    case RetryResult::kNotNeeded:
      return "not_needed";
    case RetryResult::kNoBudget:
      return "no_budget";
    case RetryResult::kNoReplica:
      return "no_replica";
    case RetryResult::kNoTime:
      return "no_time";
    case RetryResult::kNoJoules:
      return "no_joules";
    case RetryResult::kPushedBack:
      return "pushed_back";
  }
  return "";
}

}  // namespace penstock::router
