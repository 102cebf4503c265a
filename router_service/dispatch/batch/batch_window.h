#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/dispatch/batch/batch_worker.h"
#include "router_service/pools/pool.h"
#include "router_service/pools/pool_load.h"
#include "router_service/selection/sinkhorn_assigner.h"

namespace penstock::router {

// A request that waits to be assigned together with others.
struct WaitingRequest {
  // By expert, in quality units; BatchProblem::kInadmissible: it must not run.
  std::vector<double> worth;
  // Runs once: with the expert, or BatchAssigner::kUnassigned where it is to decide alone, and how
  // many were assigned together.
  absl::AnyInvocable<void(int32_t expert, size_t together)> resume;
};

// The requests of one busy pool that wait for each other: the first one opens a window, its end or
// the last request that it holds closes it, and a transport plan assigns them by worth and places.
// Nothing blocks: a worker of the window's own assigns and resumes. While it does the next window
// fills, and stays open beyond its time until the worker is free; who finds that one full decides
// alone. Thread-safe. Every request is resumed once.
class BatchWindow : public std::enable_shared_from_this<BatchWindow> {
 public:
  // clock and timers outlive it.
  BatchWindow(const config::v1::BatchAssignment& config, const Clock& clock, Timers& timers,
              std::unique_ptr<BatchWorker> worker);
  ~BatchWindow();

  absl::Duration window() const { return window_; }
  // Requests at the experts and in the window over slots are at the threshold.
  bool Busy(const PoolLoad& load) const;
  // Of `pool`. May resume the request before it returns.
  void Join(std::shared_ptr<const Pool> pool, WaitingRequest request);
  // Assigns what waits, and returns when all that joined is resumed; who joins later decides alone.
  void Stop();

 private:
  void Close(uint64_t number);
  // Whether the worker is to be given Work, for what waits.
  bool Due() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // On the worker: batches, until none is due.
  void Work();
  void Assign(const Pool& pool, std::vector<WaitingRequest> requests);

  const double utilisation_;
  const absl::Duration window_;
  const size_t most_;
  const double entropy_;
  const Clock& clock_;
  Timers& timers_;
  mutable Mutex mutex_;
  CondVar idle_;
  std::vector<WaitingRequest> waiting_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Pool> pool_ ABSL_GUARDED_BY(mutex_);  // of the request that came last
  uint64_t number_ ABSL_GUARDED_BY(mutex_) = 0;               // of windows opened
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool due_ ABSL_GUARDED_BY(mutex_) = false;      // what waits is to be assigned
  bool working_ ABSL_GUARDED_BY(mutex_) = false;  // Work was given to the worker, and is not done
  const std::unique_ptr<BatchWorker> worker_;
};

}  // namespace penstock::router
