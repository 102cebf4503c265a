#include "gateway/admission/admission.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "gateway/forwarding/deadline_rounding.h"

namespace penstock::gateway {
namespace {

constexpr uint32_t kDefaultMaxInFlight = 1024;
constexpr uint32_t kDefaultMaxQueue = 1024;
constexpr uint32_t kDefaultMinInFlight = 4;
constexpr uint32_t kLargestLimit = 1'000'000;
// How long a place is held, over about so many requests; before the first of them nothing is
// refused for want of time.
constexpr uint32_t kHolds = 64;
constexpr uint32_t kFewestHolds = 16;
// Half of the answers that a 0.99 quantile rests on: few, so that what a flood made of it is soon
// over.
constexpr uint32_t kLatencies = 100;
// Of the time until the deadline: for the answer's way back to the caller.
constexpr double kReserve = 0.05;
constexpr absl::Duration kShortestRetry = absl::Milliseconds(10);
constexpr absl::Duration kLongestRetry = absl::Seconds(5);
// Where nothing is known: by then a queue of quick requests has moved on.
constexpr absl::Duration kUsualRetry = absl::Milliseconds(50);

// Whose waiters this thread is admitting, further down on its stack.
thread_local const Admission* admitting = nullptr;

}  // namespace

struct Admission::Pool {
  Pool(std::string pool, const ConcurrencyLimit::Options& options)
      : name(std::move(pool)), limit(options), told(limit.limit()) {}

  const std::string name;
  ConcurrencyLimit limit;
  uint32_t told;                        // of the limit
  LatencyWindow latencies{kLatencies};  // of the platform
  uint32_t in_flight = 0;
  uint32_t holds = 0;   // up to kHolds
  absl::Duration hold;  // mean of late, of whatever took a place
  bool answers = false;
};

void Admission::Ticket::Answered(const absl::Status& status) {
  if (status.ok()) end_ = End::kAnswered;
  if (absl::IsDeadlineExceeded(status)) end_ = End::kLate;
  if (absl::IsCancelled(status)) end_ = End::kCancelled;
}

Admission::Options Admission::Read(const config::v1::Admission& config) {
  Options options;
  options.max_in_flight = config.has_max_in_flight() ? config.max_in_flight() : kDefaultMaxInFlight;
  options.max_queue = config.has_max_queue() ? config.max_queue() : kDefaultMaxQueue;
  options.of_pool.adaptive = !config.has_adaptive() || config.adaptive();
  options.of_pool.most = options.max_in_flight;
  options.of_pool.least = config.has_min_in_flight()
                              ? config.min_in_flight()
                              : std::min(kDefaultMinInFlight, options.max_in_flight);
  return options;
}

absl::Status Admission::Check(const config::v1::Admission& config) {
  const Options options = Read(config);
  if (options.max_in_flight < 1 || options.max_in_flight > kLargestLimit) {
    return absl::InvalidArgumentError(absl::StrCat("admission.max_in_flight: wanted 1 to ",
                                                   kLargestLimit, ", got ", options.max_in_flight));
  }
  if (options.max_queue > kLargestLimit) {
    return absl::InvalidArgumentError(absl::StrCat("admission.max_queue: wanted 0 to ",
                                                   kLargestLimit, ", got ", options.max_queue));
  }
  const uint32_t least = options.of_pool.least;
  if (least < 1 || least > options.max_in_flight) {
    return absl::InvalidArgumentError(absl::StrCat("admission.min_in_flight: wanted 1 to ",
                                                   options.max_in_flight, ", got ", least));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Admission>> Admission::Create(const config::v1::Admission& config,
                                                             const Clock& clock, Timers& timers,
                                                             AdmissionObserver& observer) {
  if (absl::Status status = Check(config); !status.ok()) return status;
  return std::unique_ptr<Admission>(new Admission(Read(config), clock, timers, observer));
}

Admission::Admission(const Options& options, const Clock& clock, Timers& timers,
                     AdmissionObserver& observer)
    : clock_(clock),
      timers_(timers),
      observer_(observer),
      options_(options),
      queue_(options.max_queue) {}

Admission::~Admission() = default;

void Admission::Change(const config::v1::Admission& config) {
  {
    MutexLock lock(mutex_);
    options_ = Read(config);
    queue_.SetMost(options_.max_queue);
    for (const auto& [name, pool] : pools_) {
      pool->limit.Change(options_.of_pool);
      TellLimit(*pool);
    }
  }
  // There may be room for who waits.
  AdmitWaiters();
}

Admission::WaiterId Admission::Enter(const Request& request, Admitted admitted) {
  std::optional<Verdict> verdict, pushed_out;
  WaiterId id = 0;
  {
    MutexLock lock(mutex_);
    const absl::Time now = clock_.Now();
    Pool& pool = FindPool(request.pool);
    const auto has_room = [this](absl::string_view name) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return HasRoom(*pools_.find(name)->second);
    };
    Waiter waiter{&pool, std::move(admitted), now, request.deadline, request.deadline};
    if (now >= request.deadline) {
      verdict.emplace(Refuse(std::move(waiter), ShedReason::kDeadline, now));
    } else if (HasRoom(pool) && !queue_.AnyFor(has_room)) {
      verdict.emplace(Admit(std::move(waiter), now));
    } else {
      if (pool.in_flight >= pool.limit.limit()) pool.limit.Bound();
      if (const auto p99 = pool.latencies.Quantile(0.99); p99.has_value()) {
        waiter.give_up -= *p99 + kReserve * (request.deadline - now);
      }
      const AdmissionQueue::Place place{pool.name, request.priority, request.tenant};
      if (now + WaitFor(pool, queue_.Ahead(place)) >= waiter.give_up) {
        verdict.emplace(Refuse(std::move(waiter), ShedReason::kNoTime, now));
      } else {
        id = next_id_++;
        const AdmissionQueue::Pushed pushed = queue_.Push(id, place);
        if (pushed.pushed_out != 0) {
          pushed_out.emplace(Refuse(Take(pushed.pushed_out), ShedReason::kPushedOut, now));
        }
        if (!pushed.taken) {
          id = 0;
          verdict.emplace(Refuse(std::move(waiter), ShedReason::kQueueFull, now));
        } else {
          if (request.deadline != absl::InfiniteFuture()) {
            waiter.timer = timers_.Schedule(waiter.give_up, [this, id] { GiveUp(id); });
          }
          waiters_.emplace(id, std::move(waiter));
        }
      }
    }
    TellLoad();
  }
  if (pushed_out.has_value()) Tell(*std::move(pushed_out));
  if (verdict.has_value()) {
    Tell(*std::move(verdict));
  } else {
    // It waits in line, though there may be room: who was there before it may not have gone in yet.
    AdmitWaiters();
  }
  return id;
}

void Admission::Cancel(WaiterId id) {
  std::optional<Verdict> verdict;
  {
    MutexLock lock(mutex_);
    if (id == 0 || !queue_.Remove(id)) return;
    Waiter waiter = Take(id);
    verdict.emplace(Verdict{std::move(waiter.admitted),
                            absl::CancelledError("the caller went away"), absl::ZeroDuration(),
                            waiter.timer});
    Forget(*waiter.pool);
    TellLoad();
  }
  Tell(*std::move(verdict));
}

void Admission::GiveUp(WaiterId id) {
  std::optional<Verdict> verdict;
  {
    MutexLock lock(mutex_);
    if (!queue_.Remove(id)) return;
    Waiter waiter = Take(id);
    waiter.timer = 0;  // it is this
    verdict.emplace(Refuse(std::move(waiter), ShedReason::kOutOfTime, clock_.Now()));
    TellLoad();
  }
  Tell(*std::move(verdict));
}

void Admission::Leave(const Ticket& ticket) {
  bool anybody_waits = false;
  {
    MutexLock lock(mutex_);
    const absl::Time now = clock_.Now();
    Pool& pool = *ticket.pool_;
    const absl::Duration took = now - ticket.admitted_;
    pool.holds = std::min(pool.holds + 1, kHolds);
    pool.hold += (took - pool.hold) / pool.holds;
    // Most that are late are reset by their callers before the gateway's timer runs.
    const bool waited_in_vain = ticket.end_ == Ticket::End::kCancelled &&
                                now >= ticket.deadline_ - DeadlineRounding(ticket.allowed_);
    const bool late = (ticket.end_ == Ticket::End::kLate || waited_in_vain) &&
                      pool.limit.TellsOfThePace(took, ticket.allowed_);
    if (ticket.end_ == Ticket::End::kAnswered || late) {
      pool.answers |= !late;
      pool.latencies.Add(took);
      if (late) {
        pool.limit.Late(took, ticket.allowed_, pool.in_flight, now);
      } else {
        pool.limit.Answered(took, ticket.allowed_, pool.in_flight, now);
      }
    } else {
      pool.limit.Ended();
    }
    --pool.in_flight;
    --in_flight_;
    TellLimit(pool);
    Forget(pool);
    TellLoad();
    anybody_waits = queue_.size() > 0;
  }
  if (anybody_waits) AdmitWaiters();
}

// A loop, not a recursion: a request that is admitted and fails at once gives its place back inside
// its callback, and a long queue of such would exhaust the stack. Each thread that frees a place,
// or finds one on arrival, has a loop of its own, so that what callbacks do (keys of kept answers
// are hashed there) is not one thread's work.
void Admission::AdmitWaiters() {
  if (admitting == this) return;
  const Admission* const outer = std::exchange(admitting, this);
  while (std::optional<Verdict> verdict = NextVerdict()) Tell(*std::move(verdict));
  admitting = outer;
}

std::optional<Admission::Verdict> Admission::NextVerdict() {
  MutexLock lock(mutex_);
  const WaiterId id = queue_.Pop([this](absl::string_view name) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return HasRoom(*pools_.find(name)->second);
  });
  if (id == 0) return std::nullopt;
  const absl::Time now = clock_.Now();
  Waiter waiter = Take(id);
  // Its timer is late.
  Verdict verdict = now >= waiter.give_up ? Refuse(std::move(waiter), ShedReason::kOutOfTime, now)
                                          : Admit(std::move(waiter), now);
  TellLoad();
  return verdict;
}

void Admission::Tell(Verdict verdict) {
  if (verdict.timer != 0) timers_.Cancel(verdict.timer);
  verdict.admitted(std::move(verdict.ticket), verdict.retry_after);
}

Admission::Pool& Admission::FindPool(absl::string_view name) {
  auto found = pools_.find(name);
  if (found == pools_.end()) {
    const absl::string_view kept = pools_.size() < kMaxPools ? name : "";
    found = pools_.find(kept);
    if (found == pools_.end()) {
      found =
          pools_.emplace(kept, std::make_unique<Pool>(std::string(kept), options_.of_pool)).first;
    }
  }
  return *found->second;
}

void Admission::Forget(Pool& pool) {
  if (pool.answers || pool.in_flight > 0 || queue_.WaitingIn(pool.name) > 0) return;
  const std::string name = pool.name;
  pools_.erase(name);
}

bool Admission::HasRoom(const Pool& pool) const {
  return in_flight_ < options_.max_in_flight && pool.in_flight < pool.limit.limit();
}

absl::Duration Admission::WaitFor(const Pool& pool, size_t ahead) const {
  if (pool.in_flight == 0 || pool.holds < kFewestHolds) return absl::ZeroDuration();
  // Places come free at the rate of in_flight / hold (Little's law).
  const uint32_t limit = pool.limit.limit();
  const size_t beyond = pool.in_flight > limit ? pool.in_flight - limit : 0;
  return pool.hold * (static_cast<double>(ahead + beyond + 1) / pool.in_flight);
}

void Admission::TellLoad() { observer_.Waiting(static_cast<uint32_t>(queue_.size()), in_flight_); }

void Admission::TellLimit(Pool& pool) {
  const uint32_t limit = pool.limit.limit();
  if (!pool.answers || limit == pool.told) return;
  pool.told = limit;
  observer_.LimitChanged(pool.name, limit);
}

Admission::Verdict Admission::Admit(Waiter waiter, absl::Time now) {
  ++in_flight_;
  ++waiter.pool->in_flight;
  observer_.Waited(now - waiter.arrived);
  return {std::move(waiter.admitted),
          Ticket(*this, *waiter.pool, now, waiter.deadline - waiter.arrived, waiter.deadline),
          absl::ZeroDuration(), waiter.timer};
}

Admission::Verdict Admission::Refuse(Waiter waiter, ShedReason reason, absl::Time now) {
  Pool& pool = *waiter.pool;
  const size_t waiting = queue_.WaitingIn(pool.name);
  if (now >= waiter.deadline) reason = ShedReason::kDeadline;
  observer_.Shed(pool.name, reason);
  absl::Duration retry_after = WaitFor(pool, waiting);
  if (retry_after == absl::ZeroDuration()) retry_after = kUsualRetry;
  retry_after = std::clamp(retry_after, kShortestRetry, kLongestRetry);
  absl::Status status;
  const auto ms = [](absl::Duration time) { return absl::Trunc(time, absl::Milliseconds(1)); };
  switch (reason) {
    case ShedReason::kQuota:  // of those who come here, nobody
    case ShedReason::kQueueFull:
      status = absl::ResourceExhaustedError(
          absl::StrCat("the gateway's queue is full: ", queue_.size(), " requests wait"));
      break;
    case ShedReason::kPushedOut:
      status = absl::ResourceExhaustedError(absl::StrCat(
          "the gateway's queue is full: ", queue_.size(), " requests wait, and others go first"));
      break;
    case ShedReason::kNoTime:
      status = absl::ResourceExhaustedError(
          absl::StrCat("too little time: ", absl::FormatDuration(ms(waiter.deadline - now)),
                       " are left, ", waiting, " requests wait, and answers take up to ",
                       absl::FormatDuration(ms(waiter.deadline - waiter.give_up))));
      break;
    case ShedReason::kOutOfTime:
      status = absl::ResourceExhaustedError(
          absl::StrCat("its turn did not come in ", absl::FormatDuration(ms(now - waiter.arrived)),
                       ", and an answer would be late"));
      break;
    case ShedReason::kDeadline:
      status = absl::DeadlineExceededError("the deadline passed before the gateway had room");
      break;
  }
  Forget(pool);
  return {std::move(waiter.admitted), std::move(status), retry_after, waiter.timer};
}

Admission::Waiter Admission::Take(WaiterId id) {
  const auto found = waiters_.find(id);
  Waiter waiter = std::move(found->second);
  waiters_.erase(found);
  return waiter;
}

uint32_t Admission::in_flight() const {
  MutexLock lock(mutex_);
  return in_flight_;
}

uint32_t Admission::queued() const {
  MutexLock lock(mutex_);
  return static_cast<uint32_t>(queue_.size());
}

size_t Admission::pools() const {
  MutexLock lock(mutex_);
  return pools_.size();
}

}  // namespace penstock::gateway
