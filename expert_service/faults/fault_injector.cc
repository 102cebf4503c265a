#include "expert_service/faults/fault_injector.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "common/status_macros.h"

namespace penstock::expert {
namespace {

constexpr absl::Duration kLongestHold = absl::Seconds(60);
constexpr double kLargestFactor = 1000;
// Shares that are written as decimals and make 1 may miss it by some bits.
constexpr double kRounding = 1e-9;

absl::StatusOr<absl::StatusCode> CodeNamed(const std::string& name) {
  for (int code = 1; code <= static_cast<int>(absl::StatusCode::kUnauthenticated); ++code) {
    const auto candidate = static_cast<absl::StatusCode>(code);
    if (absl::StatusCodeToString(candidate) == name) return candidate;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("fault.fail_code is ", name, ", wanted the name of a gRPC code other than OK"));
}

}  // namespace

std::string FaultInjector::Options::ToString() const {
  return absl::StrCat("hold=", absl::FormatDuration(hold), " slots=", slots,
                      " stall_share=", stall_share, " stall_factor=", stall_factor, " fail_share=", fail_share,
                      " fail_code=", absl::StatusCodeToString(fail_code), " seed=", seed);
}

absl::StatusOr<FaultInjector::Options> FaultInjector::ReadOptions(const config::v1::Fault& config) {
  const auto within = [](absl::string_view field, double got, double least, double most) {
    if (got >= least && got <= most) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("fault.", field, " is ", got, ", wanted [", least, ", ", most, "]"));
  };
  Options options;
  options.hold = absl::Seconds(config.hold().seconds()) + absl::Nanoseconds(config.hold().nanos());
  if (options.hold < absl::ZeroDuration() || options.hold > kLongestHold) {
    return absl::InvalidArgumentError(
        absl::StrCat("fault.hold is ", absl::FormatDuration(options.hold), ", wanted [0s, 60s]"));
  }
  if (config.has_slots()) {
    PENSTOCK_RETURN_IF_ERROR(within("slots", config.slots(), 1, kMostHeld));
    if (options.hold == absl::ZeroDuration()) {
      return absl::InvalidArgumentError(
          absl::StrCat("fault.slots is ", config.slots(), ", wanted fault.hold beside it"));
    }
    options.slots = config.slots();
  }
  options.stall_share = config.stall_share();
  PENSTOCK_RETURN_IF_ERROR(within("stall_share", options.stall_share, 0, 1));
  if (options.stall_share > 0 || config.stall_factor() != 0) {
    options.stall_factor = config.stall_factor();
    PENSTOCK_RETURN_IF_ERROR(within("stall_factor", options.stall_factor, 1, kLargestFactor));
  }
  options.fail_share = config.fail_share();
  PENSTOCK_RETURN_IF_ERROR(
      within("fail_share", options.fail_share, 0, 1 - options.stall_share + kRounding));
  if (!config.fail_code().empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(options.fail_code, CodeNamed(config.fail_code()));
  }
  options.seed = config.seed();
  return options;
}

// What the service sees of a request: the caller's call, whose end is seen here first.
class FaultInjector::Call final : public IncomingCall,
                                  public std::enable_shared_from_this<FaultInjector::Call> {
 public:
  Call(FaultInjector& injector, std::shared_ptr<IncomingCall> call, bool stalls)
      : injector_(injector),
        call_(std::move(call)),
        stalls_(stalls),
        arrived_(injector.clock_.Now()) {}

  // Weak: the caller's call, which holds the handler, is held by this.
  void WatchCancel() {
    call_->SetCancelHandler([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Cancelled();
    });
  }

  const Bytes& request() const override { return call_->request(); }
  absl::Time deadline() const override { return call_->deadline(); }
  const Metadata& metadata() const override { return call_->metadata(); }
  const Caller& caller() const override { return call_->caller(); }
  bool streamed() const override { return call_->streamed(); }

  void SetCancelHandler(absl::AnyInvocable<void()> on_cancel) override {
    {
      MutexLock lock(mutex_);
      if (!cancelled_) {
        on_cancel_ = std::move(on_cancel);
        return;
      }
    }
    on_cancel();
  }

  void Finish(InferReply reply) override {
    absl::AnyInvocable<void()> dropped;
    {
      MutexLock lock(mutex_);
      dropped = std::exchange(on_cancel_, nullptr);
    }
    if (!stalls_ && reply.status.ok()) injector_.Observe(injector_.clock_.Now() - arrived_);
    call_->Finish(std::move(reply));
  }

  // Before it is held. False: the client has gone already, and nobody will drop it.
  bool SetId(uint64_t id) {
    MutexLock lock(mutex_);
    id_ = id;
    return !cancelled_;
  }

 private:
  void Cancelled() {
    absl::AnyInvocable<void()> on_cancel;
    std::optional<uint64_t> id;
    {
      MutexLock lock(mutex_);
      cancelled_ = true;
      on_cancel = std::move(on_cancel_);
      id = id_;
    }
    if (on_cancel) on_cancel();
    if (id) injector_.Drop(*id);
  }

  FaultInjector& injector_;
  const std::shared_ptr<IncomingCall> call_;
  const bool stalls_;
  const absl::Time arrived_;
  Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<uint64_t> id_ ABSL_GUARDED_BY(mutex_);  // unset: it was never held
  absl::AnyInvocable<void()> on_cancel_ ABSL_GUARDED_BY(mutex_);
};

FaultInjector::FaultInjector(const Options& options, InferHandler& service, const Clock& clock,
                             Timers& timers)
    : options_(options), service_(service), clock_(clock), timers_(timers) {}

FaultInjector::~FaultInjector() { Stop(); }

void FaultInjector::ModelInfer(std::shared_ptr<IncomingCall> call) {
  CounterRandom random(options_.seed, next_.fetch_add(1, std::memory_order_relaxed));
  const double draw = random.Uniform();
  const bool stalls = draw < options_.stall_share;
  if (!stalls && draw < options_.stall_share + options_.fail_share) {
    InferReply reply;
    reply.status = absl::Status(options_.fail_code, "a fault was injected");
    call->Finish(std::move(reply));
    return;
  }
  const absl::Duration delay =
      stalls ? std::max(options_.hold, options_.stall_factor * Median()) : options_.hold;
  auto faulted = std::make_shared<Call>(*this, std::move(call), stalls);
  faulted->WatchCancel();
  if (delay > absl::ZeroDuration()) {
    Hold(std::move(faulted), delay);
  } else {
    service_.ModelInfer(std::move(faulted));
  }
}

void FaultInjector::Hold(std::shared_ptr<Call> call, absl::Duration delay) {
  absl::Status refused;
  std::optional<uint64_t> gone;
  {
    MutexLock lock(mutex_);
    if (stopped_) {
      refused = absl::UnavailableError("the expert service stops");
    } else if (held_.size() >= kMostHeld) {
      refused = absl::ResourceExhaustedError(absl::StrCat(kMostHeld, " requests are held"));
    } else {
      const uint64_t id = next_held_++;
      if (!call->SetId(id)) gone = id;
      held_.emplace(id, Held{call, delay});
      waiting_.insert(id);
      FillSlots();
    }
  }
  if (!refused.ok()) {
    call->Finish(InferReply{.status = std::move(refused), .body = {}, .trailers = {}});
  }
  if (gone) Drop(*gone);
}

void FaultInjector::FillSlots() {
  while (!waiting_.empty() &&
         (options_.slots == 0 || held_.size() - waiting_.size() < options_.slots)) {
    const uint64_t id = *waiting_.begin();
    waiting_.erase(waiting_.begin());
    Held& held = held_.at(id);
    held.timer = timers_.Schedule(clock_.Now() + held.delay, [this, id] { Release(id); });
  }
}

void FaultInjector::Release(uint64_t id) {
  std::shared_ptr<Call> call;
  {
    MutexLock lock(mutex_);
    const auto found = held_.find(id);
    if (found == held_.end()) return;
    call = std::move(found->second.call);
    held_.erase(found);
    FillSlots();
    ++releasing_;
  }
  service_.ModelInfer(std::move(call));
  MutexLock lock(mutex_);
  --releasing_;
  released_.NotifyAll();
}

void FaultInjector::Drop(uint64_t id) {
  Held held;
  {
    MutexLock lock(mutex_);
    const auto found = held_.find(id);
    if (found == held_.end()) return;
    held = std::move(found->second);
    held_.erase(found);
    waiting_.erase(id);
    FillSlots();
  }
  if (held.timer != 0) timers_.Cancel(held.timer);
  held.call->Finish(InferReply{
      .status = absl::CancelledError("the client went away"), .body = {}, .trailers = {}});
}

void FaultInjector::Stop() {
  std::map<uint64_t, Held> held;
  {
    MutexLock lock(mutex_);
    stopped_ = true;
    held.swap(held_);
    waiting_.clear();
  }
  for (auto& [id, one] : held) {
    if (one.timer != 0) timers_.Cancel(one.timer);
    one.call->Finish(InferReply{
        .status = absl::UnavailableError("the expert service stops"), .body = {}, .trailers = {}});
  }
  MutexLock lock(mutex_);
  while (releasing_ > 0) released_.Wait(mutex_);
}

void FaultInjector::Observe(absl::Duration latency) {
  MutexLock lock(mutex_);
  seconds_[observed_++ % seconds_.size()] = absl::ToDoubleSeconds(latency);
}

absl::Duration FaultInjector::Median() const {
  std::array<double, 63> order;
  size_t count = 0;
  {
    MutexLock lock(mutex_);
    count = std::min(observed_, seconds_.size());
    order = seconds_;
  }
  if (count == 0) return options_.hold;
  const auto middle = order.begin() + static_cast<ptrdiff_t>(count / 2);
  std::nth_element(order.begin(), middle, order.begin() + static_cast<ptrdiff_t>(count));
  return absl::Seconds(*middle);
}

}  // namespace penstock::expert
