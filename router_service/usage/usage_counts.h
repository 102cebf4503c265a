#pragma once

#include <array>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "router_service/pacing/resource.h"

namespace penstock::router {

// Whose. Ordered as usage is listed.
struct UsageKey {
  std::string tenant;
  std::string pool;
  bool others = false;  // of the tenants that are not counted one by one; `tenant` is empty

  auto operator<=>(const UsageKey&) const = default;
};

// What was taken, in whole units that add up exactly.
struct UsageTotals {
  int64_t requests = 0;
  int64_t metered_microjoules = 0;
  int64_t modelled_microjoules = 0;
  int64_t accelerator_microseconds = 0;
  int64_t microdollars = 0;

  bool operator==(const UsageTotals&) const = default;
  // Stays at the largest integer rather than going round.
  UsageTotals& operator+=(const UsageTotals& more);
  // Of each the larger: two readings of one total that only grows.
  void RaiseTo(const UsageTotals& other);
};

struct UsageRow {
  UsageKey key;
  UsageTotals totals;
  // Number of the pair in its hour, from 0, in order of appearance: it stays.
  size_t ordinal = 0;
};

// Hours since 1970, UTC.
int64_t HourOf(absl::Time time);
absl::Time HourStart(int64_t hour);

// What each tenant's requests to each pool took, hour by hour, as this process saw it. Thread-safe:
// Count, which every request calls, locks one of several shards for the length of a look-up.
class UsageCounts {
 public:
  struct Limits {
    // Pairs of tenant and pool in one hour; further tenants are counted together, by pool.
    size_t pairs_an_hour = 10'000;
    // Kept by Forget, oldest hours going first: about 200 bytes each.
    size_t pairs = 100'000;
    int64_t hours = 48;
  };
  // Longer names are counted with the others: they would not fit where totals are kept.
  static constexpr size_t kMostNameBytes = 400;

  explicit UsageCounts(const Clock& clock) : UsageCounts(clock, Limits()) {}
  UsageCounts(const Clock& clock, Limits limits);

  // A request ended at this moment. `metered`: its joules are, all of them.
  void Count(absl::string_view pool, absl::string_view tenant, const Amounts& taken, bool metered);

  // Hours that something is known of, ascending.
  std::vector<int64_t> Hours() const;
  // By ordinal.
  std::vector<UsageRow> Read(int64_t hour) const;
  // Those that changed since they were taken by this, which it notes: by ordinal.
  std::vector<UsageRow> TakeUntold(int64_t hour);
  // They must be told again.
  void Untell(int64_t hour);
  void UntellAll();
  // Pairs of the hour so far.
  size_t Pairs(int64_t hour) const;

  // Drops what is beyond the limits. Returns how many pairs had not been told; `told` false: nobody
  // is ever told.
  size_t Forget(bool told);
  // Requests counted with the others so far.
  uint64_t others() const { return others_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kShards = 16;

  struct Cell {
    UsageTotals totals;
    // Of a millionth, what the totals lack: small requests add up.
    double rest_metered = 0, rest_modelled = 0, rest_seconds = 0, rest_dollars = 0;
    size_t ordinal = 0;
    bool told = false;
  };
  struct KeyView {
    absl::string_view tenant;
    absl::string_view pool;
    bool others;
  };
  static KeyView ViewOf(const KeyView& view) { return view; }
  static KeyView ViewOf(const UsageKey& key) { return {key.tenant, key.pool, key.others}; }
  struct KeyHash {
    using is_transparent = void;
    template <class Key>
    size_t operator()(const Key& key) const {
      const KeyView view = ViewOf(key);
      return absl::HashOf(view.tenant, view.pool, view.others);
    }
  };
  struct KeyEqual {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      const KeyView left = ViewOf(a), right = ViewOf(b);
      return left.tenant == right.tenant && left.pool == right.pool && left.others == right.others;
    }
  };
  struct Hour {
    absl::flat_hash_map<UsageKey, Cell, KeyHash, KeyEqual> cells;
    bool told = true;  // all of them: hours that are over are not gone through again
  };
  struct Shard {
    mutable Mutex mutex;
    std::map<int64_t, Hour> hours ABSL_GUARDED_BY(mutex);
  };

  // False: there are too many already.
  bool Add(int64_t hour, const KeyView& key, const Amounts& taken, bool metered);
  // A number for one more pair; false: it must go with the others.
  bool Admit(int64_t hour, bool others, size_t& ordinal);
  // `act` gets the hour of each shard that has it, one after the other.
  template <class Do>
  void ForEach(int64_t hour, Do act) const;
  template <class Do>
  void ForEach(int64_t hour, Do act);
  static std::vector<UsageRow> ByOrdinal(std::vector<UsageRow> rows);

  const Clock& clock_;
  const Limits limits_;
  std::array<Shard, kShards> shards_;
  std::atomic<uint64_t> others_ = 0;
  // Taken inside a shard's.
  mutable Mutex pairs_mutex_;
  std::map<int64_t, size_t> pairs_ ABSL_GUARDED_BY(pairs_mutex_);
};

}  // namespace penstock::router
