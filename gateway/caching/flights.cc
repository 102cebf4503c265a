#include "gateway/caching/flights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "gateway/caching/kept_answer.h"

namespace penstock::gateway {
namespace {

// Of the time that a flight has left, what a request must have to wait for it. The slack covers
// clients' rounding: gRPC sends deadlines with two digits or more.
constexpr double kEnoughOfTheTime = 0.9;

// An equal request is as wrong, whoever sends it and however long it waits.
bool IsTheRequests(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ||
         absl::IsUnimplemented(status);
}

uint64_t Bucket(const CacheDigest& digest) {
  uint64_t bucket = 0;
  std::memcpy(&bucket, digest.data(), sizeof(bucket));
  return bucket;
}

}  // namespace

struct Flights::Waiter {
  std::string id;
  std::string tenant;
  CallOptions options;
  absl::Time due;
  Done done;
  Timers::Id timer = 0;  // 0: no deadline
  bool had_another = false;
};

struct Flights::Flight {
  Flight(std::shared_ptr<const CacheKey> of, const Request& request)
      : key(std::move(of)),
        pool(request.pool),
        policy(request.policy),
        message(WithoutId(request.message)),
        due(request.due),
        tenant(request.tenant) {}

  const std::shared_ptr<const CacheKey> key;
  const std::string pool;
  const std::shared_ptr<const CachePolicy> policy;
  const Bytes message;

  std::map<SeatId, Waiter> waiters;  // by arrival
  // Of the run under way, or of the one that comes next.
  absl::Time due;
  std::string tenant;
  SeatId payer = 0;  // 0: nobody pays so far
  bool running = false;
  uint64_t runs = 0;
  std::shared_ptr<OutgoingCall> run;
  // The last one, which has left: its answer waits for the end of the run that was cancelled for
  // it, so that no run outlives the requests that it is for.
  std::optional<Waiter> left;
  absl::Status left_because;
};

class Flights::Seat final : public OutgoingCall {
 public:
  Seat(Flights& flights, std::weak_ptr<Flight> flight, SeatId seat)
      : flights_(flights), flight_(std::move(flight)), seat_(seat) {}

  void Cancel() override {
    // Gone: it has landed, or everybody has left.
    if (const auto flight = flight_.lock(); flight != nullptr) {
      flights_.Leave(flight, seat_, absl::CancelledError("the client went away"));
    }
  }

 private:
  Flights& flights_;
  const std::weak_ptr<Flight> flight_;
  const SeatId seat_;
};

std::shared_ptr<OutgoingCall> Flights::Join(CacheKey key, Request request, Done done) {
  const auto own = std::make_shared<const CacheKey>(std::move(key));
  Waiter waiter;
  waiter.id = request.id;
  waiter.tenant = request.tenant;
  waiter.options = std::move(request.options);
  waiter.due = request.due;
  waiter.done = std::move(done);
  std::vector<Compared> compared;
  std::shared_ptr<Flight> fresh;      // once the cache has no answer
  uint64_t removed_before_look = 0;   // of `removed_`, then
  for (;;) {
    std::shared_ptr<Flight> flight;
    bool same = false;
    SeatId seat = 0;
    size_t open = 0;
    uint64_t removed = 0;
    {
      MutexLock lock(mutex_);
      flight = FindFlight(*own, request.due, compared, same);
      removed = removed_[own->digest[0]];
      const bool begins =
          flight == nullptr && fresh != nullptr && removed == removed_before_look;
      if (begins) open_.emplace(Bucket(own->digest), fresh);
      if (begins) flight = fresh;
      if (begins || same) seat = Sit(flight, std::move(waiter));
      open = open_.size();
    }
    if (seat != 0) {
      auto call = std::make_shared<Seat>(*this, flight, seat);
      if (!same) {
        deps_.observer.FlightsOpen(open);
        Begin(flight);
      }
      return call;
    }
    if (flight != nullptr) {
      const bool equal = deps_.same_key(*flight->key, *own);
      compared.push_back({std::move(flight), equal});
      continue;
    }
    // One that landed since the cache was looked at has left its answer there before it went.
    if (const auto kept = deps_.answers.Find(*own); kept != nullptr) {
      deps_.observer.Answered(request.pool, CacheObserver::Source::kLocal);
      waiter.done(KeptReply(*kept, waiter.id));
      return std::make_shared<Seat>(*this, std::weak_ptr<Flight>(), 0);
    }
    removed_before_look = removed;
    if (fresh == nullptr) fresh = std::make_shared<Flight>(own, request);
  }
}

Flights::SeatId Flights::Sit(const std::shared_ptr<Flight>& flight, Waiter waiter) {
  const SeatId seat = next_seat_++;
  if (waiter.options.deadline != absl::InfiniteFuture()) {
    waiter.timer = deps_.timers.Schedule(
        waiter.options.deadline, [this, seat, weak = std::weak_ptr<Flight>(flight)] {
          if (const auto held = weak.lock(); held != nullptr) {
            Leave(held, seat,
                  absl::DeadlineExceededError(
                      "the deadline passed while an equal request was running"));
          }
        });
  }
  flight->waiters.emplace(seat, std::move(waiter));
  return seat;
}

std::shared_ptr<Flights::Flight> Flights::FindFlight(const CacheKey& key, absl::Time due,
                                                     const std::vector<Compared>& compared,
                                                     bool& same) const {
  const absl::Time now = deps_.clock.Now();
  std::shared_ptr<Flight> unknown;
  const auto [first, last] = open_.equal_range(Bucket(key.digest));
  for (auto it = first; it != last; ++it) {
    const std::shared_ptr<Flight>& flight = it->second;
    if (flight->key->digest != key.digest ||
        due - now < kEnoughOfTheTime * (flight->due - now)) {
      continue;
    }
    const auto known =
        std::find_if(compared.begin(), compared.end(),
                     [&](const Compared& each) { return each.flight == flight; });
    if (known == compared.end()) {
      if (unknown == nullptr) unknown = flight;
    } else if (known->same) {
      same = true;
      return flight;
    }
  }
  return unknown;
}

void Flights::Remove(const Flight& flight) {
  const auto [first, last] = open_.equal_range(Bucket(flight.key->digest));
  for (auto it = first; it != last; ++it) {
    if (it->second.get() != &flight) continue;
    ++removed_[flight.key->digest[0]];
    open_.erase(it);
    return;
  }
}

void Flights::Begin(const std::shared_ptr<Flight>& flight) {
  if (!deps_.answers.has_shared()) return Run(flight);
  absl::Time deadline;
  {
    MutexLock lock(mutex_);
    deadline = flight->due;
  }
  // Whoever is alone in the flight may leave meanwhile, and the flight with it.
  deps_.answers.FindShared(
      flight->key, flight->policy, deadline,
      [this, weak = std::weak_ptr<Flight>(flight)](std::shared_ptr<const KeptAnswer> kept) {
        if (const auto held = weak.lock(); held != nullptr) {
          OnShared(held, std::move(kept));
        }
      });
}

void Flights::OnShared(const std::shared_ptr<Flight>& flight,
                       std::shared_ptr<const KeptAnswer> kept) {
  if (kept == nullptr) return Run(flight);
  std::map<SeatId, Waiter> waiters;
  size_t open = 0;
  {
    MutexLock lock(mutex_);
    waiters.swap(flight->waiters);
    Remove(*flight);
    open = open_.size();
  }
  deps_.observer.FlightsOpen(open);
  for (auto& [seat, waiter] : waiters) {
    deps_.observer.Answered(flight->pool, CacheObserver::Source::kShared);
    InferReply reply = KeptReply(*kept, waiter.id);
    Finish(std::move(waiter), std::move(reply));
  }
}

void Flights::Run(const std::shared_ptr<Flight>& flight) {
  CallOptions options;
  uint64_t number = 0;
  {
    MutexLock lock(mutex_);
    if (flight->waiters.empty()) return;  // all have left, and the flight is removed
    const auto& [seat, payer] = *flight->waiters.begin();
    const bool first = flight->payer == 0;
    flight->payer = seat;
    flight->tenant = payer.tenant;
    options = payer.options;
    flight->due = payer.due;
    if (!first) {
      for (const auto& [other, waiter] : flight->waiters) {
        flight->due = std::max(flight->due, waiter.due);
      }
      options.deadline = flight->due;
    }
    flight->running = true;
    number = ++flight->runs;
  }
  auto run = deps_.forwarder.Forward(
      flight->pool, flight->message, std::move(options),
      [this, flight](InferReply reply) { OnReply(flight, std::move(reply)); });
  bool cancel = false;
  {
    MutexLock lock(mutex_);
    // It may have failed already, and another one be under way.
    if (flight->running && flight->runs == number) {
      flight->run = run;
      cancel = flight->left.has_value();
    }
  }
  if (cancel) run->Cancel();
}

void Flights::OnReply(const std::shared_ptr<Flight>& flight, InferReply reply) {
  // Kept before the flight is removed: whoever looks for one or the other finds either.
  const absl::StatusOr<ReadAnswer> answer =
      deps_.answers.Keep(flight->pool, *flight->policy, *flight->key, reply);
  const bool holds_for_all = answer.ok() ? !answer->degraded : IsTheRequests(answer.status());
  std::map<SeatId, Waiter> served;
  std::optional<Waiter> left;
  absl::Status left_because;
  SeatId payer = 0;
  bool again = false;
  size_t open = 0;
  {
    MutexLock lock(mutex_);
    flight->running = false;
    flight->run = nullptr;
    payer = flight->payer;
    left = std::exchange(flight->left, std::nullopt);
    left_because = flight->left_because;
    for (auto it = flight->waiters.begin(); it != flight->waiters.end();) {
      Waiter& waiter = it->second;
      const bool may_do_better = waiter.due > flight->due || waiter.tenant != flight->tenant;
      if (holds_for_all || waiter.had_another || !may_do_better) {
        served.insert(flight->waiters.extract(it++));
      } else {
        waiter.had_another = true;
        ++it;
      }
    }
    again = !flight->waiters.empty();
    if (!again && !left.has_value()) Remove(*flight);
    open = open_.size();
  }
  deps_.observer.FlightsOpen(open);
  if (left.has_value()) {
    Finish(*std::move(left), {.status = left_because, .body = {}, .trailers = {}});
  }
  for (auto& [seat, waiter] : served) {
    deps_.observer.Answered(
        flight->pool, seat == payer ? CacheObserver::Source::kRun : CacheObserver::Source::kFlight);
    InferReply own{.status = answer.status(), .body = {}, .trailers = {}};
    if (!answer.ok()) {
      own.trailers = reply.trailers;
    } else if (seat == payer) {
      own.body = AnswerOfRun(reply.body, waiter.id, "miss");
      own.trailers = reply.trailers;
    } else {
      own.body = AnswerFromCache(*answer->kept, waiter.id);
    }
    Finish(std::move(waiter), std::move(own));
  }
  if (again) Run(flight);
}

void Flights::Leave(const std::shared_ptr<Flight>& flight, SeatId seat, absl::Status why) {
  std::optional<Waiter> gone;
  std::shared_ptr<OutgoingCall> run;
  size_t open = 0;
  {
    MutexLock lock(mutex_);
    const auto it = flight->waiters.find(seat);
    if (it == flight->waiters.end()) return;
    Waiter waiter = std::move(it->second);
    flight->waiters.erase(it);
    const bool last = flight->waiters.empty();
    if (last) Remove(*flight);
    if (last && flight->running) {
      flight->left = std::move(waiter);
      flight->left_because = std::move(why);
      run = flight->run;  // null: Run sees who has left
    } else {
      gone = std::move(waiter);
    }
    open = open_.size();
  }
  deps_.observer.FlightsOpen(open);
  if (run != nullptr) run->Cancel();
  if (gone.has_value()) {
    Finish(*std::move(gone), {.status = std::move(why), .body = {}, .trailers = {}});
  }
}

void Flights::Finish(Waiter waiter, InferReply reply) {
  if (waiter.timer != 0) deps_.timers.Cancel(waiter.timer);
  waiter.done(std::move(reply));
}

}  // namespace penstock::gateway
