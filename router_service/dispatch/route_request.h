#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/net/infer_call.h"
#include "common/tensors/infer_message.h"
#include "router_service/dispatch/caller_identity.h"
#include "router_service/dispatch/infer_parameters.h"
#include "router_service/pools/pool.h"
#include "router_service/pools/pool_catalogue.h"
#include "router_service/selection/selector.h"

namespace penstock::router {

// One request, read and found right.
struct RouteRequest {
  static constexpr double kNone = std::numeric_limits<double>::infinity();

  std::shared_ptr<const Pool> pool;
  Bytes message;
  InferRequestHeader header;
  InferParameters parameters;
  std::vector<Tensor> inputs;
  int64_t rows = 1;
  CallerIdentity caller;
  Metadata forwarded;  // what experts are told of the caller: request id and trace

  // The request's own limits and its class's, the tighter of each.
  size_t application_class = 0;
  Objective objective = Objective::kQuality;
  absl::Duration latency_asked = absl::InfiniteDuration();
  double latency_budget_s = kNone;  // less the answer's reserve
  double energy_cap_j = kNone;
  double min_quality = 0;
  std::vector<uint32_t> forced;
  // Whoever is fastest is asked, though nobody is expected to answer in time (LatenessProbe).
  bool ask_late = false;

  absl::Time arrived;
  absl::Time deadline;       // latency budget and gRPC deadline, less the answer's reserve
  absl::Time call_deadline;  // gRPC's alone, less the same

  double TimeLeft(absl::Time now) const;
};

// Of the time to a deadline, what the router keeps to combine and send the answer: a tenth, 1 ms at
// most.
absl::Duration AnswerReserve(absl::Duration budget);

// NOT_FOUND, UNAVAILABLE, INVALID_ARGUMENT, PERMISSION_DENIED and DEADLINE_EXCEEDED as the request
// or the pool's state has it.
absl::StatusOr<RouteRequest> ReadRouteRequest(const PoolCatalogue& catalogue, const Bytes& message,
                                              absl::Time deadline, const Metadata& metadata,
                                              const Caller& caller, absl::Time now);

// The pool that a model name and version mean to this caller. NOT_FOUND, PERMISSION_DENIED.
absl::StatusOr<std::shared_ptr<const Pool>> FindPool(const PoolCatalogue& catalogue,
                                                     absl::string_view name,
                                                     absl::string_view version,
                                                     const CallerIdentity& caller);

}  // namespace penstock::router
