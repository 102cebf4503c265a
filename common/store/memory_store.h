#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/mutex.h"
#include "common/store/store.h"
#include "common/store/subscriber.h"

namespace penstock {

// A store of this process. What expired is dropped by the next call, whichever it is. Every `done`
// runs before its call returns, without a lock held.
class MemoryStore final : public Store {
 public:
  // Bounds, so that hostile names cannot fill the memory. `max_keys`: values, leases and fields
  // together. `max_bytes`: of names and values.
  explicit MemoryStore(const Clock& clock, size_t max_keys = 100'000,
                       size_t max_bytes = size_t{256} << 20)
      : clock_(clock), max_keys_(max_keys), max_bytes_(max_bytes), made_at_(clock.Now()) {}
  ~MemoryStore() override;

  // One counter, for those who know that their store is in memory and need the sum at once: the
  // field "" of the window, which AddCounters cannot name.
  absl::StatusOr<int64_t> AddNow(absl::string_view name, int64_t window, int64_t amount,
                                 absl::Duration ttl);
  // 0 where there is none.
  absl::StatusOr<int64_t> ReadNow(absl::string_view name, int64_t window);

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
  StoreState state() const override;

 private:
  enum class Kind { kValue, kCounters, kLease, kTotals };
  // The window of a value and of a lease is 0.
  struct Key {
    Kind kind;
    std::string name;
    int64_t window;

    bool operator==(const Key&) const = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.kind, key.name, key.window);
    }
  };
  using Expiries = std::multimap<absl::Time, Key>;
  struct Entry {
    StoreFields fields;
    std::string text;  // a value, a lease's owner
    Expiries::iterator expiry;
  };
  using Entries = absl::flat_hash_map<Key, Entry>;
  class Subscription;
  struct Delivery {
    std::shared_ptr<Subscriber> to;
    std::shared_ptr<const std::string> message;  // null: it is live
  };

  // Counts a call that ends so.
  template <typename Result>
  Result Ended(Result result);
  // Drops what expired; an error when `deadline` has passed.
  absl::Status Begin(absl::Time deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DropExpired() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Drop(Entries::iterator it) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Entry* Find(const Key& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The entry, made if it is not there.
  Entry& FindOrMake(Key key, absl::Duration ttl) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Room for `keys` and `bytes` more.
  absl::Status CheckRoom(size_t keys, size_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Room for what `fields` adds to `entry`, which may be null.
  absl::Status CheckFieldRoom(const Key& key, Entry* entry,
                              absl::Span<const StoreField> fields) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetField(Entry& entry, const std::string& field, int64_t value)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The text and its time to live anew.
  absl::Status SetText(Key key, absl::string_view text, absl::Duration ttl)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Raise(const Key& key, absl::Span<const StoreField> totals, absl::Duration ttl)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<BudgetGrant> Take(const BudgetTake& take) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<LeaseHolder> Hold(absl::string_view name, absl::string_view owner,
                                   absl::Duration ttl, absl::Time deadline, bool if_free);
  absl::StatusOr<StoreFields> Read(Kind kind, absl::string_view name, int64_t window,
                                   absl::Time deadline);
  // Hands out what is queued, unless another call, maybe one below this one, does so.
  void Deliver();
  void Unsubscribe(const std::shared_ptr<Subscriber>& subscriber);

  const Clock& clock_;
  const size_t max_keys_;
  const size_t max_bytes_;
  const absl::Time made_at_;
  mutable Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);
  Expiries expiries_ ABSL_GUARDED_BY(mutex_);
  size_t keys_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::multimap<std::string, std::shared_ptr<Subscriber>> subscribers_ ABSL_GUARDED_BY(mutex_);
  std::deque<Delivery> deliveries_ ABSL_GUARDED_BY(mutex_);
  bool delivering_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<int64_t> calls_ = 0;
  std::atomic<int64_t> failures_ = 0;
  std::atomic<int64_t> timeouts_ = 0;
};

}  // namespace penstock
