#include "gateway/oip/cache_policy_poll.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/net/caller_rights.h"
#include "gateway/oip/infer_forwarding.h"

namespace penstock::gateway {
namespace {

constexpr char kListPools[] = "/penstock.v1.Routing/ListPools";
constexpr absl::Duration kTimeout = absl::Seconds(5);
// Between two askings: routers that differ for long must not be asked with every answer.
constexpr absl::Duration kLeastPause = absl::Milliseconds(100);

CachePolicies::ByPool ByPool(const v1::ListPoolsResponse& pools) {
  CachePolicies::ByPool policies;
  for (const v1::PoolStatus& pool : pools.pools()) {
    if (!pool.has_cache()) continue;
    auto policy = std::make_shared<CachePolicy>();
    policy->version = pool.cache().version();
    policy->ttl =
        absl::Seconds(pool.cache().ttl().seconds()) + absl::Nanoseconds(pool.cache().ttl().nanos());
    policy->share_between_tenants = pool.cache().share_between_tenants();
    policy->max_entry_bytes = pool.cache().max_entry_bytes();
    policies.emplace(pool.name(), std::move(policy));
  }
  return policies;
}

}  // namespace

void CachePolicyPoll::AskSoon() {
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    if (asking_) {
      soon_ = true;  // what is under way may have been answered before the change
      return;
    }
    const absl::Time earliest = asked_ + kLeastPause;
    if (deps_.clock.Now() < earliest) return ScheduleAt(earliest);
  }
  Ask();
}

void CachePolicyPoll::Ask() {
  const auto healthy = deps_.routers.Healthy();
  {
    MutexLock lock(mutex_);
    if (stopped_ || asking_) return;
    if (healthy.empty()) return ScheduleNext();
    if (timer_ != 0) deps_.timers.Cancel(timer_);
    asked_ = deps_.clock.Now();
    asking_ = true;
    soon_ = false;
  }
  // The gateway asks for itself, about all pools.
  Principal gateway;
  gateway.tenant = kAnonymousTenant;
  CallOptions options;
  options.deadline = deps_.clock.Now() + kTimeout;
  options.metadata = TrustedMetadata(gateway, {}, "cache");
  auto call = healthy.front()->target->rpc().Call<v1::ListPoolsResponse>(
      kListPools, v1::ListPoolsRequest(), options,
      [self = shared_from_this()](absl::StatusOr<v1::ListPoolsResponse> pools) {
        self->OnPools(std::move(pools));
      });
  bool stopped = false;
  {
    MutexLock lock(mutex_);
    if (asking_) call_ = call;
    stopped = stopped_;
  }
  if (stopped) call->Cancel();
}

void CachePolicyPoll::OnPools(absl::StatusOr<v1::ListPoolsResponse> pools) {
  CachePolicies::ByPool policies;
  if (pools.ok()) policies = ByPool(*pools);
  MutexLock lock(mutex_);
  asking_ = false;
  call_ = nullptr;
  if (stopped_) return;
  // Under the lock, which Stop takes too: what is borrowed is there until then.
  deps_.observer.PoliciesRead(pools.ok());
  if (pools.ok()) deps_.policies.Replace(std::move(policies));
  if (soon_) return ScheduleAt(asked_ + kLeastPause);
  ScheduleNext();
}

void CachePolicyPoll::ScheduleNext() {
  ScheduleAt(deps_.clock.Now() + std::max(period_, kLeastPause));
}

void CachePolicyPoll::ScheduleAt(absl::Time when) {
  if (timer_ != 0) deps_.timers.Cancel(timer_);
  timer_ = deps_.timers.Schedule(when, [weak = weak_from_this()] {
    if (const auto self = weak.lock(); self != nullptr) self->Ask();
  });
}

void CachePolicyPoll::Stop() {
  std::shared_ptr<OutgoingCall> call;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    if (timer_ != 0) deps_.timers.Cancel(timer_);
    call = std::move(call_);
  }
  if (call != nullptr) call->Cancel();
}

}  // namespace penstock::gateway
