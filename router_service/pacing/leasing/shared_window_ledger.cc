#include "router_service/pacing/leasing/shared_window_ledger.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/notification.h"

namespace penstock::router {
namespace {

std::string Name(const std::string& key) { return absl::StrCat("budget/", key); }

}  // namespace

SharedWindowLedger::SharedWindowLedger(Store& store, Timers& timers, const Clock& clock,
                                       Options options)
    : store_(store), timers_(timers), clock_(clock), options_(std::move(options)) {}

void SharedWindowLedger::Start() { Tick(); }

void SharedWindowLedger::Tick() {
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    timer_ = timers_.Schedule(clock_.Now() + kTick, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Tick();
    });
  }
  Work();
}

void SharedWindowLedger::Work() {
  std::vector<Job> jobs;
  {
    MutexLock lock(mutex_);
    waking_ = false;
    if (stopped_) return;
    jobs = Due(clock_.Now());
  }
  for (const Job& job : jobs) Begin(job);
}

void SharedWindowLedger::WakeSoon() {
  {
    MutexLock lock(mutex_);
    if (stopped_ || waking_ || timer_ == 0) return;  // not started: nobody is there yet
    waking_ = true;
  }
  timers_.Schedule(clock_.Now(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->Work();
  });
}

std::vector<SharedWindowLedger::Job> SharedWindowLedger::Due(absl::Time now) {
  std::vector<Job> jobs;
  size_t called = 0;
  auto it = budgets_.lower_bound(next_);
  for (size_t left = budgets_.size(); left > 0 && called < kMostBudgetsAtATime; --left) {
    if (it == budgets_.end()) it = budgets_.begin();
    const size_t before = jobs.size();
    LeasedBudget& budget = it->second;
    budget.Turn(now);
    budget.Notice(now, kPatience);
    for (auto& [number, window] : budget.windows()) {
      if (window.call || now < window.retry || !budget.MayBeSpent(window, now)) continue;
      const LeasedBudget::Lease lease = budget.Plan(window, now);
      const bool read = budget.kept() && now - window.read >= budget.Period();
      const bool lacks = lease.want > 0 && !budget.lost();
      const bool forgotten = !budget.kept() && (lease.give_back > 0 || !window.totals.told());
      if (!(read || lacks || forgotten)) continue;
      window.call = now;
      jobs.push_back({it->first, number, read});
    }
    if (jobs.size() > before) ++called;
    it = budget.gone() ? budgets_.erase(it) : std::next(it);
  }
  next_ = it == budgets_.end() ? "" : it->first;
  return jobs;
}

LeasedBudget::Window* SharedWindowLedger::Find(const std::string& key, int64_t number) {
  const auto budget = budgets_.find(key);
  return budget == budgets_.end() ? nullptr : budget->second.Find(number);
}

void SharedWindowLedger::Begin(const Job& job) {
  const auto self = shared_from_this();
  if (job.read) {
    store_.ReadTotals(Name(job.key), job.number, Deadline(),
                      [self, job](absl::StatusOr<StoreFields> fields) {
                        self->Heard(job, std::move(fields));
                      });
    return;
  }
  std::optional<BudgetTake> take;
  {
    MutexLock lock(mutex_);
    take = NextTake(job);
  }
  take ? Take(job, *take) : Ended(job);
}

void SharedWindowLedger::Heard(const Job& job, absl::StatusOr<StoreFields> fields) {
  if (!fields.ok()) return Failed(job, fields.status());
  std::vector<StoreField> missing;
  std::optional<BudgetTake> take;
  absl::Duration ttl;
  {
    MutexLock lock(mutex_);
    LeasedBudget::Window* const window = Find(job.key, job.number);
    if (window == nullptr) return;
    LeasedBudget& budget = budgets_.at(job.key);
    const absl::Time now = clock_.Now();
    window->read = now;
    missing = window->totals.Read(*fields);
    ttl = budget.TimeToLive(*window, now);
    take = NextTake(job);
  }
  if (missing.empty()) return take ? Take(job, *take) : Ended(job);
  // What the store forgot is told first: it must not be granted again.
  store_.RaiseTotals(Name(job.key), job.number, missing, ttl, Deadline(),
                     [self = shared_from_this(), job, take](const absl::Status& status) {
                       if (!status.ok()) return self->Failed(job, status);
                       take ? self->Take(job, *take) : self->Ended(job);
                     });
}

std::optional<BudgetTake> SharedWindowLedger::NextTake(const Job& job) {
  LeasedBudget::Window* const window = Find(job.key, job.number);
  if (window == nullptr || stopped_) return std::nullopt;
  LeasedBudget& budget = budgets_.at(job.key);
  const absl::Time now = clock_.Now();
  const LeasedBudget::Lease lease = budget.Plan(*window, now);
  window->totals.GiveBack(lease.give_back);
  if (lease.want == 0 && window->totals.told()) {
    budget.Answered(now);  // it was read: all is well
    return std::nullopt;
  }
  BudgetTake take;
  take.name = Name(job.key);
  take.window = job.number;
  take.owner = options_.owner;
  take.cap = budget.cap();
  take.want = lease.want;
  take.ttl = budget.TimeToLive(*window, now);
  window->totals.Tell(take);
  return take;
}

void SharedWindowLedger::Take(const Job& job, const BudgetTake& take) {
  store_.TakeBudget(take, Deadline(),
                    [self = shared_from_this(), job, take](absl::StatusOr<BudgetGrant> grant) {
                      self->Taken(job, take, std::move(grant));
                    });
}

void SharedWindowLedger::Taken(const Job& job, const BudgetTake& take,
                               absl::StatusOr<BudgetGrant> grant) {
  if (!grant.ok()) return Failed(job, grant.status());
  {
    MutexLock lock(mutex_);
    LeasedBudget::Window* const window = Find(job.key, job.number);
    if (window == nullptr) return;
    LeasedBudget& budget = budgets_.at(job.key);
    const absl::Time now = clock_.Now();
    window->totals.Told(take);
    window->totals.Granted(*grant);
    // What was asked for in vain is asked for again soon enough.
    if (grant->granted - take.granted < take.want) window->retry = now + LeasedBudget::kShortPause;
    window->wanted = 0;
    budget.Answered(now);
  }
  Ended(job);
}

void SharedWindowLedger::Failed(const Job& job, const absl::Status& why) {
  {
    MutexLock lock(mutex_);
    LeasedBudget::Window* const window = Find(job.key, job.number);
    if (window == nullptr) return;
    LeasedBudget& budget = budgets_.at(job.key);
    const absl::Time now = clock_.Now();
    const absl::Time since = window->call.value_or(now);
    // Too many calls at once, say; one that has no room for long is as good as away.
    if (absl::IsResourceExhausted(why)) {
      budget.Refused(since, now, kCallTimeout);
    } else {
      budget.Lost(since);
    }
    window->retry = now + LeasedBudget::kShortPause;
  }
  Ended(job);
}

struct SharedWindowLedger::Farewell {
  void Add() {
    MutexLock lock(mutex);
    ++missing;
  }
  void End() {
    MutexLock lock(mutex);
    if (--missing == 0) done.Notify();
  }

  Mutex mutex;
  size_t missing ABSL_GUARDED_BY(mutex) = 0;
  Notification done;
};

std::optional<BudgetTake> SharedWindowLedger::LastTake(const std::string& key, int64_t number) {
  LeasedBudget& budget = budgets_.at(key);
  LeasedBudget::Window& window = *budget.Find(number);
  const absl::Time now = clock_.Now();
  if (!budget.MayBeSpent(window, now)) return std::nullopt;
  window.totals.GiveBack(std::max<int64_t>(0, window.totals.Free()));
  if (window.totals.told()) return std::nullopt;
  BudgetTake take;
  take.name = Name(key);
  take.window = number;
  take.owner = options_.owner;
  take.cap = budget.cap();
  take.ttl = budget.TimeToLive(window, now);
  window.totals.Tell(take);
  return take;
}

void SharedWindowLedger::Ended(const Job& job) {
  std::shared_ptr<Farewell> farewell;
  std::optional<BudgetTake> take;
  {
    MutexLock lock(mutex_);
    LeasedBudget::Window* const window = Find(job.key, job.number);
    if (window == nullptr) return;
    window->call.reset();
    farewell = farewell_;
    if (farewell == nullptr) return;
    take = LastTake(job.key, job.number);
  }
  if (!take) return farewell->End();
  store_.TakeBudget(*take, Deadline(),
                    [farewell](const absl::StatusOr<BudgetGrant>&) { farewell->End(); });
}

void SharedWindowLedger::Stop(absl::Duration patience) {
  const auto farewell = std::make_shared<Farewell>();
  farewell->Add();  // until all are counted
  std::vector<BudgetTake> takes;
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    stopped_ = true;
    farewell_ = farewell;
    if (timer_ != 0) timers_.Cancel(timer_);
    for (auto& [key, budget] : budgets_) {
      for (auto& [number, window] : budget.windows()) {
        if (window.call) {
          farewell->Add();  // Ended gives back
        } else if (std::optional<BudgetTake> take = LastTake(key, number)) {
          farewell->Add();
          takes.push_back(*std::move(take));
        }
      }
    }
  }
  for (const BudgetTake& take : takes) {
    store_.TakeBudget(take, Deadline(),
                      [farewell](const absl::StatusOr<BudgetGrant>&) { farewell->End(); });
  }
  farewell->End();
  farewell->done.WaitWithTimeout(patience);
  MutexLock lock(mutex_);
  farewell_ = nullptr;
}

bool SharedWindowLedger::ready() const {
  MutexLock lock(mutex_);
  return std::all_of(budgets_.begin(), budgets_.end(), [](const auto& each) {
    return !each.second.kept() || each.second.answered() > absl::InfinitePast();
  });
}

void SharedWindowLedger::Keep(const std::string& key, absl::Duration length, int64_t cap,
                              int earlier) {
  {
    MutexLock lock(mutex_);
    budgets_.try_emplace(key, options_.owner).first->second.Keep(length, cap, earlier);
  }
  WakeSoon();
}

void SharedWindowLedger::Forget(const std::string& key) {
  {
    MutexLock lock(mutex_);
    const auto budget = budgets_.find(key);
    if (budget == budgets_.end()) return;
    budget->second.Forget();
  }
  WakeSoon();
}

WindowAnswer SharedWindowLedger::Reserve(const std::string& key, const BudgetWindow& window,
                                         int64_t amount, int64_t cap) {
  WindowAnswer answer = WindowAnswer::kCovered;
  bool low = false;
  {
    MutexLock lock(mutex_);
    const auto budget = budgets_.find(key);
    if (budget == budgets_.end() || !budget->second.kept()) return answer;
    LeasedBudget::Window* const open = budget->second.Open(window);
    if (open == nullptr) return WindowAnswer::kSpent;
    const absl::Time now = clock_.Now();
    budget->second.Notice(now, kPatience);
    answer = budget->second.Reserve(*open, amount, cap, now, Grace());
    low = budget->second.RunsLow(*open, now);
  }
  if (low) WakeSoon();
  return answer;
}

void SharedWindowLedger::Settle(const std::string& key, const BudgetWindow& window,
                                int64_t reserved, int64_t spent) {
  MutexLock lock(mutex_);
  const auto budget = budgets_.find(key);
  if (budget == budgets_.end()) return;
  LeasedBudget::Window* const open = budget->second.Open(window);
  if (open != nullptr) open->totals.Settle(reserved, spent);
}

int64_t SharedWindowLedger::Left(const std::string& key, const BudgetWindow& window,
                                 int64_t cap) const {
  MutexLock lock(mutex_);
  const auto budget = budgets_.find(key);
  if (budget == budgets_.end() || !budget->second.kept()) return cap;
  const LeasedBudget::Window* const open = budget->second.Find(window.number());
  if (open == nullptr) return cap;
  return budget->second.Left(*open, cap, clock_.Now(), Grace());
}

WindowLedger::Counts SharedWindowLedger::Count(const std::string& key,
                                               const BudgetWindow& window) const {
  MutexLock lock(mutex_);
  const auto budget = budgets_.find(key);
  if (budget == budgets_.end()) return {};
  const LeasedBudget::Window* const open = budget->second.Find(window.number());
  if (open == nullptr) return {};
  const LeasedWindow& totals = open->totals;
  return {SaturatedSum(totals.settled(), totals.SettledByOthers()), totals.reserved()};
}

std::vector<SharedWindowLedger::Figures> SharedWindowLedger::figures() const {
  std::vector<Figures> all;
  MutexLock lock(mutex_);
  const absl::Time now = clock_.Now();
  for (const auto& [key, budget] : budgets_) {
    if (!budget.kept()) continue;
    Figures& figures = all.emplace_back();
    figures.key = key;
    figures.unsure = budget.unsure();
    figures.rate = budget.rate(now);
    figures.age = now - budget.answered();
    figures.lost = budget.lost().has_value();
    for (const auto& [number, window] : budget.windows()) {
      // Of windows that are over, too.
      figures.reserved = SaturatedSum(figures.reserved, window.totals.reserved());
      if (now < window.at.start || now >= window.at.end()) continue;
      figures.granted = window.totals.granted();
      figures.returned = window.totals.returned();
      figures.settled = window.totals.settled();
      figures.others_taken = window.totals.TakenByOthers();
    }
  }
  return all;
}

}  // namespace penstock::router
