#include "router_service/pacing/sharing/demand_exchange.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "router_service/pacing/sharing/told_demand.h"

namespace penstock::router {
namespace {

// A window's key holds the routers of about this time, so that the dead go with it.
constexpr int64_t kWindowSeconds = 60;
// Clocks of routers may differ by this much: near a window's ends the one beside it is read too.
constexpr int64_t kSkewSeconds = 5;
constexpr absl::Duration kKept = absl::Seconds(2 * kWindowSeconds);
constexpr absl::Duration kPatience = absl::Seconds(1);

std::vector<int64_t> WindowsAt(absl::Time now) {
  const int64_t seconds = absl::ToUnixSeconds(now);
  const int64_t window = seconds / kWindowSeconds;
  const int64_t into = seconds % kWindowSeconds;
  if (into < kSkewSeconds) return {window, window - 1};
  if (into >= kWindowSeconds - kSkewSeconds) return {window, window + 1};
  return {window};
}

// Whether these are the totals of another budget: of one they only grow.
bool BeganAgain(const BudgetDemand& now, const BudgetDemand& before) {
  return now.arrivals < before.arrivals || now.decisions < before.decisions ||
         now.wanted < before.wanted || now.settled < before.settled ||
         now.allowed < before.allowed || now.taken < before.taken;
}

}  // namespace

DemandExchange::DemandExchange(BudgetPacer& pacer, Store& store, Timers& timers, const Clock& clock,
                               std::string router)
    : pacer_(pacer), store_(store), timers_(timers), clock_(clock), router_(std::move(router)) {}

void DemandExchange::Start() { Tick(); }

void DemandExchange::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  if (timer_ != 0) timers_.Cancel(timer_);
}

bool DemandExchange::heard() const {
  MutexLock lock(mutex_);
  return beat_ > 0 && std::all_of(budgets_.begin(), budgets_.end(),
                                  [](const auto& budget) { return budget.second.heard; });
}

std::vector<std::shared_ptr<DemandExchange::Round>> DemandExchange::Begin() {
  const std::vector<std::pair<BudgetKey, BudgetDemand>> demands = pacer_.Demands();
  std::map<BudgetKey, Budget> kept;
  std::vector<std::shared_ptr<Round>> rounds;
  for (const auto& [key, demand] : demands) {
    auto known = budgets_.extract(key);
    if (known.empty() || BeganAgain(demand, known.mapped().seen)) {
      kept.emplace(key, Budget{BudgetShares(router_), beat_, demand});
    } else {
      known.mapped().seen = demand;
      kept.insert(std::move(known));
    }
  }
  budgets_ = std::move(kept);
  // Round the budgets from where the last turn ended.
  const auto from =
      std::lower_bound(demands.begin(), demands.end(), next_,
                       [](const auto& demand, const BudgetKey& key) { return demand.first < key; });
  const size_t begin = static_cast<size_t>(from - demands.begin());
  for (size_t i = 0; i < demands.size(); ++i) {
    const auto& [key, demand] = demands[(begin + i) % demands.size()];
    next_ = key;
    if (rounds.size() == kMostAtOnce) break;
    Budget& budget = budgets_.at(key);
    if (std::exchange(budget.under_way, true)) continue;
    auto round = std::make_shared<Round>();
    round->key = key;
    round->own = {beat_, budget.generation, demand};
    rounds.push_back(std::move(round));
  }
  return rounds;
}

void DemandExchange::Tick() {
  std::vector<std::shared_ptr<Round>> rounds;
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    ++beat_;
    rounds = Begin();
    timer_ = timers_.Schedule(clock_.Now() + kPeriod, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Tick();
    });
  }
  // A store in memory answers before these return.
  for (const std::shared_ptr<Round>& round : rounds) Run(round);
}

absl::Duration DemandExchange::RoundLength() const {
  return kPeriod * static_cast<int64_t>((budgets_.size() + kMostAtOnce - 1) / kMostAtOnce);
}

void DemandExchange::Run(const std::shared_ptr<Round>& round) {
  const absl::Time now = clock_.Now();
  const std::string name = TotalsName(round->key);
  const std::vector<int64_t> windows = WindowsAt(now);
  {
    MutexLock lock(round->mutex);
    round->missing = static_cast<int>(windows.size());
  }
  store_.RaiseTotals(name, windows.front(), FieldsOf(router_, round->own), kKept,
                     now + kPatience, [](const absl::Status&) {});
  for (const int64_t window : windows) {
    store_.ReadTotals(name, window, now + kPatience,
                      [weak = weak_from_this(), round](absl::StatusOr<StoreFields> fields) {
                        if (auto self = weak.lock()) self->Heard(round, std::move(fields));
                      });
  }
}

void DemandExchange::Heard(const std::shared_ptr<Round>& round,
                           absl::StatusOr<StoreFields> fields) {
  ToldDemands told;
  bool failed = false;
  {
    MutexLock lock(round->mutex);
    if (fields.ok()) {
      MergeFields(*fields, round->told);
    } else {
      round->failed = true;
    }
    if (--round->missing > 0) return;
    told = std::move(round->told);
    failed = round->failed;
  }
  MutexLock lock(mutex_);
  if (stopped_) return;
  const auto it = budgets_.find(round->key);
  // What was asked for one that is there no more is not for that which has its name now.
  if (it == budgets_.end() || it->second.generation != round->own.generation) return;
  it->second.under_way = false;
  if (failed) return;
  it->second.heard = true;
  const std::optional<PlatformShare> share =
      it->second.shares.Hear(told, round->own.demand, clock_.Now(), RoundLength());
  if (share.has_value()) pacer_.SetShare(round->key, *share);
}

}  // namespace penstock::router
