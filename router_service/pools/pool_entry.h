#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/endpoint_names.h"
#include "common/mutex.h"
#include "common/time/timers.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/pools/pool.h"
#include "router_service/pools/replica_connector.h"

namespace penstock::router {

struct PoolPromotion {
  std::string live_version, previous_version;
  bool changed = false;  // false: it was live already
};

// One configured pool: its latest snapshot, and the search for its experts, which asks each
// expert's replicas in turn what they serve until one has answered. An expert that does not fit the
// pool's contract is left out with the reason, and asked again, because servers are replaced.
// Thread-safe; files are read beside the snapshot, never under its lock.
class PoolEntry : public std::enable_shared_from_this<PoolEntry> {
 public:
  struct Deps {
    bool learning = true;
    Timers& timers;
    const Clock& clock;
    ReplicaConnector& connector;
    // What `dns:///NAME:PORT` stands for; null: it is connected to as it is.
    EndpointNames* names = nullptr;
    // An expert was admitted. Runs on the thread that its answer came on.
    std::function<void(const std::string& pool)> on_admitted;
  };

  // `config` has passed ValidatePool. INVALID_ARGUMENT for what its files and endpoints say then.
  static absl::StatusOr<std::shared_ptr<PoolEntry>> Create(const config::v1::Pool& config,
                                                           const Deps& deps);
  // The same for a pool that `before` serves under another configuration, or other files: replicas,
  // what experts said of themselves and what was learnt stays with every expert that does (see
  // pool_succession.h). INVALID_ARGUMENT too where the files do not fit what the experts said.
  static absl::StatusOr<std::shared_ptr<PoolEntry>> Succeed(const PoolEntry& before,
                                                            const config::v1::Pool& config,
                                                            const Deps& deps);

  // Asks what is not known yet.
  void Start();
  // Nothing is asked after it, and timers and connector are not touched.
  void Stop();

  // Names may have other addresses: replicas at those that are new join, others leave.
  void RefreshNames();

  // As configured; a promotion changes the snapshot's alone.
  const config::v1::Pool& configured() const { return configured_; }
  // Of the contents of the files that the configuration names, as they were when this was made.
  const std::string& files_digest() const { return files_digest_; }
  std::shared_ptr<const Pool> pool() const;

  // See PoolCatalogue::Promote. FAILED_PRECONDITION where there is no such version.
  absl::StatusOr<PoolPromotion> Promote(absl::string_view version, PromotedBy by);

 private:
  struct Search {
    size_t attempts = 0;
    Timers::Id timer = 0;
  };

  PoolEntry(const config::v1::Pool& config, const Deps& deps);

  // Connections to the replicas of an expert, in the configuration's order, names by their
  // addresses.
  absl::StatusOr<std::vector<std::shared_ptr<ReplicaConnection>>> ConnectionsOf(
      const config::v1::PoolExpert& expert) const;
  // The first snapshot, which knows nothing of its experts.
  absl::StatusOr<std::shared_ptr<Pool>> FirstSnapshot();
  // Of a cacheable pool: what the expert's replica at `connection` serves.
  std::shared_ptr<ServedContent> ContentAt(const PoolExpert& expert,
                                           std::shared_ptr<ReplicaConnection> connection);
  void ContentChanged();
  // Of an expert without connections.
  absl::Status WhyNoReplica(size_t expert) const;
  void Ask(size_t expert);
  void OnFacts(size_t expert, std::shared_ptr<ReplicaConnection> told_by,
               absl::StatusOr<ReplicaFacts> facts);

  const config::v1::Pool configured_;
  const std::string files_digest_;
  const Deps deps_;
  // Held while the next snapshot is made, and before mutex_.
  Mutex making_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable Mutex mutex_;
  std::shared_ptr<const Pool> pool_ ABSL_GUARDED_BY(mutex_);
  std::vector<Search> searches_ ABSL_GUARDED_BY(mutex_);  // by expert
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  // What the last promotion took out of service, for going back: how it decided, without its
  // replicas, which may have left since. Null rooms: nothing yet.
  struct Retired {
    config::v1::Pool config;
    std::shared_ptr<const PoolRooms> rooms;
  };
  Retired retired_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
