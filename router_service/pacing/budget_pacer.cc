#include "router_service/pacing/budget_pacer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "router_service/pacing/budget_period.h"
#include "router_service/pacing/window_refusal.h"
#include "router_service/refusals/refusal.h"

namespace penstock::router {
namespace {

using config::v1::Budget;

// Names become keys of the store, with room for what stands beside them.
constexpr size_t kMostNameBytes = 256;

constexpr char kRetryAfter[] = "penstock.retry_after_ms";

std::string Describe(absl::string_view pool, const Budget& budget) {
  std::string text = absl::StrCat(budget.amount(), " ", Budget::Resource_Name(budget.resource()),
                                  " per ", Budget::Per_Name(budget.per()));
  if (!budget.tenant().empty()) absl::StrAppend(&text, " of tenant ", budget.tenant());
  if (!pool.empty()) absl::StrAppend(&text, " of pool ", pool);
  return text;
}

// Whether it is counted in windows. What a soft budget takes by the second is the price's matter, and
// joules are but where nothing may go over.
bool HasWindows(const Budget& budget) {
  if (budget.per() == Budget::REQUEST) return false;
  if (budget.resource() == Budget::REQUESTS || budget.hard()) return true;
  return budget.resource() != Budget::JOULES && budget.per() != Budget::SECOND;
}

// Where the budgets of this pool and tenant begin; of no tenant: all of the pool's.
std::tuple<std::string, std::string, int, int> FirstOf(const std::string& pool,
                                                       const std::string& tenant) {
  return {pool, tenant, std::numeric_limits<int>::min(), std::numeric_limits<int>::min()};
}

void SetDuration(absl::Duration from, google::protobuf::Duration* to) {
  const int64_t nanos = absl::ToInt64Nanoseconds(from);
  to->set_seconds(nanos / 1'000'000'000);
  to->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
}

}  // namespace

absl::Status ExhaustedError(absl::string_view message, absl::Duration retry_after) {
  absl::Status status = absl::ResourceExhaustedError(message);
  // Rounded up: a caller that waits this long must not come too early.
  const int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(retry_after, absl::Milliseconds(1)));
  status.SetPayload(kRetryAfter, absl::Cord(absl::StrCat(std::max<int64_t>(ms, 1))));
  return status;
}

std::optional<absl::Duration> RetryAfter(const absl::Status& status) {
  const auto payload = status.GetPayload(kRetryAfter);
  int64_t ms = 0;
  if (!payload.has_value() || !absl::SimpleAtoi(std::string(*payload), &ms)) return std::nullopt;
  return absl::Milliseconds(ms);
}

BudgetPacer::BudgetPacer(const Clock& clock, WindowLedger& windows, Options options,
                         PacerJournal* journal)
    : order_(journal == nullptr ? nullptr : std::make_shared<PacerOrder>(clock, windows, *journal)),
      clock_(order_ == nullptr ? clock : order_->clock()),
      ledger_(order_ == nullptr ? windows : order_->windows()),
      counts_(windows),
      options_(options) {
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) {
    v1::PacerStart& start = *operation.event()->mutable_start();
    start.set_learning(options.learning);
    start.set_start_price_per_joule(options.start_price_per_joule);
    start.set_trust_start_price(options.trust_start_price);
    start.set_rule(std::string(PriceRuleName(options.rule)));
  }
  MutexLock lock(mutex_);
  Reindex("", "");
}

BudgetPacer::~BudgetPacer() {
  if (order_ != nullptr) order_->Close();
}

absl::Status BudgetPacer::SetBudget(absl::string_view pool, const Budget& budget) {
  if (!Budget::Resource_IsValid(budget.resource()) || !Budget::Per_IsValid(budget.per())) {
    return absl::InvalidArgumentError("budget: unknown resource or period");
  }
  for (const absl::string_view name : {pool, absl::string_view(budget.tenant())}) {
    if (name.size() <= kMostNameBytes) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("budget: the name of its ", name == pool ? "pool" : "tenant", " has ",
                     name.size(), " bytes, wanted at most ", kMostNameBytes));
  }
  if (!std::isfinite(budget.amount()) || budget.amount() < 0) {
    return absl::InvalidArgumentError(absl::StrCat("budget.amount is ", budget.amount(),
                                                   ", wanted a finite number of at least 0"));
  }
  if (budget.resource() == Budget::REQUESTS && budget.per() == Budget::REQUEST) {
    return absl::InvalidArgumentError(
        "budget.per is REQUEST, which REQUESTS cannot have: they need SECOND, HOUR or DAY");
  }
  if (budget.bound_tenants() && (budget.resource() != Budget::JOULES || !budget.tenant().empty())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "budget.bound_tenants: wanted a budget of JOULES that tenants share, got one of ",
        Budget::Resource_Name(budget.resource()),
        budget.tenant().empty() ? "" : absl::StrCat(" of tenant ", budget.tenant())));
  }
  Key key{std::string(pool), budget.tenant(), budget.resource(), budget.per()};
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) {
    v1::BudgetChange& change = *operation.event()->mutable_set_budget();
    change.set_pool(std::string(pool));
    *change.mutable_budget() = budget;
  }
  const std::string window_key = WindowKey(pool, budget);
  MutexLock lock(mutex_);
  if (budget.amount() == 0) {
    if (entries_.erase(key) > 0) Reindex(std::get<0>(key), budget.tenant());
    ledger_.Forget(window_key);
    return absl::OkStatus();
  }
  auto [it, added] = entries_.try_emplace(key);
  Entry& entry = it->second;
  entry.budget = budget;
  entry.text = Describe(pool, budget);
  if (HasWindows(budget)) {
    entry.window = std::make_shared<WindowBudget>(clock_, ledger_, window_key, budget);
  } else if (entry.window != nullptr) {
    entry.window = nullptr;
    ledger_.Forget(window_key);
  }
  if (entry.priced != nullptr) {
    entry.priced->Change(budget);
  } else if (budget.resource() != Budget::REQUESTS) {
    entry.priced = std::make_shared<PricedBudget>(clock_, budget, options_);
    if (budget.resource() == Budget::JOULES) {
      entry.priced->SetIdleWatts(IdleWatts(std::get<0>(key)));
    }
  }
  if (entry.window != nullptr && budget.resource() == Budget::JOULES) {
    entry.window->SetIdleWatts(IdleWatts(std::get<0>(key)));
  }
  // Prices that are not learnt stay as they are: the same requests get the same decisions.
  if (!budget.bound_tenants() || !options_.learning) {
    entry.ledger = nullptr;
  } else if (entry.ledger == nullptr) {
    entry.ledger = std::make_shared<PrincipalLedger>();
  }
  Reindex(std::get<0>(key), budget.tenant());
  return absl::OkStatus();
}

bool BudgetPacer::Has(const std::string& pool) const {
  const auto it = entries_.lower_bound(FirstOf(pool, ""));
  return it != entries_.end() && std::get<0>(it->first) == pool;
}

bool BudgetPacer::Has(const std::string& pool, const std::string& tenant) const {
  const auto it = entries_.lower_bound(FirstOf(pool, tenant));
  return it != entries_.end() && std::get<0>(it->first) == pool &&
         std::get<1>(it->first) == tenant;
}

std::shared_ptr<const BudgetSet> BudgetPacer::SetOf(const std::string& pool,
                                                    const std::string& tenant) const {
  auto set = std::make_shared<BudgetSet>();
  const auto add = [&](const std::string& of_pool, const std::string& of_tenant) {
    for (auto it = entries_.lower_bound(FirstOf(of_pool, of_tenant));
         it != entries_.end() && std::get<0>(it->first) == of_pool &&
         std::get<1>(it->first) == of_tenant;
         ++it) {
      const Entry& entry = it->second;
      if (entry.priced != nullptr) {
        set->priced.push_back(entry.priced);
        set->ledgers.push_back(entry.ledger);
        set->priced_names.push_back(entry.text);
      }
      if (entry.window != nullptr) {
        set->windows.push_back(entry.window);
        set->window_names.push_back(entry.text);
      }
    }
  };
  add("", "");
  if (!tenant.empty()) add("", tenant);
  if (!pool.empty()) add(pool, "");
  if (!pool.empty() && !tenant.empty()) add(pool, tenant);
  if (std::all_of(set->ledgers.begin(), set->ledgers.end(),
                  [](const auto& ledger) { return ledger == nullptr; })) {
    set->ledgers.clear();
  }
  return set;
}

void BudgetPacer::IndexTenant(const std::string& pool, const std::string& tenant,
                              PoolSets& sets) const {
  if (Has(pool, tenant) || Has("", tenant)) {
    sets.tenants[tenant] = SetOf(pool, tenant);
  } else {
    sets.tenants.erase(tenant);
  }
}

void BudgetPacer::IndexPool(const std::string& pool, PoolSets& sets) const {
  sets.everybody = SetOf(pool, "");
  sets.tenants.clear();
  const auto index_tenants_of = [&](const std::string& of_pool) {
    for (auto it = entries_.lower_bound(FirstOf(of_pool, ""));
         it != entries_.end() && std::get<0>(it->first) == of_pool; ++it) {
      const std::string& tenant = std::get<1>(it->first);
      if (tenant.empty()) continue;
      auto& set = sets.tenants[tenant];
      if (set == nullptr) set = SetOf(pool, tenant);
    }
  };
  index_tenants_of("");
  if (!pool.empty()) index_tenants_of(pool);
}

void BudgetPacer::Reindex(const std::string& pool, const std::string& tenant) {
  const auto index = [&](const std::string& of_pool, PoolSets& sets) {
    if (tenant.empty()) {
      IndexPool(of_pool, sets);
    } else {
      IndexTenant(of_pool, tenant, sets);
    }
  };
  if (pool.empty()) {
    index("", other_pools_);
    for (auto& [name, sets] : pools_) index(name, sets);
  } else if (!Has(pool)) {
    pools_.erase(pool);
  } else if (const auto [it, added] = pools_.try_emplace(pool); added) {
    IndexPool(pool, it->second);
  } else {
    index(pool, it->second);
  }
}

std::shared_ptr<const BudgetSet> BudgetPacer::Find(absl::string_view pool,
                                                   absl::string_view tenant) const {
  MutexLock lock(mutex_);
  const auto by_pool = pools_.find(pool);
  const PoolSets& sets = by_pool == pools_.end() ? other_pools_ : by_pool->second;
  const auto by_tenant = sets.tenants.find(tenant);
  return by_tenant == sets.tenants.end() ? sets.everybody : by_tenant->second;
}

absl::StatusOr<Reservation> BudgetPacer::Open(absl::string_view pool, absl::string_view tenant,
                                              uint64_t* sequence) {
  PacerOperation operation(order_.get());
  absl::StatusOr<Reservation> opened = OpenNow(pool, tenant);
  if (sequence != nullptr) *sequence = operation.sequence();
  if (operation.event() == nullptr) return opened;
  v1::RequestOpen& open = *operation.event()->mutable_open();
  open.set_pool(std::string(pool));
  open.set_tenant(std::string(tenant));
  open.set_refused(!opened.ok());
  if (opened.ok()) {
    opened->order_ = order_;
    opened->request_ = operation.sequence();
  }
  return opened;
}

absl::StatusOr<Reservation> BudgetPacer::OpenNow(absl::string_view pool, absl::string_view tenant) {
  std::shared_ptr<const BudgetSet> set = Find(pool, tenant);
  Reservation reservation;
  // A journal tells of what no budget binds as well.
  const bool bound = !set->priced.empty() || !set->windows.empty();
  if (!bound && order_ == nullptr) return reservation;
  // A refused request leaves nothing behind, but at the budget that refused it: there it counts as
  // one that cost nothing, so that a mean per request recovers.
  size_t opened = 0;
  const auto undo = [&] {
    for (size_t i = 0; i < opened; ++i) set->priced[i]->Forget();
    for (size_t i = 0; i < reservation.windows_.size(); ++i) {
      set->windows[i]->GiveBack(reservation.windows_[i]);
    }
  };
  for (size_t i = 0; i < set->windows.size(); ++i) {
    const WindowAnswer answer = set->windows[i]->Take(reservation.windows_.emplace_back());
    if (answer == WindowAnswer::kUnsure) reservation.unsure_ = true;
    if (Covers(answer)) continue;
    if (set->windows[i]->hard()) {
      undo();
      return WindowRefusal(answer, set->window_names[i], *set->windows[i]);
    }
    reservation.soft_window_spent_ = true;
  }
  for (; opened < set->priced.size(); ++opened) {
    if (set->priced[opened]->Open()) continue;
    undo();
    return Because(Refusal::kBudget,
                   ExhaustedError(absl::StrCat("budget spent: ", set->priced_names[opened]),
                                  set->priced[opened]->retry_after()));
  }
  for (size_t i = 0; i < set->ledgers.size(); ++i) {
    PrincipalLedger::Charge& charge = reservation.charges_.emplace_back();
    if (set->ledgers[i] == nullptr) continue;
    charge = set->ledgers[i]->Open(tenant, set->priced[i]->JoulesPerRequest());
  }
  reservation.budgets_ = std::move(set);
  return reservation;
}

BudgetPacer::Quote BudgetPacer::Peek(absl::string_view pool, absl::string_view tenant) const {
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) {
    v1::BudgetRead& read = *operation.event()->mutable_read();
    read.set_pool(std::string(pool));
    read.set_tenant(std::string(tenant));
  }
  const std::shared_ptr<const BudgetSet> set = Find(pool, tenant);
  Quote quote;
  quote.headroom_j = quote.largest_j = std::numeric_limits<double>::infinity();
  std::array<double, kResources> left;  // in windows of hard budgets, by resource
  left.fill(std::numeric_limits<double>::infinity());
  for (size_t i = 0; i < set->windows.size(); ++i) {
    const WindowBudget& window = *set->windows[i];
    const WindowAnswer answer = window.Ask();
    if (!Covers(answer)) {
      quote.headroom_j = 0;
      if (window.hard()) quote.status = WindowRefusal(answer, set->window_names[i], window);
    } else if (window.hard() && !window.counts_requests()) {
      for (size_t r = 0; r < kResources; ++r) {
        const auto resource = static_cast<Resource>(r);
        if (window.resource() == ConfigOf(resource)) left[r] = std::min(left[r], window.Left());
      }
    }
  }
  const bool window_spent = quote.headroom_j <= 0;
  quote.headroom_j = std::min(quote.headroom_j, left[static_cast<size_t>(Resource::kJoules)]);
  double shared = 0;
  for (size_t i = 0; i < set->priced.size(); ++i) {
    PricedBudget& budget = *set->priced[i];
    const double price = budget.price();
    const double headroom = budget.HeadroomOfNext();
    if (budget.resource() == Resource::kJoules) {
      PrincipalLedger::Terms own;
      if (i < set->ledgers.size() && set->ledgers[i] != nullptr) {
        own = set->ledgers[i]->TermsOf(tenant, budget.JoulesPerRequest());
      }
      shared += price;
      quote.price_per_joule += price * own.multiplier;
      quote.headroom_j = std::min({quote.headroom_j, headroom, own.headroom_j});
      quote.largest_j = std::min(quote.largest_j, own.largest_j);
    } else {
      ResourceTerms& terms = quote.others[budget.resource()];
      terms.price += price;
      terms.headroom = window_spent ? 0
                                    : std::min({terms.headroom, headroom,
                                                left[static_cast<size_t>(budget.resource())]});
    }
    if (!budget.CanOpen()) {
      quote.status = ExhaustedError(absl::StrCat("budget spent: ", set->priced_names[i]),
                                    budget.retry_after());
    }
  }
  if (shared > 0) quote.price_multiplier = quote.price_per_joule / shared;
  return quote;
}

std::vector<v1::BudgetStatus> BudgetPacer::List(absl::string_view pool,
                                                absl::string_view tenant) const {
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) {
    v1::BudgetRead& read = *operation.event()->mutable_read();
    read.set_pool(std::string(pool));
    read.set_tenant(std::string(tenant));
    read.set_listed(true);
  }
  std::vector<v1::BudgetStatus> list;
  MutexLock lock(mutex_);
  for (const auto& [key, entry] : entries_) {
    if (std::get<0>(key) != pool || std::get<1>(key) != tenant) continue;
    v1::BudgetStatus& status = list.emplace_back();
    status.set_pool(std::get<0>(key));
    *status.mutable_budget() = entry.budget;
    status.set_share(entry.priced != nullptr ? entry.priced->share() : 1);
    if (entry.priced != nullptr) status.set_price(entry.priced->price());
    if (entry.window == nullptr || entry.window->is_rate()) {
      status.set_spent(entry.priced->spent());
      status.set_remaining(entry.priced->remaining());
      SetDuration(entry.priced->window_left(), status.mutable_window_left());
    } else {
      status.set_spent(entry.window->spent());
      status.set_remaining(entry.window->remaining());
      SetDuration(entry.window->window_left(), status.mutable_window_left());
    }
  }
  return list;
}

std::vector<BudgetStanding> BudgetPacer::Standings(absl::Time now) const {
  std::vector<BudgetStanding> standings;
  std::vector<std::pair<std::shared_ptr<PricedBudget>, std::shared_ptr<WindowBudget>>> sources;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, entry] : entries_) {
      BudgetStanding& standing = standings.emplace_back();
      standing.pool = std::get<0>(key);
      standing.tenant = std::get<1>(key);
      standing.resource = entry.budget.resource();
      standing.per = entry.budget.per();
      standing.limit = entry.budget.amount();
      sources.emplace_back(entry.priced, entry.window);
    }
  }
  // Without the lock, which every request takes: each of these has one of its own.
  for (size_t i = 0; i < standings.size(); ++i) {
    const auto& [priced, window] = sources[i];
    if (priced != nullptr) standings[i].price = priced->price();
    standings[i].remaining = window == nullptr || window->is_rate()
                                 ? priced->RemainingAt(now)
                                 : window->RemainingAt(now, counts_);
  }
  return standings;
}

double BudgetPacer::PricePerJoule(absl::string_view pool) const {
  double price = 0;
  for (const auto& budget : Find(pool, {})->priced) {
    if (budget->resource() == Resource::kJoules) price += budget->price();
  }
  return price;
}

double BudgetPacer::IdleWatts(const std::string& pool) const {
  const auto it = idle_watts_.find(pool);
  if (it != idle_watts_.end()) return it->second;
  double sum = 0;
  if (pool.empty()) {
    for (const auto& [name, watts] : idle_watts_) sum += watts;
  }
  return sum;
}

void BudgetPacer::SetIdleWatts(absl::string_view pool, double watts) {
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) {
    v1::IdlePower& idle = *operation.event()->mutable_idle_power();
    idle.set_pool(std::string(pool));
    idle.set_watts(watts);
  }
  MutexLock lock(mutex_);
  idle_watts_[std::string(pool)] = watts;
  for (const auto& [key, entry] : entries_) {
    if (entry.budget.resource() != Budget::JOULES) continue;
    entry.priced->SetIdleWatts(IdleWatts(std::get<0>(key)));
    if (entry.window != nullptr) entry.window->SetIdleWatts(IdleWatts(std::get<0>(key)));
  }
}

std::vector<std::pair<BudgetKey, BudgetDemand>> BudgetPacer::Demands() const {
  std::vector<std::pair<BudgetKey, BudgetDemand>> demands;
  MutexLock lock(mutex_);
  for (const auto& [key, entry] : entries_) {
    if (entry.priced == nullptr || entry.budget.per() == Budget::REQUEST) continue;
    demands.emplace_back(BudgetKey{std::get<0>(key), std::get<1>(key), entry.budget.resource(),
                                   entry.budget.per()},
                         entry.priced->Demand());
  }
  return demands;
}

void BudgetPacer::SetShare(const BudgetKey& key, const PlatformShare& platform) {
  PlatformShare told = platform;
  PacerOperation operation(order_.get());
  if (operation.event() != nullptr) {
    v1::BudgetShare& share = *operation.event()->mutable_share();
    share.set_pool(key.pool);
    share.set_tenant(key.tenant);
    share.set_resource(key.resource);
    share.set_per(key.per);
    share.set_share(platform.share);
    share.set_requests_elsewhere(platform.requests_elsewhere);
    share.set_spent_elsewhere(platform.spent_elsewhere);
    share.set_credit_correction(platform.credit_correction);
    share.set_started_ms(absl::ToUnixMillis(platform.started));
    told.started = absl::FromUnixMillis(share.started_ms());  // as it is written down
  }
  MutexLock lock(mutex_);
  const auto it = entries_.find(Key{key.pool, key.tenant, key.resource, key.per});
  if (it != entries_.end() && it->second.priced != nullptr) it->second.priced->SetShare(told);
}

}  // namespace penstock::router
