#pragma once

#include <memory>
#include <string>

#include "common/store/redis/event_loop.h"
#include "common/store/redis/redis_address.h"
#include "common/store/redis/redis_calls.h"
#include "common/store/redis/redis_subscriptions.h"
#include "common/store/store.h"

namespace penstock {

// Number of the layout, in every key and channel: what writes another one shares nothing with it,
// rather than misreads it. It rises where a key of the same name would mean something else.
inline constexpr int kRedisLayout = 1;

// A store in Redis, shared by all who name the same server, database and prefix, and have the same
// layout. Not destroyed inside one of its callbacks.
//
// Keys, after the prefix and "v1:", the layout: v:KEY values, c:NAME:WINDOW counters, l:NAME
// leases, t:NAME:WINDOW totals. Channels have the same beginning.
class RedisStore final : public Store {
 public:
  RedisStore(RedisAddress address, const Clock& clock, uint64_t seed);

  void Get(absl::string_view key, absl::Time deadline,
           Done<std::optional<std::string>> done) override;
  void Put(absl::string_view key, absl::string_view value, absl::Duration ttl, absl::Time deadline,
           DoneStatus done) override;
  void Erase(absl::string_view key, absl::Time deadline, DoneStatus done) override;
  void AddCounters(absl::string_view name, int64_t window, absl::Span<const StoreField> deltas,
                   absl::Duration ttl, absl::Time deadline, DoneStatus done) override;
  void ReadCounters(absl::string_view name, int64_t window, absl::Time deadline,
                    Done<StoreFields> done) override;
  void AcquireLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                    absl::Time deadline, Done<LeaseHolder> done) override;
  void RenewLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                  absl::Time deadline, Done<LeaseHolder> done) override;
  void ReleaseLease(absl::string_view name, absl::string_view owner, absl::Time deadline,
                    DoneStatus done) override;
  void RaiseTotals(absl::string_view name, int64_t window, absl::Span<const StoreField> totals,
                   absl::Duration ttl, absl::Time deadline, DoneStatus done) override;
  void ReadTotals(absl::string_view name, int64_t window, absl::Time deadline,
                  Done<StoreFields> done) override;
  void TakeBudget(const BudgetTake& take, absl::Time deadline, Done<BudgetGrant> done) override;
  void Publish(absl::string_view channel, absl::string_view message, absl::Time deadline,
               DoneStatus done) override;
  absl::StatusOr<std::unique_ptr<StoreSubscription>> Subscribe(
      absl::string_view channel, absl::AnyInvocable<void()> on_live,
      absl::AnyInvocable<void(absl::string_view message)> on_message) override;
  StoreState state() const override { return calls_.state(); }

 private:
  std::string Key(absl::string_view kind, absl::string_view name) const;
  std::string Key(absl::string_view kind, absl::string_view name, int64_t window) const;
  void Write(absl::string_view kind, const RedisScript& script, absl::string_view name,
             int64_t window, absl::Span<const StoreField> fields, absl::Duration ttl,
             absl::Time deadline, DoneStatus done);
  void Read(absl::string_view kind, absl::string_view name, int64_t window, absl::Time deadline,
            Done<StoreFields> done);
  void Hold(const RedisScript& script, absl::string_view name, absl::string_view owner,
            absl::Duration ttl, absl::Time deadline, Done<LeaseHolder> done);

  const RedisAddress address_;
  EventLoop loop_;
  RedisCalls calls_;
  RedisSubscriptions subscriptions_;
};

}  // namespace penstock
