#include "router_service/pacing/leasing/leased_window.h"

#include <algorithm>

#include "absl/strings/match.h"

namespace penstock::router {

int64_t LeasedWindow::Totals::Taken() const { return std::max(granted - returned, settled); }

void LeasedWindow::Settle(int64_t reserved, int64_t spent) {
  // A window that was dropped and came back knows nothing of what was reserved before; what came
  // while its budget was forgotten was not reserved.
  reserved_ -= std::min(reserved, reserved_);
  settled_ = SaturatedSum(settled_, std::max<int64_t>(0, spent));
}

void LeasedWindow::Tell(BudgetTake& take) const {
  take.granted = granted_;
  take.returned = returned_;
  take.settled = settled_;
}

void LeasedWindow::Granted(const BudgetGrant& grant) {
  granted_ = std::max(granted_, grant.granted);
  told_.granted = grant.granted;
  others_seen_ = std::max<int64_t>(0, grant.taken - told_.Taken());
}

std::vector<StoreField> LeasedWindow::Read(const StoreFields& fields) {
  std::map<std::string, Totals> read;
  for (const auto& [field, value] : fields) {
    if (field.size() < 3 || value < 0) continue;
    Totals& totals = read[field.substr(2)];
    if (absl::StartsWith(field, "g/")) totals.granted = value;
    if (absl::StartsWith(field, "r/")) totals.returned = value;
    if (absl::StartsWith(field, "s/")) totals.settled = value;
  }
  told_ = read[owner_];
  granted_ = std::max(granted_, told_.granted);
  returned_ = std::max(returned_, told_.returned);
  settled_ = std::max(settled_, told_.settled);
  std::vector<StoreField> missing;
  for (auto& [name, known] : others_) {
    const Totals& there = read[name];
    const auto compare = [&](int64_t& ours, int64_t theirs, std::string field) {
      if (ours > theirs) missing.push_back({std::move(field), ours});
      ours = std::max(ours, theirs);
    };
    compare(known.granted, there.granted, GrantedField(name));
    compare(known.returned, there.returned, ReturnedField(name));
    compare(known.settled, there.settled, SettledField(name));
  }
  for (const auto& [name, totals] : read) {
    if (name == owner_ || totals == Totals() || others_.size() >= kMostOwners) continue;
    others_.try_emplace(name, totals);
  }
  others_seen_ = 0;
  return missing;
}

int64_t LeasedWindow::TakenByOthers() const {
  int64_t sum = 0;
  for (const auto& [name, totals] : others_) sum = SaturatedSum(sum, totals.Taken());
  return std::max(sum, others_seen_);
}

int64_t LeasedWindow::SettledByOthers() const {
  int64_t sum = 0;
  for (const auto& [name, totals] : others_) sum = SaturatedSum(sum, totals.settled);
  return sum;
}

}  // namespace penstock::router
