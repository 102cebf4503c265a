#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "common/time/clock.h"

namespace penstock {

// A number under a field of one key.
struct StoreField {
  std::string field;
  int64_t value;

  bool operator==(const StoreField&) const = default;
};

// By field, ascending bytes.
using StoreFields = std::map<std::string, int64_t>;

// Who holds a lease after a call.
struct LeaseHolder {
  bool held;          // by the caller
  std::string owner;  // empty: nobody
};

// One owner's part of a budget in one window. All three totals only grow; an owner that tells them
// again after the store was emptied has lost nothing. Of the cap are taken, over all owners,
//   sum max(granted - returned, settled).
// An owner that dies therefore keeps what it was granted until the window's key expires.
struct BudgetTake {
  std::string name;    // of the budget
  int64_t window = 0;  // say, the hour's number
  std::string owner;
  int64_t cap = 0;
  int64_t want = 0;  // 0: only tells the totals
  // What this owner knows that it was granted. The store may know of more, where a reply was lost:
  // that is handed out first. So an owner has one take of a window under way at a time.
  int64_t granted = 0;
  int64_t returned = 0;  // given back unspent
  int64_t settled = 0;   // spent for good
  absl::Duration ttl = absl::ZeroDuration();
};
struct BudgetGrant {
  int64_t granted = 0;  // the owner's total: the lease is what it exceeds BudgetTake.granted by
  int64_t taken = 0;    // of the cap, by all owners, this grant included
};
// The fields in which a budget's ledger keeps an owner's three totals: what RaiseTotals and
// ReadTotals of the budget's name work on.
std::string GrantedField(absl::string_view owner);
std::string ReturnedField(absl::string_view owner);
std::string SettledField(absl::string_view owner);

// How a store is doing.
struct StoreState {
  bool connected = false;
  absl::Time connected_since = absl::InfinitePast();
  int64_t connections = 0;  // made so far
  absl::Status last_error;  // of the connection, not of calls
  absl::Time last_error_at = absl::InfinitePast();
  absl::Duration latency = absl::ZeroDuration();  // of replies, smoothed over about 16
  int64_t in_flight = 0;
  int64_t calls = 0;      // begun
  int64_t failures = 0;   // ended with an error, those below included
  int64_t timeouts = 0;   // ended by their deadline
  int64_t refusals = 0;   // too many in flight
  int64_t not_there = 0;  // no connection
};

// While it lives, messages arrive. Destroying it waits for a callback that is running, unless that
// callback is what destroys it. It goes before its store.
class StoreSubscription {
 public:
  virtual ~StoreSubscription() = default;
};

// State that processes of one platform share. Thread-safe; no call ever waits.
//
// `done` runs once: before the call returns (memory://, and whatever is refused on the spot), or on
// the store's own thread. It must not block; the caller holds no lock that it takes. Errors:
//   UNAVAILABLE         no connection, or it broke: a write may have happened or not
//   DEADLINE_EXCEEDED   no reply by `deadline`: likewise
//   RESOURCE_EXHAUSTED  too many calls in flight, or the store is full
//   INVALID_ARGUMENT    a name is empty or too long, a time to live is not positive
// Values, counters, leases, totals and channels have names of their own each. A time to live may be
// infinite.
class Store {
 public:
  template <typename T>
  using Done = absl::AnyInvocable<void(absl::StatusOr<T>)>;
  using DoneStatus = absl::AnyInvocable<void(absl::Status)>;

  // Bounds of what callers may send; beyond: INVALID_ARGUMENT.
  static constexpr size_t kMostNameBytes = 1024;
  static constexpr size_t kMostFields = 4096;  // in one key, and so in one call

  virtual ~Store() = default;

  // Nothing where there is none.
  virtual void Get(absl::string_view key, absl::Time deadline,
                   Done<std::optional<std::string>> done) = 0;
  // Sets the value and its time to live anew. `value` is copied.
  virtual void Put(absl::string_view key, absl::string_view value, absl::Duration ttl,
                   absl::Time deadline, DoneStatus done) = 0;
  virtual void Erase(absl::string_view key, absl::Time deadline, DoneStatus done) = 0;

  // Counters of one window, all of the call or none. The first call that names (`name`, `window`)
  // starts its time to live; later ones do not prolong it. OUT_OF_RANGE: a sum leaves 64 bits.
  virtual void AddCounters(absl::string_view name, int64_t window,
                           absl::Span<const StoreField> deltas, absl::Duration ttl,
                           absl::Time deadline, DoneStatus done) = 0;
  // Empty where there are none.
  virtual void ReadCounters(absl::string_view name, int64_t window, absl::Time deadline,
                            Done<StoreFields> done) = 0;

  // A lease makes one process of many do a thing. Acquire takes one that nobody holds, and prolongs
  // the caller's own; Renew only prolongs; Release gives back the caller's own.
  virtual void AcquireLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                            absl::Time deadline, Done<LeaseHolder> done) = 0;
  virtual void RenewLease(absl::string_view name, absl::string_view owner, absl::Duration ttl,
                          absl::Time deadline, Done<LeaseHolder> done) = 0;
  virtual void ReleaseLease(absl::string_view name, absl::string_view owner, absl::Time deadline,
                            DoneStatus done) = 0;

  // Totals that only grow: each field becomes at least what is given, so that whoever tells them
  // again heals a store that forgot. Not negative. The time to live as for counters.
  virtual void RaiseTotals(absl::string_view name, int64_t window,
                           absl::Span<const StoreField> totals, absl::Duration ttl,
                           absl::Time deadline, DoneStatus done) = 0;
  virtual void ReadTotals(absl::string_view name, int64_t window, absl::Time deadline,
                          Done<StoreFields> done) = 0;
  // One step: raises the owner's totals, then grants up to `want` of what the cap leaves.
  virtual void TakeBudget(const BudgetTake& take, absl::Time deadline, Done<BudgetGrant> done) = 0;

  // To all that are subscribed at this moment; nobody may be. At most once.
  virtual void Publish(absl::string_view channel, absl::string_view message, absl::Time deadline,
                       DoneStatus done) = 0;
  // `on_live` runs whenever the subscription begins to hold, so again after a broken connection:
  // what was published in between is lost, and what it announced should be read anew. Callbacks
  // of one subscription never overlap. RESOURCE_EXHAUSTED: too many subscriptions.
  virtual absl::StatusOr<std::unique_ptr<StoreSubscription>> Subscribe(
      absl::string_view channel, absl::AnyInvocable<void()> on_live,
      absl::AnyInvocable<void(absl::string_view message)> on_message) = 0;

  virtual StoreState state() const = 0;
};

// A histogram is counters whose fields are its buckets' indices.
std::vector<StoreField> HistogramDeltas(absl::Span<const int64_t> buckets);  // leaves out zeros
// Counts of the first `buckets`; what is no index of one is left out.
std::vector<int64_t> HistogramOf(const StoreFields& counters, size_t buckets);

// The store that an address names; docs/store.md lists schemes and options. Empty: memory://.
// INVALID_ARGUMENT: the address is wrong. A server that is not there is no error: calls fail until
// it is. `seed` spreads the attempts of several processes to connect again; `clock` outlives the
// store.
absl::StatusOr<std::unique_ptr<Store>> MakeStore(absl::string_view uri, const Clock& clock,
                                                 uint64_t seed);
// Whether MakeStore would take it. Connects to nothing.
absl::Status CheckStoreAddress(absl::string_view uri);
// Whether it means a store that other processes have too.
bool IsSharedStore(absl::string_view uri);

}  // namespace penstock
