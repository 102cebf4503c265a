#include "gateway/forwarding/forwarder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "common/net/caller_rights.h"
#include "common/tracing/infer_trace.h"
#include "gateway/forwarding/deadline_rounding.h"

namespace penstock::gateway {
namespace {

constexpr int kMaxAttempts = 2;
// Names come from callers: beyond this many pools no new one is timed.
constexpr size_t kMaxTimedPools = 1024;

}  // namespace

// One request on its way: at most two attempts, one of them current.
class ForwardedCall final : public OutgoingCall,
                            public std::enable_shared_from_this<ForwardedCall> {
 public:
  ForwardedCall(Forwarder& forwarder, absl::string_view pool, Bytes request, CallOptions options,
                absl::AnyInvocable<void(InferReply)> done)
      : forwarder_(forwarder),
        gate_(forwarder.gate_),
        pool_(pool),
        request_(std::move(request)),
        options_(std::move(options)),
        too_late_(options_.deadline - DeadlineRounding(options_.deadline - forwarder.clock_.Now())),
        done_(std::move(done)) {}

  enum class Next { kStarted, kNobodyElse, kSuperseded };

  // Starts the attempt after `attempt`, at a router that was not tried; where that takes a token of
  // `budget` and there is none, there is nobody else. The check and the claim are one step: a late
  // answer and a silence may both want to follow the same attempt.
  Next StartAfter(int attempt, RetryBudget* budget = nullptr) {
    std::shared_ptr<Forwarder::Counted> router;
    {
      MutexLock lock(mutex_);
      if (finished_ || current_ != attempt) return Next::kSuperseded;
      router = forwarder_.Pick(tried_);
      if (router == nullptr) return Next::kNobodyElse;
      if (budget != nullptr && !budget->TryTake(forwarder_.clock_.Now())) return Next::kNobodyElse;
      tried_.push_back(router);
      attempt = ++current_;
      current_call_ = nullptr;
      started_ = forwarder_.clock_.Now();
    }
    Launch(attempt, std::move(router));
    ArmSilenceTimer(attempt, absl::ZeroDuration());
    return Next::kStarted;
  }

  void Cancel() override {
    std::shared_ptr<OutgoingCall> call;
    {
      MutexLock lock(mutex_);
      cancelled_ = true;
      call = current_call_;
    }
    if (call != nullptr) call->Cancel();
  }

  void Finish(InferReply reply) {
    absl::AnyInvocable<void(InferReply)> done;
    Timers::Id timer = 0;
    {
      MutexLock lock(mutex_);
      if (finished_) return;
      finished_ = true;
      done = std::move(done_);
      timer = timer_;
      current_call_ = nullptr;
    }
    if (timer != 0) forwarder_.timers_.Cancel(timer);
    done(std::move(reply));
  }

 private:
  void Launch(int attempt, const std::shared_ptr<Forwarder::Counted>& router) {
    router->in_flight.fetch_add(1, std::memory_order_relaxed);
    auto self = shared_from_this();
    CallOptions options = options_;
    Span span = BeginSpan(attempt, *router, options.metadata);
    auto call = router->target->ModelInfer(
        request_, std::move(options),
        [self, attempt, router, span = std::move(span)](InferReply reply) mutable {
          router->in_flight.fetch_sub(1, std::memory_order_relaxed);
          const CallbackGate::Pass pass(*self->gate_);
          if (!pass) return;
          self->EndSpan(attempt, span, reply.status);
          self->Judge(attempt, *router, reply.status);
          self->OnReply(attempt, std::move(reply));
        });
    bool cancel = false;
    {
      MutexLock lock(mutex_);
      if (current_ == attempt && !finished_) {
        current_call_ = call;
        cancel = cancelled_;
      }
    }
    if (cancel) call->Cancel();
  }

  Span BeginSpan(int attempt, const Forwarder::Counted& router, Metadata& metadata) const {
    if (forwarder_.tracer_ == nullptr) return {};
    Span span = BeginClientSpan(forwarder_.tracer_, metadata, router.target->address(),
                                forwarder_.clock_.Now());
    if (!span.recording()) return span;
    span.Set(kSpanPool, pool_);
    span.Set(kSpanTenant, FindMetadata(metadata, kTenantMetadata));
    span.Set(kSpanRequest, FindMetadata(metadata, kRequestIdMetadata));
    span.Set(kSpanAttempt, int64_t{attempt});
    return span;
  }

  // That another attempt was waited for in its place is no failure of the router's.
  void EndSpan(int attempt, Span& span, const absl::Status& status) {
    if (!span.recording()) return;
    bool given_up = false;
    {
      MutexLock lock(mutex_);
      given_up = absl::IsCancelled(status) && (finished_ || attempt != current_);
    }
    EndRpcSpan(span, status.code(), forwarder_.clock_.Now(), given_up);
  }

  // Whether the end of an attempt is a word of the router's.
  void Judge(int attempt, Forwarder::Counted& router, const absl::Status& status) {
    const absl::Time now = forwarder_.clock_.Now();
    if (absl::IsCancelled(status)) {
      // Most often this process's own, of an attempt that was given up or for a caller that left.
      // A caller leaves at its deadline too.
      if (now >= too_late_ && IsCurrentOfOneCancelled(attempt)) SayOnceSilent(attempt, router);
    } else if (absl::IsDeadlineExceeded(status) && now >= options_.deadline) {
      SayOnceSilent(attempt, router);
    } else {
      router.silences.store(0, std::memory_order_relaxed);
    }
  }

  bool IsCurrentOfOneCancelled(int attempt) {
    MutexLock lock(mutex_);
    return cancelled_ && attempt == current_;
  }

  // An attempt's silence counts once, however often it is noticed.
  void SayOnceSilent(int attempt, Forwarder::Counted& router) {
    {
      MutexLock lock(mutex_);
      if (silent_ >= attempt) return;
      silent_ = attempt;
    }
    forwarder_.WasSilent(router);
  }

  void ArmSilenceTimer(int attempt, absl::Duration shortest) {
    if (attempt >= kMaxAttempts || forwarder_.Current()->size() < 2) return;
    const absl::Time now = forwarder_.clock_.Now();
    const absl::Duration limit =
        std::max(shortest, forwarder_.SilenceLimit(pool_, options_.deadline - now));
    if (limit == absl::InfiniteDuration() || now + limit >= options_.deadline) return;
    auto self = shared_from_this();
    MutexLock lock(mutex_);
    if (finished_ || current_ != attempt) return;
    timer_ = forwarder_.timers_.Schedule(now + limit, [self, attempt] {
      const CallbackGate::Pass pass(*self->gate_);
      if (pass) self->OnSilence(attempt);
    });
  }

  void OnReply(int attempt, InferReply reply) {
    absl::Time started;
    bool not_taken = false;
    bool retry = false;
    {
      MutexLock lock(mutex_);
      if (finished_ || attempt != current_) return;  // superseded: its answer came too late
      started = started_;
      not_taken = absl::IsUnavailable(reply.status) ||
                  (absl::IsCancelled(reply.status) && !cancelled_);
      retry = not_taken && attempt < kMaxAttempts && !cancelled_;
    }
    if (retry) {
      const bool unavailable = absl::IsUnavailable(reply.status);
      const Next next = StartAfter(attempt);
      if (next == Next::kStarted) {
        forwarder_.observer_.Retried(unavailable ? "unavailable" : "cancelled");
      }
      if (next != Next::kNobodyElse) return;
    }
    // A server that shuts down cancels what it has not taken; the caller asked for no such thing.
    if (not_taken && absl::IsCancelled(reply.status)) {
      reply.status = absl::UnavailableError("the router is leaving");
      reply.connection_lost = true;
    }
    if (reply.status.ok()) forwarder_.RecordLatency(pool_, forwarder_.clock_.Now() - started);
    Finish(std::move(reply));
  }

  void OnSilence(int attempt) {
    std::shared_ptr<OutgoingCall> silent;
    std::shared_ptr<Forwarder::Counted> router;
    {
      MutexLock lock(mutex_);
      if (finished_ || cancelled_ || attempt != current_) return;
      silent = current_call_;
      router = tried_.back();
    }
    SayOnceSilent(attempt, *router);
    const Next next = StartAfter(attempt, &forwarder_.silence_budget_);
    if (next == Next::kNobodyElse) {
      ArmSilenceTimer(attempt, Forwarder::kShortestSilence);  // who is away may be back by then
      return;
    }
    if (next == Next::kSuperseded) return;
    forwarder_.observer_.Retried("silent");
    if (silent != nullptr) silent->Cancel();
  }

  Forwarder& forwarder_;
  const std::shared_ptr<CallbackGate> gate_;  // the forwarder's, whom attempts may outlive
  const std::string pool_;
  const Bytes request_;
  const CallOptions options_;
  const absl::Time too_late_;  // when a caller that stated this deadline goes away
  Mutex mutex_;
  Forwarder::Targets tried_ ABSL_GUARDED_BY(mutex_);
  absl::AnyInvocable<void(InferReply)> done_ ABSL_GUARDED_BY(mutex_);
  int current_ ABSL_GUARDED_BY(mutex_) = 0;
  int silent_ ABSL_GUARDED_BY(mutex_) = 0;  // the last attempt that was found to be silent
  std::shared_ptr<OutgoingCall> current_call_ ABSL_GUARDED_BY(mutex_);
  absl::Time started_ ABSL_GUARDED_BY(mutex_);
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

Forwarder::Forwarder(const std::vector<InferTarget*>& routers, const Clock& clock,
                     Timers& timers, Observer& observer, Tracer* tracer)
    : clock_(clock),
      timers_(timers),
      observer_(observer),
      tracer_(tracer),
      silence_budget_(RetryBudgetOptions(), clock.Now()),
      routers_(std::make_shared<const Targets>()) {
  Routers borrowed;
  for (InferTarget* router : routers) borrowed.emplace_back(router, [](InferTarget*) {});
  SetRouters(borrowed);
}

void Forwarder::SetRouters(const Routers& routers) {
  const std::shared_ptr<const Targets> before = Current();
  auto next = std::make_shared<Targets>();
  for (const std::shared_ptr<InferTarget>& router : routers) {
    const auto known = std::find_if(before->begin(), before->end(), [&](const auto& counted) {
      return counted->target == router;
    });
    next->push_back(known == before->end() ? std::make_shared<Counted>(router) : *known);
  }
  MutexLock lock(routers_mutex_);
  routers_ = std::move(next);
}

std::shared_ptr<const Forwarder::Targets> Forwarder::Current() const {
  MutexLock lock(routers_mutex_);
  return routers_;
}

std::shared_ptr<OutgoingCall> Forwarder::Forward(absl::string_view pool, Bytes request,
                                                 CallOptions options,
                                                 absl::AnyInvocable<void(InferReply)> done) {
  auto call = std::make_shared<ForwardedCall>(*this, pool, std::move(request), std::move(options),
                                              std::move(done));
  silence_budget_.RequestCame(clock_.Now());
  if (call->StartAfter(0) != ForwardedCall::Next::kStarted) {
    InferReply reply;
    reply.status = absl::UnavailableError("no router is healthy");
    reply.connection_lost = true;  // there was none
    call->Finish(std::move(reply));
  }
  return call;
}

std::shared_ptr<Forwarder::Counted> Forwarder::Pick(const Targets& tried) const {
  std::shared_ptr<Counted> best, best_silent;
  std::pair<bool, uint32_t> best_key;  // silent, in flight
  const std::shared_ptr<const Targets> routers = Current();
  for (const std::shared_ptr<Counted>& router : *routers) {
    if (!router->target->healthy()) continue;
    if (std::find(tried.begin(), tried.end(), router) != tried.end()) continue;
    const std::pair key(router->silences.load(std::memory_order_relaxed) >= kSilencesToAvoid,
                        router->in_flight.load(std::memory_order_relaxed));
    if (key.first) best_silent = router;
    if (best == nullptr || key < best_key) {
      best = router;
      best_key = key;
    }
  }
  // A probe is a request that may still be made elsewhere.
  const bool probe = best_silent != nullptr && best != best_silent && tried.empty();
  return probe && TakeProbe(*best_silent) ? best_silent : best;
}

void Forwarder::WasSilent(Counted& router) const {
  const int silences = router.silences.fetch_add(1, std::memory_order_relaxed) + 1;
  if (silences != kSilencesToAvoid) return;
  MutexLock lock(router.mutex);
  router.probe_pause = kFirstProbe;
  router.probe_at = clock_.Now() + kFirstProbe;
}

bool Forwarder::TakeProbe(Counted& router) const {
  const absl::Time now = clock_.Now();
  MutexLock lock(router.mutex);
  if (now < router.probe_at) return false;
  router.probe_pause = std::min(kLastProbe, 2 * router.probe_pause);
  router.probe_at = now + router.probe_pause;
  return true;
}

absl::Duration Forwarder::SilenceLimit(absl::string_view pool, absl::Duration left) const {
  const absl::Duration half = left / 2;
  std::optional<absl::Duration> p99;
  {
    MutexLock lock(mutex_);
    const auto it = latency_by_pool_.find(pool);
    if (it != latency_by_pool_.end()) p99 = it->second.Quantile(0.99);
  }
  if (!p99.has_value()) return half;
  const absl::Duration limit = std::max(kShortestSilence, kSilenceFactor * *p99);
  return half >= *p99 ? std::min(limit, half) : limit;
}

void Forwarder::RecordLatency(absl::string_view pool, absl::Duration latency) {
  MutexLock lock(mutex_);
  auto it = latency_by_pool_.find(pool);
  if (it == latency_by_pool_.end()) {
    if (latency_by_pool_.size() >= kMaxTimedPools) return;
    it = latency_by_pool_.emplace(pool, LatencyWindow()).first;
  }
  it->second.Add(latency);
}

}  // namespace penstock::gateway
