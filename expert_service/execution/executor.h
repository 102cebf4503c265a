#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "expert_service/batching/deadline_batcher.h"
#include "expert_service/execution/expert_events.h"
#include "expert_service/execution/model_statistics.h"
#include "expert_service/execution/utilization.h"
#include "expert_service/metering/energy_meter.h"
#include "expert_service/metering/energy_model.h"
#include "expert_service/models/model_repository.h"
#include "kernels/device/thread_pool.h"

namespace penstock::expert {

// What became of a request.
struct ExecutionOutcome {
  absl::Status status;
  std::vector<Tensor> outputs;  // as wanted
  double joules = 0;            // active joules, as the meter tells before the window closes
  absl::Duration queued;
  absl::Duration computed;
  absl::Duration retry_after;  // of RESOURCE_EXHAUSTED
};

struct ExecutionRequest final : QueuedRequest {
  std::shared_ptr<const Model> model;
  ModelInputs inputs;
  std::vector<size_t> wanted;  // indexes of the contract's outputs
  // Runs exactly once, on any thread.
  absl::AnyInvocable<void(ExecutionOutcome)> done;

 private:
  friend class Executor;
  bool cancelled = false;  // under the executor's mutex
};

// Worker threads that take batches over all models, the most urgent first, run them and answer.
// While fewer batches run than there are workers, the cores that are left help with those that do.
// Thread-safe.
class Executor {
 public:
  struct Options {
    int threads = 1;
    int warm_up_runs = 3;
    EnergyModel energy;
  };
  // Measured by WarmUp; zeros before.
  struct Profile {
    absl::Duration one_row;     // an execution of one row
    absl::Duration full_batch;  // of max_rows
  };
  // A version of a model as it is served.
  struct Version {
    std::string model;
    int64_t version = 0;
    size_t weight_bytes = 0;  // held in memory
    uint64_t waiting = 0;     // requests
    absl::Duration warm_up;
    ModelStatistics::Snapshot statistics;  // without its batches
  };
  struct Load {
    uint64_t in_flight = 0;    // waiting and running
    uint64_t queue_depth = 0;  // waiting
    double utilization = 0;    // of the workers, recently
  };

  Executor(Options options, const ModelRepository& models, EnergyMeter& meter, const Clock& clock,
           ExpertEvents& events);
  // Stops; requests that wait are answered UNAVAILABLE.
  ~Executor();

  // Runs every model alone and full, which touches all weights and teaches the latency models.
  // Blocks; before Start. Without help, which a loaded service cannot promise.
  absl::Status WarmUp();
  // The same for models that come while others are served, and may be submitted then. Blocks the
  // caller alone; with an error none of them is taken. One caller at a time.
  absl::Status Add(const std::vector<std::shared_ptr<const Model>>& models);
  // Lets go of models that nobody else has any more.
  void Sweep();
  void Start();
  // Answers what waits with UNAVAILABLE, lets what runs finish, ends the threads.
  void Stop();

  // `request->done` may run before this returns.
  void Submit(std::shared_ptr<ExecutionRequest> request);
  // Answers CANCELLED if the request still waits, or is submitted later. What runs already is
  // finished and charged.
  void Cancel(ExecutionRequest& request);

  Load load() const;
  // Of models that the caller holds.
  Profile profile(const Model& model) const;
  ModelStatistics& statistics(const Model& model);
  // In the order in which they came. Of two with one name and version the first one answers its
  // last requests.
  std::vector<Version> versions() const;
  // By owner in the meter's books: the versions of one model are one owner.
  std::vector<std::string> owners() const;
  const Options& options() const { return options_; }

 private:
  struct Served {
    Served(std::shared_ptr<const Model> served, uint64_t owner);

    const std::shared_ptr<const Model> model;
    const uint64_t owner;  // in the meter's books
    const size_t weight_bytes;
    DeadlineBatcher batcher;
    const std::shared_ptr<ModelStatistics> statistics = std::make_shared<ModelStatistics>();
    Profile profile;
    absl::Duration warm_up;
    bool tried = false;  // during one Pick
  };
  struct Picked {
    Served* served = nullptr;
    DeadlineBatcher::Requests batch;
    std::vector<std::pair<std::shared_ptr<QueuedRequest>, absl::Status>> late;
    absl::Time wait_until = absl::InfiniteFuture();
  };
  using Group = std::vector<ExecutionRequest*>;

  // A request for a model, and whoever else asks of it, holds the model: so it is served.
  Served& Of(const Model& model) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::unique_ptr<Served> MakeServed(std::shared_ptr<const Model> model)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WarmUp(Served& served, Arena& arena);
  void Run();
  Picked Pick(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Execute(Served& served, const DeadlineBatcher::Requests& batch, Arena& arena);
  // What idle cores spent to help.
  absl::Duration ExecuteGroup(Served& served, const Group& group, Arena& arena);
  std::vector<Group> Split(const Model& model, const DeadlineBatcher::Requests& batch) const;
  absl::StatusOr<absl::Duration> TimeRun(Served& served, int64_t rows, Arena& arena);

  const Options options_;
  EnergyMeter& meter_;
  const Clock& clock_;
  ExpertEvents& events_;

  mutable Mutex mutex_;  // guards the batchers and profiles, too
  std::vector<std::unique_ptr<Served>> served_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> owners_ ABSL_GUARDED_BY(mutex_);
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t waiting_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  mutable Utilization utilization_ ABSL_GUARDED_BY(mutex_);
  kernels::ThreadPool pool_;
  std::vector<std::thread> threads_;
};

}  // namespace penstock::expert
