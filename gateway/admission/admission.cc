#include "gateway/admission/admission.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock::gateway {
namespace {

constexpr uint32_t kDefaultMaxInFlight = 1024;
constexpr uint32_t kDefaultMaxQueue = 1024;
constexpr uint32_t kLargestLimit = 1'000'000;

uint32_t MaxInFlight(const config::v1::Admission& config) {
  return config.has_max_in_flight() ? config.max_in_flight() : kDefaultMaxInFlight;
}
uint32_t MaxQueue(const config::v1::Admission& config) {
  return config.has_max_queue() ? config.max_queue() : kDefaultMaxQueue;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Admission>> Admission::Create(const config::v1::Admission& config,
                                                             Timers& timers) {
  const uint32_t max_in_flight = MaxInFlight(config);
  const uint32_t max_queue = MaxQueue(config);
  if (max_in_flight < 1 || max_in_flight > kLargestLimit) {
    return absl::InvalidArgumentError(
        absl::StrCat("admission.max_in_flight: wanted 1 to ", kLargestLimit, ", got ", max_in_flight));
  }
  if (max_queue > kLargestLimit) {
    return absl::InvalidArgumentError(
        absl::StrCat("admission.max_queue: wanted 0 to ", kLargestLimit, ", got ", max_queue));
  }
  return std::unique_ptr<Admission>(new Admission(max_in_flight, max_queue, timers));
}

void Admission::Change(const config::v1::Admission& config) {
  {
    MutexLock lock(mutex_);
    max_in_flight_ = MaxInFlight(config);
    max_queue_ = MaxQueue(config);
    if (admitting_) return;
    admitting_ = true;
  }
  // There may be room for who waits.
  AdmitWaiters();
}

Admission::WaiterId Admission::Enter(uint32_t priority, absl::Time deadline, Admitted admitted) {
  bool refused = false;
  uint32_t max_queue = 0;
  {
    MutexLock lock(mutex_);
    if (in_flight_ < max_in_flight_) {
      ++in_flight_;
    } else if (queued_ < max_queue_) {
      const WaiterId id = next_id_++;
      Waiter waiter{id, std::move(admitted)};
      if (deadline != absl::InfiniteFuture()) {
        waiter.timer = timers_.Schedule(deadline, [this, id] {
          Remove(id, absl::DeadlineExceededError("the deadline passed in the gateway's queue"));
        });
      }
      waiting_[std::min(priority, kPriorities - 1)].push_back(std::move(waiter));
      ++queued_;
      return id;
    } else {
      refused = true;
      max_queue = max_queue_;
    }
  }
  if (refused) {
    admitted(absl::ResourceExhaustedError(
        absl::StrCat("the gateway's queue is full: ", max_queue, " requests wait")));
  } else {
    admitted(Ticket(*this));
  }
  return 0;
}

void Admission::Cancel(WaiterId id) {
  if (id != 0) Remove(id, absl::CancelledError("the caller went away"));
}

void Admission::Remove(WaiterId id, absl::Status why) {
  std::optional<Waiter> removed;
  {
    MutexLock lock(mutex_);
    for (std::deque<Waiter>& line : waiting_) {
      const auto it = std::find_if(line.begin(), line.end(),
                                   [id](const Waiter& waiter) { return waiter.id == id; });
      if (it == line.end()) continue;
      removed = std::move(*it);
      line.erase(it);
      --queued_;
      break;
    }
  }
  if (!removed.has_value()) return;
  if (removed->timer != 0) timers_.Cancel(removed->timer);
  removed->admitted(std::move(why));
}

void Admission::Leave() {
  {
    MutexLock lock(mutex_);
    --in_flight_;
    if (admitting_) return;
    admitting_ = true;
  }
  AdmitWaiters();
}

// A loop, not a recursion: a request that is admitted and fails at once gives its place back inside
// `admitted`, and a long queue of such would exhaust the stack.
void Admission::AdmitWaiters() {
  for (;;) {
    std::optional<Waiter> next;
    {
      MutexLock lock(mutex_);
      if (in_flight_ < max_in_flight_) {
        for (std::deque<Waiter>& line : waiting_) {
          if (line.empty()) continue;
          next = std::move(line.front());
          line.pop_front();
          --queued_;
          ++in_flight_;
          break;
        }
      }
      if (!next.has_value()) {
        admitting_ = false;
        return;
      }
    }
    if (next->timer != 0) timers_.Cancel(next->timer);
    next->admitted(Ticket(*this));
  }
}

uint32_t Admission::in_flight() const {
  MutexLock lock(mutex_);
  return in_flight_;
}

uint32_t Admission::queued() const {
  MutexLock lock(mutex_);
  return queued_;
}

}  // namespace penstock::gateway
