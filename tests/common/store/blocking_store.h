#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/notification.h"
#include "common/store/store.h"
#include "gtest/gtest.h"

namespace penstock {

// Asks again every few milliseconds until it is so. False when `patience` has passed.
inline bool Eventually(const std::function<bool()>& is_so,
                       absl::Duration patience = absl::Seconds(20)) {
  const auto end = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(patience);
  while (!is_so()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
  return true;
}

// Runs `begin` with a callback and waits for what it gets.
template <typename Result>
Result Await(absl::AnyInvocable<void(absl::AnyInvocable<void(Result)>)> begin) {
  struct Answer {
    Notification there;
    std::optional<Result> result;
  };
  const auto answer = std::make_shared<Answer>();  // the callback may outlive our patience
  begin([answer](Result result) {
    EXPECT_FALSE(answer->result.has_value()) << "ended twice";
    answer->result = std::move(result);
    answer->there.Notify();
  });
  if (!answer->there.WaitWithTimeout(absl::Seconds(30))) {
    ADD_FAILURE() << "a call does not end";
    return absl::InternalError("a call does not end");
  }
  return *std::move(answer->result);
}

// A store's calls one at a time, each waited for.
class BlockingStore {
 public:
  BlockingStore(Store& store, const Clock& clock, absl::Duration timeout = absl::Seconds(20))
      : store_(store), clock_(clock), timeout_(timeout) {}

  absl::StatusOr<std::optional<std::string>> Get(absl::string_view key) {
    return Await<absl::StatusOr<std::optional<std::string>>>(
        [&](auto done) { store_.Get(key, Deadline(), std::move(done)); });
  }
  absl::Status Put(absl::string_view key, absl::string_view value,
                   absl::Duration ttl = absl::Minutes(5)) {
    return Await<absl::Status>(
        [&](auto done) { store_.Put(key, value, ttl, Deadline(), std::move(done)); });
  }
  absl::Status Erase(absl::string_view key) {
    return Await<absl::Status>([&](auto done) { store_.Erase(key, Deadline(), std::move(done)); });
  }
  absl::Status AddCounters(absl::string_view name, int64_t window,
                           const std::vector<StoreField>& deltas,
                           absl::Duration ttl = absl::Minutes(5)) {
    return Await<absl::Status>([&](auto done) {
      store_.AddCounters(name, window, deltas, ttl, Deadline(), std::move(done));
    });
  }
  absl::StatusOr<StoreFields> ReadCounters(absl::string_view name, int64_t window) {
    return Await<absl::StatusOr<StoreFields>>(
        [&](auto done) { store_.ReadCounters(name, window, Deadline(), std::move(done)); });
  }
  absl::StatusOr<LeaseHolder> AcquireLease(absl::string_view name, absl::string_view owner,
                                           absl::Duration ttl = absl::Minutes(5)) {
    return Await<absl::StatusOr<LeaseHolder>>(
        [&](auto done) { store_.AcquireLease(name, owner, ttl, Deadline(), std::move(done)); });
  }
  absl::StatusOr<LeaseHolder> RenewLease(absl::string_view name, absl::string_view owner,
                                         absl::Duration ttl = absl::Minutes(5)) {
    return Await<absl::StatusOr<LeaseHolder>>(
        [&](auto done) { store_.RenewLease(name, owner, ttl, Deadline(), std::move(done)); });
  }
  absl::Status ReleaseLease(absl::string_view name, absl::string_view owner) {
    return Await<absl::Status>(
        [&](auto done) { store_.ReleaseLease(name, owner, Deadline(), std::move(done)); });
  }
  absl::Status RaiseTotals(absl::string_view name, int64_t window,
                           const std::vector<StoreField>& totals,
                           absl::Duration ttl = absl::Minutes(5)) {
    return Await<absl::Status>([&](auto done) {
      store_.RaiseTotals(name, window, totals, ttl, Deadline(), std::move(done));
    });
  }
  absl::StatusOr<StoreFields> ReadTotals(absl::string_view name, int64_t window) {
    return Await<absl::StatusOr<StoreFields>>(
        [&](auto done) { store_.ReadTotals(name, window, Deadline(), std::move(done)); });
  }
  absl::StatusOr<BudgetGrant> TakeBudget(const BudgetTake& take) {
    return Await<absl::StatusOr<BudgetGrant>>(
        [&](auto done) { store_.TakeBudget(take, Deadline(), std::move(done)); });
  }
  absl::Status Publish(absl::string_view channel, absl::string_view message) {
    return Await<absl::Status>(
        [&](auto done) { store_.Publish(channel, message, Deadline(), std::move(done)); });
  }

 private:
  absl::Time Deadline() const { return clock_.Now() + timeout_; }

  Store& store_;
  const Clock& clock_;
  const absl::Duration timeout_;
};

}  // namespace penstock
