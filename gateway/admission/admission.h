#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "gateway/admission/admission_observer.h"
#include "gateway/admission/admission_queue.h"
#include "gateway/admission/concurrency_limit.h"
#include "gateway/forwarding/latency_window.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock::gateway {

// Bounds what the gateway works on: so many requests forwarded at once, of a pool as many as
// ConcurrencyLimit finds, and so many waiting for a turn in the order of AdmissionQueue. Nobody
// overtakes who waits. Refused at once is what finds the queue full or would have its turn too
// late: a request waits only as long as 99 of 100 would still be answered in time. Thread-safe.
class Admission {
 private:
  struct Pool;

 public:
  // Names come from callers: beyond so many pools the others share one limit, and none is kept in
  // mind that never answered.
  static constexpr size_t kMaxPools = 1024;

  // A place among the requests in flight; its end admits the next in line.
  class Ticket {
   public:
    ~Ticket() {
      if (admission_ != nullptr) admission_->Leave(*this);
    }
    Ticket(Ticket&& other) noexcept
        : admission_(std::exchange(other.admission_, nullptr)),
          pool_(other.pool_),
          admitted_(other.admitted_),
          allowed_(other.allowed_),
          deadline_(other.deadline_),
          end_(other.end_) {}
    Ticket& operator=(Ticket&&) = delete;

    // The platform answered with this; CANCELLED: its caller went away. Where nobody says so, it
    // was not asked.
    void Answered(const absl::Status& status);

   private:
    friend class Admission;
    enum class End { kUntold, kAnswered, kLate, kCancelled };
    Ticket(Admission& admission, Pool& pool, absl::Time admitted, absl::Duration allowed,
           absl::Time deadline)
        : admission_(&admission),
          pool_(&pool),
          admitted_(admitted),
          allowed_(allowed),
          deadline_(deadline) {}

    Admission* admission_;
    Pool* pool_;
    absl::Time admitted_;
    absl::Duration allowed_;  // from its arrival to its deadline
    absl::Time deadline_;
    End end_ = End::kUntold;
  };

  struct Request {
    absl::string_view pool;
    absl::string_view tenant;
    uint32_t priority = 0;  // 0 goes first
    absl::Time deadline = absl::InfiniteFuture();
  };
  // `retry_after`, with RESOURCE_EXHAUSTED: by then what is ahead has probably gone.
  using Admitted =
      absl::AnyInvocable<void(absl::StatusOr<Ticket> ticket, absl::Duration retry_after)>;
  using WaiterId = AdmissionQueue::Id;

  static absl::StatusOr<std::unique_ptr<Admission>> Create(const config::v1::Admission& config,
                                                           const Clock& clock, Timers& timers,
                                                           AdmissionObserver& observer);
  static absl::Status Check(const config::v1::Admission& config);
  ~Admission();
  // Other limits from here on, which have passed Check. Who is in stays in, and who waits goes on
  // waiting, beyond them too.
  void Change(const config::v1::Admission& config);

  // Calls `admitted` once: with a ticket, now or when it is the request's turn; with
  // RESOURCE_EXHAUSTED when it has to go; with DEADLINE_EXCEEDED when its deadline has passed
  // or passes in the queue; with CANCELLED after Cancel. Returns 0 when it did not have to wait.
  WaiterId Enter(const Request& request, Admitted admitted);
  void Cancel(WaiterId id);

  uint32_t in_flight() const;
  uint32_t queued() const;
  // Pools that are kept in mind.
  size_t pools() const;

 private:
  struct Options {
    uint32_t max_in_flight = 0;
    uint32_t max_queue = 0;
    ConcurrencyLimit::Options of_pool;
  };
  struct Waiter {
    Pool* pool = nullptr;
    Admitted admitted;
    absl::Time arrived;
    absl::Time deadline;
    absl::Time give_up;    // an answer would probably be late if it was admitted then
    Timers::Id timer = 0;  // 0: no deadline
  };
  // What becomes of one, told once the lock is released.
  struct Verdict {
    Admitted admitted;
    absl::StatusOr<Ticket> ticket;
    absl::Duration retry_after;
    Timers::Id timer = 0;
  };

  Admission(const Options& options, const Clock& clock, Timers& timers,
            AdmissionObserver& observer);
  static Options Read(const config::v1::Admission& config);
  void Leave(const Ticket& ticket);
  void AdmitWaiters();
  std::optional<Verdict> NextVerdict();
  void GiveUp(WaiterId id);
  void Tell(Verdict verdict);

  Pool& FindPool(absl::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Unless there is a reason to know it.
  void Forget(Pool& pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasRoom(const Pool& pool) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Until it is the turn of one that has so many ahead of it; 0 where that is not known.
  absl::Duration WaitFor(const Pool& pool, size_t ahead) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellLoad() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void TellLimit(Pool& pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Verdict Admit(Waiter waiter, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Verdict Refuse(Waiter waiter, ShedReason reason, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // It has left the queue.
  Waiter Take(WaiterId id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Clock& clock_;
  Timers& timers_;
  AdmissionObserver& observer_;
  mutable Mutex mutex_;
  Options options_ ABSL_GUARDED_BY(mutex_);
  AdmissionQueue queue_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<WaiterId, Waiter> waiters_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, std::unique_ptr<Pool>> pools_ ABSL_GUARDED_BY(mutex_);
  uint32_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  WaiterId next_id_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace penstock::gateway
