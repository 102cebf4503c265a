#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/mutex.h"
#include "common/notification.h"
#include "common/time/timers.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/pools/pool.h"
#include "router_service/pools/pool_entry.h"
#include "router_service/pools/replica_connector.h"

namespace penstock::router {

// The pools of one configuration that another one is to take the place of: built, checked and found
// answering beside those that serve. Dropped before Commit, it leaves nothing behind.
class StagedPools {
 public:
  ~StagedPools();
  // Every pool that is not as it was, each with "added", "changed" or "removed".
  const std::vector<std::pair<std::string, std::string>>& changes() const { return changes_; }
  // Those that begin with the commit.
  std::vector<std::shared_ptr<const Pool>> Begun() const;

 private:
  friend class PoolCatalogue;
  StagedPools() = default;

  std::vector<std::shared_ptr<PoolEntry>> entries_;  // by configuration order
  std::vector<std::shared_ptr<PoolEntry>> begun_;    // of them, those that did not serve before
  std::vector<std::pair<std::string, std::string>> changes_;
};

// The pools, and the search for their experts (see PoolEntry), so that services start in any order.
// Thread-safe.
class PoolCatalogue : public std::enable_shared_from_this<PoolCatalogue> {
 public:
  // Idle watts of all devices that serve the pool ("": any pool) became known.
  using OnIdleWatts = absl::AnyInvocable<void(absl::string_view pool, double watts)>;
  using Promotion = PoolPromotion;

  // INVALID_ARGUMENT says what is wrong with which pool. `timers`, `connector` and `names` outlive
  // Stop; null: see PoolEntry::Deps.
  static absl::StatusOr<std::shared_ptr<PoolCatalogue>> Create(const config::v1::Router& config,
                                                               bool has_in_process_expert,
                                                               Timers& timers, const Clock& clock,
                                                               ReplicaConnector& connector,
                                                               EndpointNames* names = nullptr);
  void SetIdleWattsHandler(OnIdleWatts handler);

  void Start();
  // After this, timers and connector are not touched any more.
  void Stop();

  // The pools of another configuration. A pool whose configuration and files are as they were stays
  // as it is; one that changes keeps what still holds (pool_succession.h). INVALID_ARGUMENT as of
  // Create, and for files that cannot be read or do not fit. Blocks: waits until the experts that
  // answer now, and go on, answer in the new pools too, for `patience` at most and until `give_up`;
  // UNAVAILABLE where a pool that is ready would not be. One caller at a time.
  absl::StatusOr<std::unique_ptr<StagedPools>> Stage(const config::v1::Router& config,
                                                     absl::Duration patience,
                                                     const Notification& give_up);
  // They serve every request from here on; those under way keep the snapshot that they began with.
  void Commit(std::unique_ptr<StagedPools> staged);

  // Names may have other addresses. Those of staged pools, too, while they are waited for.
  void RefreshNames();

  // Makes the pool's shadow live for every request from here on; those under way keep the snapshot
  // that they began with. `version`: the shadow's, so that nothing else is promoted; empty:
  // whatever it is. The version that was live before the last promotion is promoted back.
  // NOT_FOUND; FAILED_PRECONDITION where there is no such version.
  absl::StatusOr<Promotion> Promote(absl::string_view name, absl::string_view version,
                                    PromotedBy by);

  // Of the files that the pools were made from.
  std::string FilesDigest() const;

  // Null: no pool of that name.
  std::shared_ptr<const Pool> Find(absl::string_view name) const;
  // By configuration order.
  std::vector<std::shared_ptr<const Pool>> All() const;
  // Every pool has a healthy, admitted expert; 10 s after Start, one pool is enough, so that a pool
  // that is down does not hold up the others.
  bool ready() const;

 private:
  using Entries = std::vector<std::shared_ptr<PoolEntry>>;

  PoolCatalogue(bool learning, bool has_in_process_expert, Timers& timers, const Clock& clock,
                ReplicaConnector& connector, EndpointNames* names)
      : learning_(learning),
        has_in_process_expert_(has_in_process_expert),
        timers_(timers),
        clock_(clock),
        connector_(connector),
        names_(names) {}

  PoolEntry::Deps DepsOfEntries();
  std::shared_ptr<PoolEntry> FindEntry(absl::string_view name) const;
  Entries AllEntries() const;
  void SetEntries(Entries entries);
  void ReportIdleWatts(const std::string& pool);

  const bool learning_;
  const bool has_in_process_expert_;
  Timers& timers_;
  const Clock& clock_;
  ReplicaConnector& connector_;
  EndpointNames* const names_;
  mutable Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);  // by configuration order
  std::map<std::string, std::shared_ptr<PoolEntry>, std::less<>> index_ ABSL_GUARDED_BY(mutex_);
  Mutex watts_mutex_;
  OnIdleWatts on_idle_watts_ ABSL_GUARDED_BY(watts_mutex_);
  absl::Time started_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace penstock::router
