#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock::gateway {

// Bounds what the gateway works on: so many requests forwarded at once, so many waiting for a turn by
// priority and then arrival; more are refused at once. Thread-safe.
class Admission {
 public:
  static constexpr uint32_t kPriorities = 10;

  // A place among the requests in flight; its end admits the next in line.
  class Ticket {
   public:
    explicit Ticket(Admission& admission) : admission_(&admission) {}
    ~Ticket() {
      if (admission_ != nullptr) admission_->Leave();
    }
    Ticket(Ticket&& other) noexcept : admission_(std::exchange(other.admission_, nullptr)) {}
    Ticket& operator=(Ticket&&) = delete;

   private:
    Admission* admission_;
  };

  using Admitted = absl::AnyInvocable<void(absl::StatusOr<Ticket>)>;
  using WaiterId = uint64_t;

  static absl::StatusOr<std::unique_ptr<Admission>> Create(const config::v1::Admission& config,
                                                           Timers& timers);
  // Other limits from here on, which have passed Create. Who is in stays in, and who waits goes on
  // waiting, beyond them too.
  void Change(const config::v1::Admission& config);

  // Calls `admitted` once: with a ticket, now or when it is the request's turn; with
  // RESOURCE_EXHAUSTED when the queue is full; with DEADLINE_EXCEEDED when `deadline` passes in the
  // queue; with CANCELLED after Cancel. Returns 0 when it was called already.
  WaiterId Enter(uint32_t priority, absl::Time deadline, Admitted admitted);
  void Cancel(WaiterId id);

  uint32_t in_flight() const;
  uint32_t queued() const;

 private:
  struct Waiter {
    WaiterId id;
    Admitted admitted;
    Timers::Id timer = 0;  // 0: no deadline
  };

  Admission(uint32_t max_in_flight, uint32_t max_queue, Timers& timers)
      : timers_(timers), max_in_flight_(max_in_flight), max_queue_(max_queue) {}
  void Leave();
  void AdmitWaiters();
  void Remove(WaiterId id, absl::Status why);

  Timers& timers_;
  mutable Mutex mutex_;
  uint32_t max_in_flight_ ABSL_GUARDED_BY(mutex_);
  uint32_t max_queue_ ABSL_GUARDED_BY(mutex_);
  uint32_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  // A thread is in AdmitWaiters: it will see whatever frees a place meanwhile.
  bool admitting_ ABSL_GUARDED_BY(mutex_) = false;
  WaiterId next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  std::array<std::deque<Waiter>, kPriorities> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
