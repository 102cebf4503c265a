#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/store/store.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "router_service/replicas/shared_load/in_flight_report.h"

namespace penstock::router {

// What this router has in flight, and where it wants to know what others have. Thread-safe.
class ReplicaLoads {
 public:
  virtual ~ReplicaLoads() = default;
  // At replicas of which others do not hear anyway. Nothing: there is no such replica.
  virtual std::optional<InFlightTable> Own(absl::Time now) = 0;
  // The sum of all other routers', as of now.
  virtual void SetOthers(const InFlightTable& others, absl::Time now) = 0;
};

// Tells the other routers of a store what this one has in flight at its replicas, ten times a
// second, and finds out what they have. Each router writes one value of its own and reads those of
// the others, whose names it learns from a list in the store that begins anew every ten seconds.
// A router whose value is not seen to change for a second counts no more. Nobody's clock is
// compared with another's. Without the store what is known gets old, and nothing else happens.
// Thread-safe.
class SharedLoad : public std::enable_shared_from_this<SharedLoad> {
 public:
  static constexpr absl::Duration kEvery = absl::Milliseconds(100);
  static constexpr absl::Duration kLife = absl::Seconds(2);  // of a value in the store
  static constexpr absl::Duration kAge = absl::Seconds(1);   // for which one counts unchanged
  static constexpr absl::Duration kListEvery = absl::Seconds(1);
  static constexpr absl::Duration kListLife = absl::Seconds(10);
  static constexpr absl::Duration kPatience = absl::Milliseconds(500);  // of a call
  static constexpr size_t kMostRouters = 64;  // others; of more the first ones by name
  static constexpr size_t kLongestRouter = 64;

  // All outlive Stop.
  struct Deps {
    Store& store;
    const Clock& clock;
    Timers& timers;
    ReplicaLoads& replicas;
  };
  // What is known of others.
  struct State {
    size_t routers = 0;      // that count
    uint64_t in_flight = 0;  // theirs
  };

  // `self`: this router's name, unlike any other's.
  SharedLoad(Deps deps, std::string self);

  // The first round begins before it returns.
  void Start();
  // No round begins any more; answers of the last one, which may still come, change nothing.
  void Stop();
  State state() const;

 private:
  struct Router {
    std::optional<InFlightReport> report;
    // When it was seen to change. One that was found so may be of a router that is gone.
    absl::Time changed = absl::InfinitePast();
  };
  using Value = absl::StatusOr<std::optional<std::string>>;

  void Tick();
  // What a round asks of the store, once no lock is held.
  void Ask(const std::string& report, const std::vector<std::string>& routers, bool list);
  void OnWritten();
  void OnValue(const std::string& router, const Value& value);
  void OnList(const absl::StatusOr<StoreFields>& list);
  // One of the round's calls has ended; `heard`: with what others say.
  void CallEnded(bool heard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellSum() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Deps deps_;
  const std::string self_;
  mutable Mutex mutex_;
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t round_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Time asked_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();  // this round
  absl::Time next_list_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  size_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;  // calls of this round
  bool heard_ ABSL_GUARDED_BY(mutex_) = false;    // in this round
  std::map<std::string, Router> routers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
