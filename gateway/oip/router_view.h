#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "common/mutex.h"
#include "common/time/clock.h"
#include "gateway/forwarding/router_set.h"
#include "gateway/page/decision_feed.h"
#include "gateway/page/platform_view.h"

namespace penstock::gateway {

// The platform as its routers tell it, each asked what penstock.v1.Routing would ask it. Of budgets
// the first router knows what all do, where they share a store. Answers without those that do not
// answer in time; with the first one's error where none does.
class RouterView final : public PlatformView {
 public:
  // Both outlive it.
  RouterView(const RouterSet& routers, const Clock& clock) : routers_(routers), clock_(clock) {}

  void ListPools(const Principal& caller, Done<v1::ListPoolsResponse> done) override;
  void ListExperts(const Principal& caller, const std::string& pool,
                   Done<v1::ListExpertsResponse> done) override;
  void GetBudgets(const Principal& caller, Done<v1::GetBudgetResponse> done) override;
  Routers routers() const override;

 private:
  template <class Request, class Response, class Merge>
  void Ask(const char* path, const Principal& caller, const Request& request, size_t most,
           Merge merge, Done<Response> done) const;

  const RouterSet& routers_;
  const Clock& clock_;
};

// WatchDecisions of every router, into a feed. Thread-safe.
class DecisionWatch : public std::enable_shared_from_this<DecisionWatch> {
 public:
  // The set outlives Unwatch, which must be the last call.
  DecisionWatch(const RouterSet& routers, std::weak_ptr<DecisionFeed> feed)
      : routers_(routers), feed_(std::move(feed)) {}

  // Those that serve and are not watched yet, and no longer those that left the set: to be called
  // again now and then.
  void Watch();
  void Unwatch();

 private:
  struct Stream {
    std::shared_ptr<const Router> router;  // its address is not another's while it is a key
    uint64_t id = 0;
    std::shared_ptr<OutgoingCall> call;  // null until it has started
  };

  void Open(const std::shared_ptr<const Router>& router, uint64_t id);
  // `id` tells it from a later one of the same router.
  void Ended(const Router* router, uint64_t id);

  const RouterSet& routers_;
  const std::weak_ptr<DecisionFeed> feed_;
  Mutex mutex_;
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::map<const Router*, Stream> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
