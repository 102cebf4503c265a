#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/store/store.h"
#include "router_service/usage/usage_counts.h"

namespace penstock::router {

// What routers count, in the store that they share: totals that only grow, each told by the router
// that counted it (its owner) under names that no other owner writes.
//
//   usage/index, window = the hour: field = owner, value = how many parts it has
//   usage/OWNER/PART, window = the hour: field = what, whose; value = the total
//   usage/mark/OWNER: a value; gone where the store forgot what the owner told
//
// Thread-safe, as the store is. Callbacks as the store's.
class UsageLedger {
 public:
  // An hour that began no longer before the present one is there, whole.
  static constexpr absl::Duration kKept = absl::Hours(35 * 24);
  // From the first time that a part of it is told: the present hour may end, and clocks may differ.
  static constexpr absl::Duration kTimeToLive = absl::Hours(35 * 24 + 2);
  // Each is a field for every kind of total; a part is one key.
  static constexpr size_t kPairsAPart = 800;

  using Totals = std::map<UsageKey, UsageTotals>;
  // By owner.
  using OwnerTotals = std::map<std::string, Totals>;

  explicit UsageLedger(Store& store) : store_(store) {}

  // `owner` has `pairs` in this hour; tells those in `rows`. INVALID_ARGUMENT: they are too many.
  void Tell(const std::string& owner, int64_t hour, const std::vector<UsageRow>& rows, size_t pairs,
            absl::Time deadline, Store::DoneStatus done);
  void Read(int64_t hour, absl::Time deadline, Store::Done<OwnerTotals> done);

  void Mark(const std::string& owner, absl::Time deadline, Store::DoneStatus done);
  void HasMark(const std::string& owner, absl::Time deadline, Store::Done<bool> done);

 private:
  Store& store_;
};

// A pair's totals as fields of a key, zeros left out.
std::vector<StoreField> UsageFields(const UsageRow& row);
// What is not of our writing is passed over: another release may write more.
void AddUsageField(absl::string_view field, int64_t value, UsageLedger::Totals& totals);

}  // namespace penstock::router
