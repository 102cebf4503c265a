#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/store/store.h"
#include "router_service/pacing/window_ledger.h"

namespace penstock::router {

// A budget's window as one of its owners knows it: its own three totals, which only grow, what of
// them is reserved, and a mirror of the others' totals. Not thread-safe.
class LeasedWindow {
 public:
  // Owners beyond are not mirrored; the store has no room for more either.
  static constexpr size_t kMostOwners = Store::kMostFields / 3;

  explicit LeasedWindow(std::string owner) : owner_(std::move(owner)) {}

  // What is leased and neither reserved nor spent. Below 0: more was spent than was leased.
  int64_t Free() const { return granted_ - returned_ - SaturatedSum(settled_, reserved_); }
  // Leased or not.
  void Reserve(int64_t amount) { reserved_ = SaturatedSum(reserved_, amount); }
  void Settle(int64_t reserved, int64_t spent);
  // Of what is free.
  void GiveBack(int64_t amount) { returned_ += amount; }

  // Fills in the owner's totals.
  void Tell(BudgetTake& take) const;
  // The store knows them.
  void Told(const BudgetTake& take) { told_ = {take.granted, take.returned, take.settled}; }
  bool told() const { return told_ == Totals{granted_, returned_, settled_}; }
  void Granted(const BudgetGrant& grant);

  // Takes in what the store holds: of the owner too, who may have been forgotten here meanwhile.
  // What the mirror has beyond it is what the store forgot; so is, from here on, what is not
  // `told`.
  std::vector<StoreField> Read(const StoreFields& fields);

  // Of the cap, by owners but this one; spent by them; how many they are.
  int64_t TakenByOthers() const;
  int64_t SettledByOthers() const;
  size_t others() const { return others_.size(); }
  // Of the cap, by this one.
  int64_t Taken() const { return Totals{granted_, returned_, settled_}.Taken(); }

  int64_t granted() const { return granted_; }
  int64_t returned() const { return returned_; }
  int64_t settled() const { return settled_; }
  int64_t reserved() const { return reserved_; }

 private:
  struct Totals {
    int64_t granted = 0, returned = 0, settled = 0;
    int64_t Taken() const;
    bool operator==(const Totals&) const = default;
  };

  const std::string owner_;
  int64_t granted_ = 0;
  int64_t returned_ = 0;
  int64_t settled_ = 0;
  int64_t reserved_ = 0;
  Totals told_;
  std::map<std::string, Totals> others_;
  int64_t others_seen_ = 0;  // what the last grant said that others have taken
};

}  // namespace penstock::router
