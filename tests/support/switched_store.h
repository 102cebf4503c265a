#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/mutex.h"
#include "common/store/store.h"

namespace penstock {

// Another store, which can be cut off, exchanged for a third, or made to answer late. Thread-safe.
class SwitchedStore final : public Store {
 public:
  explicit SwitchedStore(Store& store) : store_(&store) {}

  // Calls from now on end with this; OK: no more.
  void Fail(absl::Status status) {
    MutexLock lock(mutex_);
    failure_ = std::move(status);
  }
  // Calls from now on are made, and end with this as if their replies were lost; OK: no more.
  void LoseReplies(absl::Status status) {
    MutexLock lock(mutex_);
    lost_ = std::move(status);
  }
  // Calls from now on go there.
  void To(Store& store) {
    MutexLock lock(mutex_);
    store_ = &store;
  }
  // Calls from now on reach nobody until Release.
  void Hold() {
    MutexLock lock(mutex_);
    holding_ = true;
  }
  void Release() {
    std::vector<absl::AnyInvocable<void()>> held;
    {
      MutexLock lock(mutex_);
      holding_ = false;
      held.swap(held_);
    }
    for (absl::AnyInvocable<void()>& call : held) call();
  }
  size_t held() const {
    MutexLock lock(mutex_);
    return held_.size();
  }

  void Get(absl::string_view key, absl::Time deadline,
           Done<std::optional<std::string>> done) override {
    Pass(std::move(done), [key = std::string(key), deadline](Store& store, auto next) {
      store.Get(key, deadline, std::move(next));
    });
  }
  void Put(absl::string_view key, absl::string_view value, absl::Duration ttl, absl::Time deadline,
           DoneStatus done) override {
    Pass(std::move(done),
         [key = std::string(key), value = std::string(value), ttl, deadline](
             Store& store, auto next) { store.Put(key, value, ttl, deadline, std::move(next)); });
  }
  void Erase(absl::string_view key, absl::Time deadline, DoneStatus done) override {
    Pass(std::move(done), [key = std::string(key), deadline](Store& store, auto next) {
      store.Erase(key, deadline, std::move(next));
    });
  }
  void AddCounters(absl::string_view name, int64_t window, absl::Span<const StoreField> deltas,
                   absl::Duration ttl, absl::Time deadline, DoneStatus done) override {
    Pass(std::move(done), [name = std::string(name), window, fields = Copy(deltas), ttl, deadline](
                              Store& store, auto next) {
      store.AddCounters(name, window, fields, ttl, deadline, std::move(next));
    });
  }
  void ReadCounters(absl::string_view name, int64_t window, absl::Time deadline,
                    Done<StoreFields> done) override {
    Pass(std::move(done), [name = std::string(name), window, deadline](Store& store, auto next) {
      store.ReadCounters(name, window, deadline, std::move(next));
    });
  }
  void AcquireLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                    absl::Time deadline, Done<LeaseHolder> done) override {
    Pass(std::move(done), [name = std::string(name), owner = std::string(owner), ttl, deadline](
                              Store& store, auto next) {
      store.AcquireLease(name, owner, ttl, deadline, std::move(next));
    });
  }
  void RenewLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                  absl::Time deadline, Done<LeaseHolder> done) override {
    Pass(std::move(done), [name = std::string(name), owner = std::string(owner), ttl, deadline](
                              Store& store, auto next) {
      store.RenewLease(name, owner, ttl, deadline, std::move(next));
    });
  }
  void ReleaseLease(absl::string_view name, absl::string_view owner, absl::Time deadline,
                    DoneStatus done) override {
    Pass(std::move(done),
         [name = std::string(name), owner = std::string(owner), deadline](Store& store, auto next) {
           store.ReleaseLease(name, owner, deadline, std::move(next));
         });
  }
  void RaiseTotals(absl::string_view name, int64_t window, absl::Span<const StoreField> totals,
                   absl::Duration ttl, absl::Time deadline, DoneStatus done) override {
    Pass(std::move(done), [name = std::string(name), window, fields = Copy(totals), ttl, deadline](
                              Store& store, auto next) {
      store.RaiseTotals(name, window, fields, ttl, deadline, std::move(next));
    });
  }
  void ReadTotals(absl::string_view name, int64_t window, absl::Time deadline,
                  Done<StoreFields> done) override {
    Pass(std::move(done), [name = std::string(name), window, deadline](Store& store, auto next) {
      store.ReadTotals(name, window, deadline, std::move(next));
    });
  }
  void TakeBudget(const BudgetTake& take, absl::Time deadline, Done<BudgetGrant> done) override {
    Pass(std::move(done), [take, deadline](Store& store, auto next) {
      store.TakeBudget(take, deadline, std::move(next));
    });
  }
  void Publish(absl::string_view channel, absl::string_view message, absl::Time deadline,
               DoneStatus done) override {
    Pass(std::move(done), [channel = std::string(channel), message = std::string(message),
                           deadline](Store& store, auto next) {
      store.Publish(channel, message, deadline, std::move(next));
    });
  }
  absl::StatusOr<std::unique_ptr<StoreSubscription>> Subscribe(
      absl::string_view channel, absl::AnyInvocable<void()> on_live,
      absl::AnyInvocable<void(absl::string_view message)> on_message) override {
    return now().Subscribe(channel, std::move(on_live), std::move(on_message));
  }
  StoreState state() const override { return now().state(); }

 private:
  static std::vector<StoreField> Copy(absl::Span<const StoreField> fields) {
    return {fields.begin(), fields.end()};
  }
  Store& now() const {
    MutexLock lock(mutex_);
    return *store_;
  }
  // `call` makes the call of a store with the `done` that it is given.
  template <typename Finish, typename Call>
  void Pass(Finish done, Call call) {
    absl::Status failure, lost;
    {
      MutexLock lock(mutex_);
      if (holding_) {
        held_.push_back([this, done = std::move(done), call = std::move(call)]() mutable {
          Pass(std::move(done), std::move(call));
        });
        return;
      }
      failure = failure_;
      lost = lost_;
    }
    if (!failure.ok()) return done(failure);
    if (!lost.ok()) {
      Finish dropped = [done = std::move(done), lost](auto&&) mutable { done(lost); };
      return call(now(), std::move(dropped));
    }
    call(now(), std::move(done));
  }

  mutable Mutex mutex_;
  Store* store_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  absl::Status lost_ ABSL_GUARDED_BY(mutex_);
  bool holding_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<absl::AnyInvocable<void()>> held_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock
