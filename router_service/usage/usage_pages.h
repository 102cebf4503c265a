#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/time/clock.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/usage/usage_counts.h"
#include "router_service/usage/usage_ledger.h"

namespace penstock::router {

// Usage as GetUsage tells it: page after page, each small enough for any client, of all routers
// where they share a ledger. Thread-safe.
class UsagePages {
 public:
  static constexpr int kMostRows = 2000;
  static constexpr size_t kMostBytes = size_t{1} << 20;
  static constexpr int64_t kMostHours = 24;

  struct Deps {
    const UsageCounts& counts;
    UsageLedger* ledger;  // null: routers share no store
    const Clock& clock;
    std::string owner;  // of `counts` in the ledger
  };
  using Done = absl::AnyInvocable<void(absl::StatusOr<v1::GetUsageResponse>)>;

  explicit UsagePages(Deps deps);
  // Waits for pages under way: each ends by its deadline.
  ~UsagePages();

  // INVALID_ARGUMENT names the field; FAILED_PRECONDITION: the page token is another router's.
  // OUT_OF_RANGE: so old a time is not kept any more, and from when on it is.
  // UNAVAILABLE, DEADLINE_EXCEEDED: the store's.
  void Read(const v1::GetUsageRequest& request, absl::Time deadline, Done done);

 private:
  class Reading;
  struct Shared;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace penstock::router
