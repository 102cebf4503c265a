#include "router_service/gating/balance/balance_exchange.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock::router {
namespace {

int64_t WindowAt(absl::Time time) {
  return absl::ToUnixMillis(time) / absl::ToInt64Milliseconds(BalanceExchange::kWindow);
}

std::string NameOf(absl::string_view pool) { return absl::StrCat("balance/", pool); }

}  // namespace

BalanceExchange::BalanceExchange(Deps deps)
    : deps_(std::move(deps)), read_(WindowAt(deps_.clock.Now()) - 1) {}

void BalanceExchange::Add(absl::string_view pool, const v1::Decision& decision) {
  MutexLock lock(counts_mutex_);
  auto counts = counts_.find(pool);
  if (counts == counts_.end()) counts = counts_.emplace(pool, BalanceCounts()).first;
  counts->second.Add(decision);
}

void BalanceExchange::Start() {
  MutexLock lock(mutex_);
  timer_ = deps_.timers.Schedule(deps_.clock.Now() + kEvery, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->Tick();
  });
}

void BalanceExchange::Stop() {
  MutexLock lock(mutex_);
  stopped_ = true;
  if (timer_ != 0) deps_.timers.Cancel(timer_);
}

void BalanceExchange::Tick() {
  const absl::Time now = deps_.clock.Now();
  const int64_t window = WindowAt(now);
  std::vector<PoolExperts> pools;  // whose last window is read
  {
    MutexLock lock(mutex_);
    if (stopped_) return;
    timer_ = deps_.timers.Schedule(now + kEvery, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->Tick();
    });
    if (read_ < window - 1 && WindowAt(now - kGrace) == window) {
      read_ = window - 1;
      pools = deps_.pools();
    }
  }
  std::map<std::string, BalanceCounts, std::less<>> counts;
  {
    MutexLock lock(counts_mutex_);
    counts.swap(counts_);
  }
  const absl::Time deadline = now + kPatience;
  for (const auto& [pool, added] : counts) {
    if (added.empty()) continue;
    deps_.store.AddCounters(NameOf(pool), window, added.Fields(), kLife, deadline,
                            [](const absl::Status&) {});
  }
  for (PoolExperts& pool : pools) {
    const std::string name = NameOf(pool.pool);
    deps_.store.ReadCounters(
        name, window - 1, deadline,
        [weak = weak_from_this(), pool = std::move(pool)](absl::StatusOr<StoreFields> counters) {
          if (auto self = weak.lock()) self->OnWindow(pool, counters);
        });
  }
}

void BalanceExchange::OnWindow(const PoolExperts& pool,
                               const absl::StatusOr<StoreFields>& counters) {
  MutexLock lock(mutex_);
  if (stopped_) return;
  deps_.told(pool, counters.ok() ? BalanceOf(*counters, pool.experts) : std::nullopt);
}

}  // namespace penstock::router
