#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/bytes.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/random.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "penstock/v1/routing.pb.h"
#include "router_service/dispatch/attempts/attempt_report.h"
#include "router_service/dispatch/attempts/retry.h"
#include "router_service/dispatch/energy_tally.h"
#include "router_service/dispatch/request_trace.h"
#include "router_service/pools/pool.h"
#include "router_service/pools/replica.h"
#include "router_service/pools/usable_replicas.h"

namespace penstock::router {

// One question to one expert.
struct AskSpec {
  size_t expert = 0;  // by configuration order
  std::string expert_name;
  std::string model;   // at the replicas, with the version that it is asked for
  std::string reason;  // "chosen", "escalation", "verification", "retry", "local"
  double weight = 1;
  Bytes request;
  uint64_t rows = 1;
  double work = 1;  // expected, over that of the expert's mean answer
  size_t application_class = 0;
  double predicted_joules = 0;
  // What a second attempt may be predicted to take; infinite without a cap.
  double retry_joules_left = std::numeric_limits<double>::infinity();
  // What one may take of what the budgets leave while the first attempt still runs, beside that;
  // unset: it is no ask of the policy's own, and is not hedged.
  std::optional<double> hedge_joules_left;
  std::vector<std::shared_ptr<Replica>> replicas;
  uint64_t seed = 0;  // of the draws of replicas
  // INTERNAL for an answer that does not fit the contract.
  absl::AnyInvocable<absl::Status(const Bytes& body)> check;
};

struct AskAttempt {
  v1::Run run;
  AttemptReport report;
  absl::Duration latency;
  CostEstimate predicted;  // when it was sent
  bool answered = false;   // OK, and the answer fits
  // What its end says that the request need not ask for again at the same endpoint.
  enum class Away {
    kNothing,
    kModel,     // the endpoint answered: this model is not there
    kEndpoint,  // there was no connection
  };
  Away away = Away::kNothing;
};

struct AskResult {
  size_t expert = 0;
  std::string expert_name;
  std::string model;
  std::string reason;
  double weight = 1;
  uint64_t rows = 1;
  double work = 1;  // as the AskSpec had it
  absl::Status status = absl::UnknownError("not asked");
  bool spare = false;  // cancelled because enough others had answered
  bool hedge_refused = false;  // a second attempt was due, but there had been enough of them
  Bytes body;
  Metadata trailers;  // of the attempt that decided
  EnergyTally energy;
  std::vector<AskAttempt> attempts;
};

// Owns the attempts at one expert: picks a replica, asks elsewhere once where the retry rule allows
// it, takes the first answer, and cancels what is left. Elsewhere is asked when the first attempt
// fails, or while it runs: once it is slow, where the pool hedges and its hedging allows one more,
// and once it has been silent for so long that it is taken to be lost. What is no hedge takes a
// token of the pool's retry budget. An attempt that leaves no trailer is charged its prediction.
class ExpertAsk : public std::enable_shared_from_this<ExpertAsk> {
 public:
  struct Context {
    const Clock& clock;
    Timers& timers;
    std::shared_ptr<PoolRecord> record;
    absl::Time deadline;
    Metadata metadata;
    // What all asks of the request found.
    std::shared_ptr<DeadEndpoints> dead = std::make_shared<DeadEndpoints>();
    std::shared_ptr<const AttemptTrace> trace = nullptr;  // null: the request is not traced
  };
  using Done = absl::AnyInvocable<void(AskResult)>;

  ExpertAsk(Context context, AskSpec spec, Done done);

  // `done` runs once, possibly before this returns, and not after Abandon.
  void Start();
  // Cancels what runs and fills `result` with the attempts so far and status `why`. False: `done`
  // has run, or is running.
  bool Abandon(const absl::Status& why, AskResult& result);

 private:
  struct Attempt {
    Replica* replica = nullptr;
    std::shared_ptr<OutgoingCall> call;
    absl::Time started;
    // When the promised quantile passes, when it is slow, and when it is taken to be lost;
    // absl::InfiniteFuture(): has been, or does not matter.
    absl::Time late_at = absl::InfiniteFuture();
    absl::Time slow_at = absl::InfiniteFuture();
    absl::Time lost_at = absl::InfiniteFuture();
    Timers::Id timer = 0;  // of the first of these
    double in_flight = 0;  // ahead of it at its replica
    ReplicaLoad load;
    CostEstimate predicted;
    bool late = false;
    bool lost = false;
    bool ended = false;
    AskAttempt record;
    Span span;
  };

  // Books an attempt at `replica`; Send then makes it, without the mutex held.
  size_t Begin(Replica* replica, absl::string_view reason) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Send(size_t index);
  void OnReply(size_t index, InferReply reply);
  // Schedules the first of what is to come while the attempt is silent.
  void ScheduleNext(size_t index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Some of it has come.
  void OnSilence(size_t index);
  // A usable replica that was not asked yet; null where there is none.
  Replica* Pick() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Asks again only after the pause that the replica asked for, where the rule allows that.
  bool RetryLater(RetryQuestion question) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // That pause is over.
  void OnRetryDue();
  void Complete(RetryQuestion& question) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Begins a second attempt where the rule allows one.
  std::optional<size_t> BeginSecond(RetryQuestion question) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What its end says of its replica. `cancelled`: by us.
  void Judge(Attempt& attempt, const absl::Status& status, bool cancelled,
             bool connection_lost = false) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndAttempt(Attempt& attempt, const absl::Status& status, const Metadata& trailers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Ends all that still run and moves the result out. The calls to cancel go to `cancel`.
  AskResult Close(std::vector<std::shared_ptr<OutgoingCall>>& cancel)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Context context_;
  Mutex mutex_;
  AskSpec spec_ ABSL_GUARDED_BY(mutex_);
  CounterRandom random_ ABSL_GUARDED_BY(mutex_);
  Done done_ ABSL_GUARDED_BY(mutex_);
  // At most two; reserved, so that references hold.
  std::vector<Attempt> attempts_ ABSL_GUARDED_BY(mutex_);
  Timers::Id retry_timer_ ABSL_GUARDED_BY(mutex_) = 0;  // while a replica's pause lasts
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  AskResult result_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::router
