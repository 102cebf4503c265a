#include "router_service/usage/usage_teller.h"

#include <utility>
#include <vector>

#include "common/callback_gate.h"
#include "common/mutex.h"
#include "common/notification.h"

namespace penstock::router {
namespace {

constexpr absl::Duration kPeriod = absl::Seconds(2);
constexpr absl::Duration kPatience = absl::Seconds(2);

}  // namespace

// One round at a time: is the mark there, then one hour after the other, then the mark. Each step
// is a callback of the store's that holds the state for itself, so that it may come late.
class UsageTeller::State : public std::enable_shared_from_this<State> {
 public:
  State(Deps deps, Events events) : deps_(std::move(deps)), events_(std::move(events)) {}

  void Begin() {
    Timers::Id timer = 0;
    {
      MutexLock lock(mutex_);
      if (running_) return;
      running_ = true;
      timer = std::exchange(timer_, 0);
    }
    if (timer != 0) deps_.timers.Cancel(timer);
    Watch();
    if (deps_.ledger == nullptr) return End(absl::OkStatus());
    deps_.ledger->HasMark(deps_.owner, Deadline(),
                          [self = shared_from_this()](const absl::StatusOr<bool>& there) {
                            if (const CallbackGate::Pass pass(self->gate_); pass) {
                              self->OnMark(there);
                            }
                          });
  }

  // `over` runs once no round does, unless the state is closed before.
  void WhenIdle(std::function<void()> over) {
    {
      MutexLock lock(mutex_);
      if (running_) {
        when_idle_ = std::move(over);
        return;
      }
    }
    over();
  }

  void Close() {
    gate_.Close();
    Timers::Id timer = 0;
    {
      MutexLock lock(mutex_);
      timer = timer_;
    }
    if (timer != 0) deps_.timers.Cancel(timer);
  }

 private:
  absl::Time Deadline() const { return deps_.clock.Now() + kPatience; }

  void Watch() {
    const size_t untold = deps_.counts.Forget(deps_.ledger != nullptr);
    if (untold > 0 && events_.dropped_untold) events_.dropped_untold(untold);
    const uint64_t others = deps_.counts.others();
    if (others > others_told_ && events_.counted_as_others) {
      events_.counted_as_others(others - others_told_);
    }
    others_told_ = others;
  }

  void OnMark(const absl::StatusOr<bool>& there) {
    if (!there.ok()) return End(there.status());
    marked_ = *there;
    if (!marked_) deps_.counts.UntellAll();
    hours_ = deps_.counts.Hours();
    NextHour();
  }

  void NextHour() {
    while (!hours_.empty()) {
      // The open hour first.
      const int64_t hour = hours_.back();
      hours_.pop_back();
      const std::vector<UsageRow> rows = deps_.counts.TakeUntold(hour);
      if (rows.empty()) continue;
      deps_.ledger->Tell(deps_.owner, hour, rows, deps_.counts.Pairs(hour), Deadline(),
                         [self = shared_from_this(), hour](const absl::Status& status) {
                           if (const CallbackGate::Pass pass(self->gate_); pass) {
                             self->OnHour(hour, status);
                           }
                         });
      return;
    }
    if (marked_) return End(absl::OkStatus());
    deps_.ledger->Mark(deps_.owner, Deadline(),
                       [self = shared_from_this()](const absl::Status& status) {
                         if (const CallbackGate::Pass pass(self->gate_); pass) self->End(status);
                       });
  }

  void OnHour(int64_t hour, const absl::Status& status) {
    if (status.ok()) return NextHour();
    deps_.counts.Untell(hour);
    End(status);
  }

  void End(const absl::Status& status) {
    if (!status.ok() && !failing_ && events_.not_told) events_.not_told(status);
    failing_ = !status.ok();
    std::function<void()> over;
    {
      MutexLock lock(mutex_);
      running_ = false;
      over = std::exchange(when_idle_, nullptr);
      timer_ = deps_.timers.Schedule(deps_.clock.Now() + kPeriod, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (self == nullptr) return;
        if (const CallbackGate::Pass pass(self->gate_); pass) self->Begin();
      });
    }
    if (over) over();
  }

  const Deps deps_;
  const Events events_;
  CallbackGate gate_;
  Mutex mutex_;
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  Timers::Id timer_ ABSL_GUARDED_BY(mutex_) = 0;
  std::function<void()> when_idle_ ABSL_GUARDED_BY(mutex_);
  // Of the round that runs.
  bool marked_ = false;
  std::vector<int64_t> hours_;
  bool failing_ = false;
  uint64_t others_told_ = 0;
};

UsageTeller::UsageTeller(Deps deps, Events events)
    : state_(std::make_shared<State>(std::move(deps), std::move(events))) {}

UsageTeller::~UsageTeller() { state_->Close(); }

void UsageTeller::Start() { state_->Begin(); }

void UsageTeller::Finish(absl::Duration patience) {
  // One round may be under way, which took what there was when it began; the next takes the rest.
  for (int round = 0; round < 2; ++round) {
    const auto over = std::make_shared<Notification>();
    state_->WhenIdle([over] { over->Notify(); });
    if (!over->WaitWithTimeout(patience / 2)) return;
    if (round == 0) state_->Begin();
  }
}

}  // namespace penstock::router
