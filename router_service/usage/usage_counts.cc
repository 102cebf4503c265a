#include "router_service/usage/usage_counts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/utf8.h"

namespace penstock::router {
namespace {

constexpr double kMillionths = 1e6;
// Of one request, in millionths: more is a broken meter's, and would fill a total at once.
constexpr double kMost = 1e15;

// What is not a number counts as nothing.
void AddMillionths(double amount, double& rest, int64_t& total) {
  if (!(amount > 0)) return;
  rest += std::min(amount * kMillionths, kMost);
  const double whole = std::floor(rest);
  rest -= whole;
  const auto more = static_cast<int64_t>(whole);
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  total = total > kLargest - more ? kLargest : total + more;
}

void AddTo(int64_t& total, int64_t more) {
  if (__builtin_add_overflow(total, more, &total)) total = std::numeric_limits<int64_t>::max();
}

}  // namespace

UsageTotals& UsageTotals::operator+=(const UsageTotals& more) {
  AddTo(requests, more.requests);
  AddTo(metered_microjoules, more.metered_microjoules);
  AddTo(modelled_microjoules, more.modelled_microjoules);
  AddTo(accelerator_microseconds, more.accelerator_microseconds);
  AddTo(microdollars, more.microdollars);
  return *this;
}

void UsageTotals::RaiseTo(const UsageTotals& other) {
  requests = std::max(requests, other.requests);
  metered_microjoules = std::max(metered_microjoules, other.metered_microjoules);
  modelled_microjoules = std::max(modelled_microjoules, other.modelled_microjoules);
  accelerator_microseconds = std::max(accelerator_microseconds, other.accelerator_microseconds);
  microdollars = std::max(microdollars, other.microdollars);
}

int64_t HourOf(absl::Time time) {
  return absl::ToInt64Hours(absl::Floor(time - absl::UnixEpoch(), absl::Hours(1)));
}

absl::Time HourStart(int64_t hour) { return absl::UnixEpoch() + absl::Hours(hour); }

UsageCounts::UsageCounts(const Clock& clock, Limits limits) : clock_(clock), limits_(limits) {}

void UsageCounts::Count(absl::string_view pool, absl::string_view tenant, const Amounts& taken,
                        bool metered) {
  const int64_t hour = HourOf(clock_.Now());
  const bool fits = tenant.size() + pool.size() <= kMostNameBytes;
  if (fits && Add(hour, {tenant, pool, false}, taken, metered)) return;
  others_.fetch_add(1, std::memory_order_relaxed);
  // There are no more pools than the configuration names, and their names fit what it may say.
  Add(hour, {{}, pool.substr(0, kMostNameBytes), true}, taken, metered);
}

bool UsageCounts::Add(int64_t hour, const KeyView& key, const Amounts& taken, bool metered) {
  const size_t hash = KeyHash()(key);
  Shard& shard = shards_[hash % kShards];
  MutexLock lock(shard.mutex);
  Hour& of_shard = shard.hours[hour];
  auto it = of_shard.cells.find(key);
  if (it == of_shard.cells.end()) {
    // Answers that tell of it could not be read.
    if (!IsUtf8(key.tenant)) return false;
    size_t ordinal = 0;
    if (!Admit(hour, key.others, ordinal)) return false;
    it = of_shard.cells
             .try_emplace(UsageKey{std::string(key.tenant), std::string(key.pool), key.others})
             .first;
    it->second.ordinal = ordinal;
  }
  Cell& cell = it->second;
  cell.told = of_shard.told = false;
  AddTo(cell.totals.requests, 1);
  if (metered) {
    AddMillionths(taken.energy_j, cell.rest_metered, cell.totals.metered_microjoules);
  } else {
    AddMillionths(taken.energy_j, cell.rest_modelled, cell.totals.modelled_microjoules);
  }
  AddMillionths(taken.accelerator_seconds, cell.rest_seconds, cell.totals.accelerator_microseconds);
  AddMillionths(taken.dollars, cell.rest_dollars, cell.totals.microdollars);
  return true;
}

bool UsageCounts::Admit(int64_t hour, bool others, size_t& ordinal) {
  MutexLock lock(pairs_mutex_);
  size_t& pairs = pairs_[hour];
  if (!others && pairs >= limits_.pairs_an_hour) return false;
  ordinal = pairs++;
  return true;
}

template <class Do>
void UsageCounts::ForEach(int64_t hour, Do act) const {
  for (const Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    if (const auto it = shard.hours.find(hour); it != shard.hours.end()) act(it->second);
  }
}

template <class Do>
void UsageCounts::ForEach(int64_t hour, Do act) {
  for (Shard& shard : shards_) {
    MutexLock lock(shard.mutex);
    if (const auto it = shard.hours.find(hour); it != shard.hours.end()) act(it->second);
  }
}

std::vector<UsageRow> UsageCounts::ByOrdinal(std::vector<UsageRow> rows) {
  std::sort(rows.begin(), rows.end(),
            [](const UsageRow& a, const UsageRow& b) { return a.ordinal < b.ordinal; });
  return rows;
}

std::vector<int64_t> UsageCounts::Hours() const {
  MutexLock lock(pairs_mutex_);
  std::vector<int64_t> hours;
  for (const auto& [hour, pairs] : pairs_) hours.push_back(hour);
  return hours;
}

std::vector<UsageRow> UsageCounts::Read(int64_t hour) const {
  std::vector<UsageRow> rows;
  ForEach(hour, [&](const Hour& of_shard) {
    for (const auto& [key, cell] : of_shard.cells) rows.push_back({key, cell.totals, cell.ordinal});
  });
  return ByOrdinal(std::move(rows));
}

std::vector<UsageRow> UsageCounts::TakeUntold(int64_t hour) {
  std::vector<UsageRow> rows;
  ForEach(hour, [&](Hour& of_shard) {
    if (std::exchange(of_shard.told, true)) return;
    for (auto& [key, cell] : of_shard.cells) {
      if (!std::exchange(cell.told, true)) rows.push_back({key, cell.totals, cell.ordinal});
    }
  });
  return ByOrdinal(std::move(rows));
}

void UsageCounts::Untell(int64_t hour) {
  ForEach(hour, [](Hour& of_shard) {
    of_shard.told = false;
    for (auto& [key, cell] : of_shard.cells) cell.told = false;
  });
}

void UsageCounts::UntellAll() {
  for (const int64_t hour : Hours()) Untell(hour);
}

size_t UsageCounts::Pairs(int64_t hour) const {
  MutexLock lock(pairs_mutex_);
  const auto it = pairs_.find(hour);
  return it == pairs_.end() ? 0 : it->second;
}

size_t UsageCounts::Forget(bool told) {
  const int64_t now = HourOf(clock_.Now());
  std::vector<int64_t> dropped;
  {
    MutexLock lock(pairs_mutex_);
    size_t all = 0;
    for (const auto& [hour, pairs] : pairs_) all += pairs;
    for (const auto& [hour, pairs] : pairs_) {
      if (hour >= now || (hour > now - limits_.hours && all <= limits_.pairs)) break;
      all -= pairs;
      dropped.push_back(hour);
    }
  }
  size_t untold = 0;
  for (const int64_t hour : dropped) {
    if (told) {
      ForEach(hour, [&](const Hour& of_shard) {
        for (const auto& [key, cell] : of_shard.cells) untold += cell.told ? 0 : 1;
      });
    }
    for (Shard& shard : shards_) {
      MutexLock lock(shard.mutex);
      shard.hours.erase(hour);
    }
    MutexLock lock(pairs_mutex_);
    pairs_.erase(hour);
  }
  return untold;
}

}  // namespace penstock::router
