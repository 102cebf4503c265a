#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "common/time/timers.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/pools/pool.h"
#include "router_service/pools/replica_connector.h"

namespace penstock::router {

// The pools, and the search for their experts: asks each expert's replicas in turn what they serve, until
// one has answered, so that services start in any order. An expert that does not fit its pool's contract
// is left out with the reason, and asked again, because servers are replaced. Thread-safe.
class PoolCatalogue : public std::enable_shared_from_this<PoolCatalogue> {
 public:
  // Idle watts of all devices that serve the pool ("": any pool) became known.
  using OnIdleWatts = absl::AnyInvocable<void(absl::string_view pool, double watts)>;

  // INVALID_ARGUMENT says what is wrong with which pool. `timers` and `connector` outlive Stop.
  static absl::StatusOr<std::shared_ptr<PoolCatalogue>> Create(const config::v1::Router& config,
                                                               bool has_in_process_expert,
                                                               Timers& timers, const Clock& clock,
                                                               ReplicaConnector& connector);
  void SetIdleWattsHandler(OnIdleWatts handler);

  void Start();
  // After this, timers and connector are not touched any more.
  void Stop();

  struct Promotion {
    std::string live_version, previous_version;
    bool changed = false;  // false: it was live already
  };
  // Makes the pool's shadow live for every request from here on; those under way keep the snapshot that
  // they began with. `version`: the shadow's, so that nothing else is promoted; empty: whatever it is.
  // The version that was live before the last promotion is promoted back. NOT_FOUND;
  // FAILED_PRECONDITION where there is no such version.
  absl::StatusOr<Promotion> Promote(absl::string_view name, absl::string_view version,
                                    PromotedBy by);

  // Null: no pool of that name.
  std::shared_ptr<const Pool> Find(absl::string_view name) const;
  // By configuration order.
  std::vector<std::shared_ptr<const Pool>> All() const;
  // Every pool has a healthy, admitted expert; 10 s after Start, one pool is enough, so that a pool that
  // is down does not hold up the others.
  bool ready() const;

 private:
  struct Search {
    size_t attempts = 0;
    bool asking = false;
    Timers::Id timer = 0;
  };
  struct Entry {
    std::shared_ptr<const Pool> pool;
    std::vector<Search> searches;  // by expert
    // What the last promotion took out of service; null: nothing yet.
    std::shared_ptr<const Pool> retired;
  };

  PoolCatalogue(bool learning, Timers& timers, const Clock& clock)
      : learning_(learning), timers_(timers), clock_(clock) {}

  absl::Status Add(const config::v1::Pool& config, ReplicaConnector& connector);
  void Ask(size_t pool, size_t expert);
  void OnFacts(size_t pool, size_t expert, absl::StatusOr<ReplicaFacts> facts);
  // The pool's next snapshot with what the expert said.
  std::shared_ptr<const Pool> Admit(const Pool& pool, size_t expert, const ReplicaFacts& facts);
  void ReportIdleWatts(size_t pool);

  const bool learning_;
  Timers& timers_;
  const Clock& clock_;
  mutable Mutex mutex_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, size_t, std::less<>> index_;  // fixed after Create
  // By connection: experts that share one share its device.
  std::map<const ReplicaConnection*, double> idle_watts_ ABSL_GUARDED_BY(mutex_);
  OnIdleWatts on_idle_watts_;  // fixed before Start
  absl::Time started_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace penstock::router
